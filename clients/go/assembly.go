package imagegen

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
)

// believedBytes is how much memory an announcement alone is worth. Behind it the whole image is made room for.
const believedBytes = 1 << 20

// A byteRun is the bytes of one image that arrive in order, in pieces of any length, and are checked at the end.
type byteRun struct {
	facts  *pb.Image
	data   []byte
	digest hash.Hash // nil: the server told no SHA-256
}

func newByteRun(facts *pb.Image) (*byteRun, error) {
	if size := facts.GetSizeBytes(); size == 0 || size > MaxImageBytes {
		return nil, invalidResponse("the server told of an image of %d bytes", size)
	}
	run := &byteRun{facts: facts}
	if facts.GetSha256() != "" {
		run.digest = sha256.New()
	}
	return run, nil
}

func (r *byteRun) received() uint32 { return uint32(len(r.data)) }

func (r *byteRun) whole() bool { return r.received() == r.facts.GetSizeBytes() }

func (r *byteRun) append(offset uint32, data []byte) error {
	size := int(r.facts.GetSizeBytes())
	if offset != r.received() {
		return invalidResponse("a piece of the image starts at byte %d where byte %d was due", offset, r.received())
	}
	if len(data) > size-len(r.data) {
		return invalidResponse("the image is longer than the %d bytes that the server told", size)
	}
	if need := len(r.data) + len(data); need > cap(r.data) {
		room := size
		if need <= believedBytes {
			room = min(size, believedBytes)
		}
		grown := make([]byte, len(r.data), room)
		copy(grown, r.data)
		r.data = grown
	}
	r.data = append(r.data, data...)
	if r.digest != nil {
		r.digest.Write(data)
	}
	return nil
}

// join is all bytes, checked against size and, where the server told one, SHA-256.
func (r *byteRun) join() ([]byte, error) {
	if !r.whole() {
		return nil, invalidResponse("the image ended after %d of %d bytes", r.received(), r.facts.GetSizeBytes())
	}
	if r.digest != nil && hex.EncodeToString(r.digest.Sum(nil)) != r.facts.GetSha256() {
		return nil, invalidResponse("the bytes of the image do not have the SHA-256 that the server told")
	}
	return r.data, nil
}

// An opening is the image opened last; one of preview and complete is set.
type opening struct {
	preview  *pb.ImagePreview
	complete *pb.GeneratedImage
	run      *byteRun
}

func (o *opening) takes(chunk *pb.ImageChunk) bool {
	if o.preview != nil {
		return chunk.GetIndex() == o.preview.GetIndex() && chunk.GetPreviewNumber() == o.preview.GetNumber()
	}
	return chunk.GetIndex() == o.complete.GetIndex() && chunk.GetPreviewNumber() == 0
}

// An assembler takes the events of one stream in order, which may come over several connections one after the other.
type assembler struct {
	chunked bool // the bytes of images follow as chunks; false: images are facts and an id
	whole   bool // the events come from the start; false: an image whose beginning is missing is left to its id
	open    *opening
	images  map[uint32]*Image
	result  *Result
}

func newAssembler(chunked, whole bool) *assembler {
	return &assembler{chunked: chunked, whole: whole, images: map[uint32]*Image{}}
}

// feed takes the next event; what it completes is returned. An unset or newer event is ignored. The error is
// INVALID_RESPONSE: the stream breaks a promise of the API that a finished image depends on. A preview that is damaged
// is left out instead.
func (a *assembler) feed(message *pb.ImageStreamEvent) (Event, error) {
	if a.result != nil {
		return nil, nil
	}
	switch event := message.GetEvent().(type) {
	case *pb.ImageStreamEvent_Started:
		return Started{event.Started}, nil
	case *pb.ImageStreamEvent_Progress:
		return Progress{event.Progress}, nil
	case *pb.ImageStreamEvent_Preview:
		return a.preview(event.Preview)
	case *pb.ImageStreamEvent_Complete:
		return a.complete(event.Complete)
	case *pb.ImageStreamEvent_Chunk:
		return a.chunk(event.Chunk)
	case *pb.ImageStreamEvent_Failure:
		return Failed{event.Failure}, nil
	case *pb.ImageStreamEvent_Result:
		return nil, a.end(event.Result)
	}
	return nil, nil
}

func (a *assembler) preview(preview *pb.ImagePreview) (Event, error) {
	if err := a.endOpen(); err != nil {
		return nil, err
	}
	if !a.chunked {
		return previewEvent(preview, nil), nil
	}
	if run, err := newByteRun(preview.GetImage()); err == nil {
		a.open = &opening{preview: preview, run: run}
	}
	return nil, nil
}

func (a *assembler) complete(made *pb.GeneratedImage) (Event, error) {
	if err := a.endOpen(); err != nil {
		return nil, err
	}
	if !a.chunked {
		return a.finished(made, nil), nil
	}
	run, err := newByteRun(made.GetImage())
	if err != nil {
		return nil, err
	}
	a.open = &opening{complete: made, run: run}
	return nil, nil
}

func (a *assembler) chunk(chunk *pb.ImageChunk) (Event, error) {
	open := a.open
	if open == nil || !open.takes(chunk) {
		if chunk.GetPreviewNumber() != 0 {
			return nil, nil // the rest of a preview that was given up
		}
		if !a.whole && open == nil && a.images[chunk.GetIndex()] == nil {
			return nil, nil // the rest of an image that was begun before
		}
		return nil, invalidResponse("bytes of image %d came outside of their place", chunk.GetIndex())
	}
	err := open.run.append(chunk.GetOffset(), chunk.GetData())
	if err == nil && !open.run.whole() {
		return nil, nil
	}
	a.open = nil
	var data []byte
	if err == nil {
		data, err = open.run.join()
	}
	switch {
	case err != nil && open.preview != nil:
		return nil, nil // a damaged preview is no reason to lose the image
	case err != nil:
		return nil, err
	case open.preview != nil:
		return previewEvent(open.preview, data), nil
	}
	return a.finished(open.complete, data), nil
}

func (a *assembler) finished(made *pb.GeneratedImage, data []byte) Event {
	image := generatedFromProto(made, data)
	a.images[made.GetIndex()] = image
	return Complete{image}
}

// endOpen: an opening ends an unfinished preview; a finished image may not be cut short.
func (a *assembler) endOpen() error {
	open := a.open
	a.open = nil
	if open != nil && open.complete != nil {
		return invalidResponse("image %d was cut short", open.complete.GetIndex())
	}
	return nil
}

func (a *assembler) end(told *pb.ImageResult) error {
	if err := a.endOpen(); err != nil {
		return err
	}
	if len(told.GetImages()) == 0 {
		return invalidResponse("the server ended the generation without an image and without an error")
	}
	result := &Result{
		GenerationID: told.GetGenerationId(),
		RequestID:    told.GetRequestId(),
		Model:        told.GetModel(),
		Failures:     told.GetFailures(),
		Usage:        told.GetUsage(),
		Warnings:     told.GetWarnings(),
		Attempts:     told.GetAttempts(),
		Metadata:     told.GetMetadata(),
	}
	for _, made := range told.GetImages() {
		received := a.images[made.GetIndex()]
		if received == nil && a.chunked && a.whole {
			return invalidResponse("the result names image %d, which never came", made.GetIndex())
		}
		var data []byte
		if received != nil {
			data = received.data
		}
		result.Images = append(result.Images, generatedFromProto(made, data))
	}
	a.result = result
	return nil
}

func previewEvent(preview *pb.ImagePreview, data []byte) Event {
	return Preview{
		Index:    preview.GetIndex(),
		Number:   preview.GetNumber(),
		Image:    imageFromProto(preview.GetImage(), data),
		Metadata: preview.GetMetadata(),
	}
}
