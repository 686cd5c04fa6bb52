package imagegen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// kinds are the events of a stream, news left out, and the error that ended them.
func kinds(stream *Stream) (seen []string, err error) {
	for event, err := range stream.Events() {
		if err != nil {
			return seen, err
		}
		if kind := fmt.Sprintf("%T", event); kind != "imagegen.Progress" {
			seen = append(seen, strings.TrimPrefix(kind, "imagegen."))
		}
	}
	return seen, nil
}

func firstEvent(t *testing.T, stream *Stream) Event {
	t.Helper()
	for event, err := range stream.Events() {
		if err != nil {
			t.Fatal(err)
		}
		return event
	}
	t.Fatal("the stream ended")
	return nil
}

var simple = together(one(started()), previews(1, picture(1500, 2)), completed(0, picture(2500, 1)), one(resulted(picture(2500, 1))))

// Events come in order, then the result has the images; both can be had again.
func TestIterateThenResult(t *testing.T) {
	server := serve(t)
	server.stream = sends(simple...)
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat"))(t)
	defer stream.Close()
	seen, err := kinds(stream)
	if err != nil || !slices.Equal(seen, []string{"Started", "Preview", "Complete"}) {
		t.Fatal(seen, err)
	}
	for range 2 {
		result := must(stream.Result(t.Context()))(t)
		if !bytes.Equal(result.Image().Bytes(), picture(2500, 1)) {
			t.Fatal("other bytes")
		}
	}
	if stream.GenerationID() != "gen_1" || stream.RequestID() != "req_1" || stream.LastSequence() != 1 {
		t.Fatal(stream.GenerationID(), stream.RequestID(), stream.LastSequence())
	}
}

// The result can be had without reading events, which are still there afterwards; several may wait at the same time.
func TestResultThenIterate(t *testing.T) {
	server := serve(t)
	server.stream = sends(simple...)
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat"))(t)
	defer stream.Close()
	waiting := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := stream.Result(t.Context())
			waiting <- err
		}()
	}
	for range 3 {
		if err := <-waiting; err != nil {
			t.Fatal(err)
		}
	}
	if seen, err := kinds(stream); err != nil || len(seen) != 3 {
		t.Fatal(seen, err)
	}
}

// An event is there before the next is sent, also while somebody else waits for the end; and a loop goes on where
// another was left.
func TestEventsComeAtOnce(t *testing.T) {
	server := serve(t)
	next := make(chan struct{})
	server.stream = func(_ proto.Message, out out) error {
		for _, event := range simple {
			if err := out.Send(event); err != nil {
				return err
			}
			if event.GetStarted() != nil {
				<-next
			}
		}
		return nil
	}
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat"))(t)
	defer stream.Close()
	waiting := make(chan error, 1)
	go func() {
		_, err := stream.Result(context.Background())
		waiting <- err
	}()
	if _, ok := firstEvent(t, stream).(Started); !ok {
		t.Fatal("the first event is not Started")
	}
	close(next)
	if seen, err := kinds(stream); err != nil || !slices.Equal(seen, []string{"Preview", "Complete"}) {
		t.Fatal(seen, err)
	}
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
}

// The end of the context that Result was given ends the wait, and not the generation.
func TestResultGivesUpWaiting(t *testing.T) {
	server := serve(t)
	next := make(chan struct{})
	server.stream = func(request proto.Message, out out) error {
		<-next
		return sends(simple...)(request, out)
	}
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat"))(t)
	defer stream.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := stream.Result(ctx)
	wantReason(t, err, "CANCELLED")
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(next)
	must(stream.Result(t.Context()))(t)
}

// What is not read waits at the server: a stream that nobody reads does not fill the memory.
func TestUnreadStreamIsHeldBack(t *testing.T) {
	server := serve(t)
	var sent atomic.Int64
	server.stream = func(_ proto.Message, out out) error {
		for {
			if err := out.Send(chunk(0, 1, 0, make([]byte, 196_608))); err != nil {
				return err
			}
			sent.Add(196_608)
			server.tell()
		}
	}
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat"))(t)
	last := int64(-1)
	for now := sent.Load(); now != last; now = sent.Load() { // until nothing moves
		last = now
		time.Sleep(100 * time.Millisecond)
	}
	if last > 16<<20 {
		t.Fatalf("%d bytes were taken", last)
	}
	_ = stream.Close()
	server.awaitLeft(t)
}

// An end in good order without a result is no success, and neither is a broken promise, which ends the call.
func TestEndsThatAreErrors(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	server.stream = sends(simple[:len(simple)-1]...)
	_, err := client.Image(scene).Generate(t.Context(), "a cat")
	wantReason(t, err, "INVALID_RESPONSE")
	if failure := asError(t, err); failure.GenerationID != "gen_1" || failure.RequestID != "req_1" || failure.Billed != billedUnknown {
		t.Fatal(failure)
	}
	server.stream = func(request proto.Message, out out) error {
		if err := sends(started(), chunk(0, 0, 0, []byte{1}))(request, out); err != nil {
			return err
		}
		<-out.Context().Done()
		return out.Context().Err()
	}
	_, err = client.Image(scene).Generate(t.Context(), "a cat")
	wantReason(t, err, "INVALID_RESPONSE")
	server.awaitLeft(t)
}

// Once the result is there, a connection that breaks changes nothing.
func TestResultStands(t *testing.T) {
	server := serve(t)
	server.stream = func(request proto.Message, out out) error {
		if err := sends(simple...)(request, out); err != nil {
			return err
		}
		return status.Error(codes.Unavailable, "broke")
	}
	must(server.connect(t).Image(scene).Generate(t.Context(), "a cat", WithResumable(true)))(t)
	if len(server.called("Resume")) > 0 {
		t.Fatal("it was read again")
	}
}

// A call that came to its result is not cancelled at the server.
func TestResultIsNoCancel(t *testing.T) {
	server := serve(t)
	ended := make(chan error, 1)
	server.stream = func(request proto.Message, out out) error {
		err := sends(simple...)(request, out)
		select {
		case <-out.Context().Done():
			ended <- out.Context().Err()
		case <-time.After(50 * time.Millisecond): // longer than a client takes to go away
			ended <- err
		}
		return err
	}
	must(server.connect(t).Image(scene).Generate(t.Context(), "a cat"))(t)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// Events before a failure are handed out, then the failure, each time it is asked for.
func TestEventsBeforeAFailure(t *testing.T) {
	server := serve(t)
	server.stream = func(request proto.Message, out out) error {
		if err := sends(simple[:1]...)(request, out); err != nil {
			return err
		}
		return reasoned(codes.InvalidArgument, "ERROR_REASON_CONTENT_FILTERED", "no")
	}
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat"))(t)
	defer stream.Close()
	_, err := stream.Result(t.Context())
	wantReason(t, err, "CONTENT_FILTERED")
	seen, err := kinds(stream)
	wantReason(t, err, "CONTENT_FILTERED")
	if len(seen) != 1 {
		t.Fatal(seen)
	}
}

// Abort and Close wake those who wait, with CANCELLED, and no event follows.
func TestAbortAndCloseWakeThoseWhoWait(t *testing.T) {
	server := serve(t)
	server.stream = hangs
	client := server.connect(t)
	for _, leave := range []func(*Stream) error{
		func(s *Stream) error { return s.Abort(context.Background()) }, (*Stream).Close,
	} {
		stream := must(client.Image(scene).Stream(t.Context(), "a cat"))(t)
		waiting := make(chan error, 2)
		go func() {
			_, err := stream.Result(context.Background())
			waiting <- err
		}()
		go func() {
			_, err := kinds(stream)
			waiting <- err
		}()
		server.awaitCall(t, "StreamGenerate")
		if err := leave(stream); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantReason(t, <-waiting, "CANCELLED")
		}
		if seen, err := kinds(stream); err == nil || len(seen) > 0 {
			t.Fatal(seen, err)
		}
	}
	server.awaitLeft(t)
}

// A stream that is dropped without a word is left, also with an iteration that was never finished.
func TestDroppedStreamIsLeft(t *testing.T) {
	server := serve(t)
	server.stream = hangs
	client := server.connect(t)
	func() {
		stream := must(client.Image(scene).Stream(t.Context(), "a cat"))(t)
		firstEvent(t, stream)
	}()
	server.await(t, "the stream to be left", func() bool {
		runtime.GC()
		server.mu.Lock()
		defer server.mu.Unlock()
		return server.left == 1
	})
}

// The end of the caller's context ends the call, and the error is also that of the context.
func TestContextsEndCalls(t *testing.T) {
	server := serve(t)
	server.stream = hangs
	client := server.connect(t, WithTimeout(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	stream := must(client.Image(scene).Stream(ctx, "a cat"))(t)
	defer stream.Close()
	firstEvent(t, stream)
	cancel()
	_, err := stream.Result(t.Context())
	wantReason(t, err, "CANCELLED")
	if !errors.Is(err, context.Canceled) || status.Code(err) != codes.Canceled {
		t.Fatal(err)
	}
	server.awaitLeft(t)
	_, err = client.Image(scene).Generate(t.Context(), "a cat", WithTimeout(100*time.Millisecond))
	wantReason(t, err, "TIMEOUT")
	if !errors.Is(err, context.DeadlineExceeded) || asError(t, err).Billed != billedUnknown {
		t.Fatal(err)
	}
}

// Generate and Edit ask for no previews unless the caller does; streams leave it to the server.
func TestPreviewsWanted(t *testing.T) {
	server := serve(t)
	server.stream = sends(simple...)
	bound := server.connect(t).Image(scene)
	must(bound.Generate(t.Context(), "a cat"))(t)
	must(bound.Generate(t.Context(), "a cat", WithPreviewCount(3)))(t)
	must(must(bound.Stream(t.Context(), "a cat"))(t).Result(t.Context()))(t)
	var asked []*uint32
	for _, made := range server.called("StreamGenerate") {
		asked = append(asked, made.request.(*pb.GenerateRequest).GetOptions().PreviewCount)
	}
	if *asked[0] != 0 || *asked[1] != 3 || asked[2] != nil {
		t.Fatal(asked)
	}
}

// An image larger than any message arrives whole. (Those of 64 MiB are a matter of the conformance suite.)
func TestLargestImage(t *testing.T) {
	server := serve(t)
	data := bytes.Repeat(picture(1<<20, 5), 6)
	server.stream = sends(together(one(started()), one(opened(0, data)), chunked(0, 0, data, 196_608), one(resulted(data)))...)
	result := must(server.connect(t).Image(scene).Generate(t.Context(), "a cat"))(t)
	if !bytes.Equal(result.Image().Bytes(), data) {
		t.Fatal("other bytes")
	}
}
