package imagegen

import (
	"context"
	"runtime"
	"testing"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const detach = pb.OnDisconnect_ON_DISCONNECT_DETACH

// A way is how a call is made, and what becomes of it.
type way struct {
	name    string
	options []CallOption
	aborted bool // abort sends a Cancel
	left    bool // so does leaving
}

var ways = []way{
	{"plain", nil, false, false},
	{"resumable", []CallOption{WithResumable(true)}, true, true},
	{"request id", []CallOption{WithRequestID("mine")}, true, false},
	{"request id, resumable", []CallOption{WithRequestID("mine"), WithResumable(true)}, true, false},
	{"detached", []CallOption{WithOnDisconnect(detach)}, true, false},
	{"detached, resumable", []CallOption{WithOnDisconnect(detach), WithResumable(true)}, true, false},
	{"request id, cancel", []CallOption{WithRequestID("mine"), WithOnDisconnect(pb.OnDisconnect_ON_DISCONNECT_CANCEL)}, true, false},
}

func wantCancels(t *testing.T, server *fake, wanted bool) {
	t.Helper()
	cancels := server.called("Cancel")
	if len(cancels) != map[bool]int{false: 0, true: 1}[wanted] {
		t.Fatalf("%d Cancels", len(cancels))
	}
	if wanted && cancels[0].request.(*pb.CancelRequest).GetGenerationId() != "gen_1" {
		t.Fatal(cancels[0].request)
	}
}

// Abort ends the call, and tells the server where the generation may run on without its reader; once.
func TestAbort(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			server := serve(t)
			server.stream = hangs
			stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat", way.options...))(t)
			firstEvent(t, stream)
			for range 2 {
				if err := stream.Abort(t.Context()); err != nil {
					t.Fatal(err)
				}
				wantCancels(t, server, way.aborted)
			}
			server.awaitLeft(t)
		})
	}
}

// Leaving stops what nobody else can name, however it is left, and leaves alone what was to go on.
func TestLeaving(t *testing.T) {
	for _, way := range ways {
		for how, leave := range map[string]func(*Stream, context.CancelFunc, *Client){
			"close":   func(s *Stream, _ context.CancelFunc, _ *Client) { _ = s.Close() },
			"context": func(_ *Stream, cancel context.CancelFunc, _ *Client) { cancel() },
			"drop":    func(*Stream, context.CancelFunc, *Client) {},
			"client":  func(_ *Stream, _ context.CancelFunc, c *Client) { _ = c.Close() },
		} {
			t.Run(way.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				server := serve(t)
				server.stream = hangs
				client := server.connect(t)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				func() {
					stream := must(client.Image(scene).Stream(ctx, "a cat", way.options...))(t)
					firstEvent(t, stream)
					leave(stream, cancel, client)
				}()
				server.await(t, "the stream to be left", func() bool {
					runtime.GC()
					server.mu.Lock()
					defer server.mu.Unlock()
					return server.left == 1
				})
				_ = client.Close() // what is on its way arrives
				wantCancels(t, server, way.left)
			})
		}
	}
}

// Before the server has told its id, the request's own is used, which such a call always has.
func TestAbortBeforeTheStart(t *testing.T) {
	server := serve(t)
	server.stream = func(_ proto.Message, out out) error { <-out.Context().Done(); return nil }
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat", WithOnDisconnect(detach)))(t)
	id := server.awaitCall(t, "StreamGenerate").request.(*pb.GenerateRequest).GetRequestId()
	if err := stream.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if told := server.called("Cancel")[0].request.(*pb.CancelRequest).GetRequestId(); len(id) != 36 || told != id {
		t.Fatal(id, told)
	}
}

// If the server could not be told, Abort says so, and can be tried again; if it has no such generation, all is well.
func TestAbortThatDoesNotArrive(t *testing.T) {
	server := serve(t)
	server.stream = hangs
	reason := "ERROR_REASON_INTERNAL_ERROR"
	server.cancel = func(*pb.CancelRequest) (*pb.CancelResponse, error) {
		return nil, reasoned(codes.Internal, reason, "no")
	}
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat", WithRequestID("mine")))(t)
	firstEvent(t, stream)
	wantReason(t, stream.Abort(t.Context()), "INTERNAL_ERROR")
	reason = "ERROR_REASON_GENERATION_NOT_FOUND"
	if err := stream.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Abort waits no longer than its context.
func TestAbortIsLimited(t *testing.T) {
	server := serve(t)
	server.stream = hangs
	release := make(chan struct{})
	server.cancel = func(*pb.CancelRequest) (*pb.CancelResponse, error) { <-release; return &pb.CancelResponse{}, nil }
	defer close(release)
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat", WithRequestID("mine")))(t)
	firstEvent(t, stream)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := stream.Abort(ctx)
	wantReason(t, err, "CANCELLED")
	if asError(t, err).GenerationID != "gen_1" {
		t.Fatal(err)
	}
}

// With its time a plain call ends its generation, and so does a resumable one; a named one goes on.
func TestTimeThatRanOut(t *testing.T) {
	server := serve(t)
	server.stream = hangs
	client := server.connect(t)
	bound := client.Image(scene, WithTimeout(100*time.Millisecond), WithResumable(true))
	for _, options := range [][]CallOption{nil, {WithRequestID("mine")}} {
		_, err := bound.Generate(t.Context(), "a cat", options...)
		wantReason(t, err, "TIMEOUT")
	}
	_ = client.Close()
	if cancels := server.called("Cancel"); len(cancels) != 1 {
		t.Fatal(cancels)
	}
}

// A stream between two tries is aborted at once, and whoever waits for it is told.
func TestAbortBetweenTries(t *testing.T) {
	server := serve(t)
	server.stream = func(_ proto.Message, out out) error {
		_ = out.Send(started())
		return status.Error(codes.Unavailable, "broke")
	}
	client := server.connect(t)
	client.delays = []time.Duration{time.Hour}
	stream := must(client.Image(scene).Stream(t.Context(), "a cat", WithResumable(true)))(t)
	waiting := make(chan error, 1)
	firstEvent(t, stream)
	go func() {
		_, err := stream.Result(context.Background())
		waiting <- err
	}()
	if err := stream.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantReason(t, <-waiting, "CANCELLED")
	wantCancels(t, server, true)
}

// Who resumes by an id may leave without harm, and may stop it.
func TestResumedStreams(t *testing.T) {
	server := serve(t)
	server.resume = func(_ *pb.ResumeRequest, out out) error { return hangs(nil, out) }
	client := server.connect(t)
	stream := must(client.Resume(t.Context(), GenerationID("gen_1")))(t)
	firstEvent(t, stream)
	_ = stream.Close()
	server.awaitLeft(t)
	wantCancels(t, server, false)
	stream = must(client.Resume(t.Context(), RequestID("mine")))(t)
	firstEvent(t, stream)
	if err := stream.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCancels(t, server, true)
}

// What the server has told the end of is not cancelled: neither a failure nor a result.
func TestNothingIsCancelledAfterTheEnd(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	for _, script := range []func(proto.Message, out) error{
		sends(simple...),
		func(_ proto.Message, out out) error {
			return reasoned(codes.InvalidArgument, "ERROR_REASON_CONTENT_FILTERED", "no")
		},
	} {
		server.stream = script
		stream := must(client.Image(scene).Stream(t.Context(), "a cat", WithResumable(true)))(t)
		_, _ = stream.Result(t.Context())
		if err := stream.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_ = client.Close()
	wantCancels(t, server, false)
}
