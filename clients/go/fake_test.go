package imagegen

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

const (
	scene    = "sandbox/scene"
	patience = 20 * time.Second // for what must come; nothing takes that long
)

// No goroutine of this package or of a stream outlives the tests.
func TestMain(m *testing.M) {
	status := m.Run()
	var stacks string
	for range 200 {
		runtime.GC()
		buffer := make([]byte, 1<<20)
		stacks = string(buffer[:runtime.Stack(buffer, true)])
		if !strings.Contains(stacks, "clients/go.(") && !strings.Contains(stacks, "grpc.newClientStream") {
			os.Exit(status)
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("goroutines are left:\n" + stacks)
	os.Exit(1)
}

type out = grpc.ServerStreamingServer[pb.ImageStreamEvent]

type call struct {
	method   string
	request  proto.Message
	metadata metadata.MD
	deadline time.Duration // what was left; 0: there was none
}

// A fake is a scripted server.
type fake struct {
	pb.UnimplementedImageServiceServer
	pb.UnimplementedModelServiceServer
	address string
	news    chan struct{} // something was called, or was left

	stream func(request proto.Message, out out) error // StreamGenerate and StreamEdit
	resume func(request *pb.ResumeRequest, out out) error
	cancel func(request *pb.CancelRequest) (*pb.CancelResponse, error)
	read   func(request *pb.ReadImageRequest, out grpc.ServerStreamingServer[pb.ReadImageResponse]) error
	upload func(request *pb.UploadImageRequest) (*pb.UploadImageResponse, error)
	list   func(request *pb.ListModelsRequest) (*pb.ListModelsResponse, error)
	get    func(request *pb.GetModelRequest) (*pb.GetModelResponse, error)

	mu    sync.Mutex
	calls []call
	left  int // streams that the client went away from
}

func serve(t *testing.T, options ...grpc.ServerOption) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{address: listener.Addr().String(), news: make(chan struct{}, 1)}
	server := grpc.NewServer(append(options, grpc.MaxRecvMsgSize(80<<20))...)
	pb.RegisterImageServiceServer(server, f)
	pb.RegisterModelServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return f
}

// connect is a client of the fake that does not wait between tries.
func (f *fake) connect(t *testing.T, options ...ClientOption) *Client {
	t.Helper()
	return connectTo(t, f.address, options...)
}

func connectTo(t *testing.T, address string, options ...ClientOption) *Client {
	t.Helper()
	client := must(NewClient(address, options...))(t)
	client.delays = make([]time.Duration, 7)
	for i := range client.delays {
		client.delays[i] = time.Millisecond
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func must[V any](value V, err error) func(t *testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func (f *fake) note(ctx context.Context, method string, request proto.Message) {
	md, _ := metadata.FromIncomingContext(ctx)
	made := call{method: method, request: proto.Clone(request), metadata: md}
	if deadline, ok := ctx.Deadline(); ok {
		made.deadline = time.Until(deadline)
	}
	f.mu.Lock()
	f.calls = append(f.calls, made)
	f.mu.Unlock()
	f.tell()
}

func (f *fake) tell() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// called are the calls of a method so far.
func (f *fake) called(method string) []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []call
	for _, made := range f.calls {
		if made.method == method {
			found = append(found, made)
		}
	}
	return found
}

// await waits until something is so.
func (f *fake) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	late := time.After(patience)
	for !so() {
		select {
		case <-f.news:
		case <-time.After(20 * time.Millisecond): // a second waiter may have taken the news
		case <-late:
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func (f *fake) awaitCall(t *testing.T, method string) call {
	t.Helper()
	f.await(t, method, func() bool { return len(f.called(method)) > 0 })
	return f.called(method)[0]
}

func (f *fake) awaitLeft(t *testing.T) {
	t.Helper()
	f.await(t, "the call to be left", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.left > 0
	})
}

func (f *fake) play(request proto.Message, out out, method string) error {
	f.note(out.Context(), method, request)
	var err error
	if resume, ok := request.(*pb.ResumeRequest); ok {
		err = f.resume(resume, out)
	} else {
		err = f.stream(request, out)
	}
	if out.Context().Err() != nil {
		f.mu.Lock()
		f.left++
		f.mu.Unlock()
		f.tell()
	}
	return err
}

func (f *fake) StreamGenerate(request *pb.GenerateRequest, out out) error {
	return f.play(request, out, "StreamGenerate")
}

func (f *fake) StreamEdit(request *pb.EditRequest, out out) error {
	return f.play(request, out, "StreamEdit")
}

func (f *fake) Resume(request *pb.ResumeRequest, out out) error {
	return f.play(request, out, "Resume")
}

func (f *fake) Cancel(ctx context.Context, request *pb.CancelRequest) (*pb.CancelResponse, error) {
	f.note(ctx, "Cancel", request)
	if f.cancel != nil {
		return f.cancel(request)
	}
	return &pb.CancelResponse{GenerationId: "gen_1", Stopped: true}, nil
}

func (f *fake) ReadImage(request *pb.ReadImageRequest, out grpc.ServerStreamingServer[pb.ReadImageResponse]) error {
	f.note(out.Context(), "ReadImage", request)
	return f.read(request, out)
}

func (f *fake) UploadImage(ctx context.Context, request *pb.UploadImageRequest) (*pb.UploadImageResponse, error) {
	f.note(ctx, "UploadImage", request)
	return f.upload(request)
}

func (f *fake) Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	f.note(ctx, "Explain", request)
	return &pb.ExplainResponse{Calls: []*pb.PlannedCall{{Model: scene, Requests: 1}}}, nil
}

func (f *fake) ListModels(ctx context.Context, request *pb.ListModelsRequest) (*pb.ListModelsResponse, error) {
	f.note(ctx, "ListModels", request)
	return f.list(request)
}

func (f *fake) GetModel(ctx context.Context, request *pb.GetModelRequest) (*pb.GetModelResponse, error) {
	f.note(ctx, "GetModel", request)
	return f.get(request)
}

// sends is a script that sends events and ends well.
func sends(events ...*pb.ImageStreamEvent) func(proto.Message, out) error {
	return func(_ proto.Message, out out) error {
		for _, event := range events {
			if err := out.Send(event); err != nil {
				return err
			}
		}
		return nil
	}
}

// hangs is a script that starts and then waits to be left.
func hangs(_ proto.Message, out out) error {
	if err := out.Send(started()); err != nil {
		return err
	}
	<-out.Context().Done()
	return out.Context().Err()
}

// reasoned is an error as the server words it.
func reasoned(code codes.Code, reason, billed string, more ...protoadapt.MessageV1) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: "imagegen", Metadata: map[string]string{"billed": billed}}
	told, err := status.New(code, "no").WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	if err != nil {
		panic(err)
	}
	return told.Err()
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	failure, ok := err.(*Error)
	if !ok {
		t.Fatalf("an *Error was due, and this came: %v", err)
	}
	return failure
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	if got := asError(t, err).Reason; got != "ERROR_REASON_"+reason {
		t.Fatalf("reason %q (%v), not %s", got, err, reason)
	}
}
