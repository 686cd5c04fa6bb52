package imagegen

import (
	"bytes"
	"math/rand/v2"
	"testing"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
)

func assemble(chunked, whole bool, events ...*pb.ImageStreamEvent) (made []Event, result *Result, err error) {
	assembler := newAssembler(chunked, whole)
	for _, event := range events {
		completed, err := assembler.feed(event)
		if err != nil {
			return made, nil, err
		}
		if completed != nil {
			made = append(made, completed)
		}
	}
	return made, assembler.result, nil
}

// However images are cut into chunks, they arrive as they were, and so do previews; the result has the bytes.
func TestAnySplitGivesTheSameImages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		first, second, early := picture(1+random.IntN(5000), 1), picture(1+random.IntN(5000), 2), picture(1+random.IntN(300), 3)
		made, result, err := assemble(true, true, together(
			one(started()), one(previewed(1, early)), chunked(0, 1, early, 1+random.IntN(100)),
			one(opened(0, first)), chunked(0, 0, first, 1+random.IntN(2000)), one(news()),
			one(opened(1, second)), chunked(1, 0, second, 1+random.IntN(9000)),
			one(resulted(first, second)),
		)...)
		if err != nil {
			t.Fatal(err)
		}
		if len(made) != 5 || !bytes.Equal(made[1].(Preview).Image.Bytes(), early) {
			t.Fatalf("events: %v", made)
		}
		if !bytes.Equal(result.Images[0].Bytes(), first) || !bytes.Equal(result.Images[1].Bytes(), second) {
			t.Fatal("the result has other bytes")
		}
	}
}

// An image larger than what an announcement alone is worth comes whole, and takes no more memory than it has bytes.
func TestLargeImage(t *testing.T) {
	large := picture(3*believedBytes+5, 1)
	_, result, err := assemble(true, true, together(one(opened(0, large)), chunked(0, 0, large, 196_608), one(resulted(large)))...)
	if err != nil || !bytes.Equal(result.Image().Bytes(), large) || cap(result.Image().Bytes()) != len(large) {
		t.Fatal(err, len(result.Image().Bytes()))
	}
}

// An announcement of 64 MiB takes memory only as bytes come.
func TestAnnouncementTakesNoMemory(t *testing.T) {
	run := must(newByteRun(&pb.Image{SizeBytes: MaxImageBytes}))(t)
	if err := run.append(0, make([]byte, 100)); err != nil || cap(run.data) > believedBytes {
		t.Fatal(err, cap(run.data))
	}
}

// Bytes beside the facts have no place in a stream: nobody has checked them, so they are not handed out.
func TestBytesBesideTheFactsAreNotHandedOut(t *testing.T) {
	stray := func(event *pb.ImageStreamEvent) *pb.ImageStreamEvent {
		for _, made := range append(event.GetResult().GetImages(), event.GetComplete()) {
			if made != nil {
				made.Image.Data = []byte("stray")
			}
		}
		return event
	}
	for _, chunked := range []bool{false, true} {
		events := []*pb.ImageStreamEvent{stray(opened(0, small)), stray(resulted(small))}
		made, result, err := assemble(chunked, false, events[map[bool]int{false: 0, true: 1}[chunked]:]...)
		if err != nil || result.Image().Bytes() != nil || result.Image().Facts().Data != nil {
			t.Fatal(chunked, result, err)
		}
		for _, event := range made {
			if event.(Complete).Image.Bytes() != nil {
				t.Fatal(event)
			}
		}
	}
}

// A finished image is handed out whole and as it was told, or the stream fails.
func TestBrokenPromisesAreErrors(t *testing.T) {
	data, other := picture(2500, 1), picture(2500, 2)
	huge, empty := facts(data), facts(data)
	huge.SizeBytes, empty.SizeBytes = MaxImageBytes+1, 0
	told := func(image *pb.Image) *pb.ImageStreamEvent {
		return &pb.ImageStreamEvent{Event: &pb.ImageStreamEvent_Complete{Complete: &pb.GeneratedImage{Image: image}}}
	}
	for name, events := range map[string][]*pb.ImageStreamEvent{
		"other bytes":             append(one(opened(0, data)), chunked(0, 0, other, chunkBytes)...),
		"a gap":                   {opened(0, data), chunk(0, 0, 0, data[:1000]), chunk(0, 0, 1500, data[1500:])},
		"a piece again":           {opened(0, data), chunk(0, 0, 0, data[:1000]), chunk(0, 0, 0, data[:1000])},
		"too long":                {opened(0, data), chunk(0, 0, 0, append(bytes.Clone(data), 0))},
		"cut by an opening":       {opened(0, data), chunk(0, 0, 0, data[:1000]), opened(1, other)},
		"cut by a preview":        {opened(0, data), chunk(0, 0, 0, data[:1000]), previewed(1, other)},
		"cut by the result":       {opened(0, data), chunk(0, 0, 0, data[:1000]), resulted(data)},
		"bytes without opening":   {chunk(0, 0, 0, data)},
		"bytes of another image":  {opened(0, data), chunk(1, 0, 0, data[:1000])},
		"bytes after the image":   append(completed(0, data), chunk(0, 0, 2500, data[:1])),
		"larger than allowed":     {told(huge)},
		"no size":                 {told(empty)},
		"result without images":   append(completed(0, data), resulted()),
		"an image that never was": append(completed(0, data), resulted(data, other)),
	} {
		_, _, err := assemble(true, true, events...)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if failure := asError(t, err); !failure.HasReason(pb.ErrorReason_ERROR_REASON_INVALID_RESPONSE) || failure.Code != 13 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A preview that does not fit together, or is cut off, is left out; the finished image still comes.
func TestDamagedPreviewsAreLeftOut(t *testing.T) {
	data, early := picture(2500, 1), picture(1500, 2)
	for name, damaged := range map[string][]*pb.ImageStreamEvent{
		"unfinished": previews(1, early)[:2],
		"a gap":      {previewed(1, early), chunk(0, 1, 7, early[7:])},
		"too long":   {previewed(1, early), chunk(0, 1, 0, append(bytes.Clone(early), 0))},
		"no size":    append(one(previewed(1, nil)), chunked(0, 1, early, chunkBytes)...),
		"no opening": chunked(0, 1, early, chunkBytes),
		"late bytes": together(previews(1, early)[:2], one(previewed(2, early)), one(chunk(0, 1, 1000, early[1000:]))),
	} {
		made, result, err := assemble(true, true, together(damaged, completed(0, data), one(resulted(data)))...)
		if err != nil || len(made) != 1 || !bytes.Equal(result.Image().Bytes(), data) {
			t.Errorf("%s: %v %v", name, made, err)
		}
	}
}

// Without chunks an opening is all there is to an image, and the result has no bytes.
func TestByReferenceImagesAreFacts(t *testing.T) {
	data := picture(2500, 1)
	made, result, err := assemble(false, true, previewed(1, data), opened(0, data), resulted(data))
	if err != nil || len(made) != 2 || result.Image().Bytes() != nil || result.Image().ID() != "img_2500" {
		t.Fatal(made, result, err)
	}
}

// Events that are newer than this client, and those behind the result, change nothing.
func TestEventsThatDoNotCount(t *testing.T) {
	data := picture(2500, 1)
	events := together(one(&pb.ImageStreamEvent{}), completed(0, data)[:2], one(&pb.ImageStreamEvent{}),
		completed(0, data)[2:], one(resulted(data)), one(resulted()), one(failed(0)))
	made, result, err := assemble(true, true, events...)
	if err != nil || len(made) != 1 || len(result.Images) != 1 {
		t.Fatal(made, result, err)
	}
}

// A stream that began behind the start leaves images whose opening it has not seen in the result without bytes.
func TestBehindTheStart(t *testing.T) {
	first, second := picture(2500, 1), picture(1500, 2)
	made, result, err := assemble(true, false,
		together(completed(0, first)[2:], completed(1, second), one(resulted(first, second)))...)
	if err != nil || len(made) != 1 || result.Images[0].Bytes() != nil || !bytes.Equal(result.Images[1].Bytes(), second) {
		t.Fatal(made, result, err)
	}
}
