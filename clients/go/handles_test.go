package imagegen

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

type pieces = grpc.ServerStreamingServer[pb.ReadImageResponse]

// reads is a script that hands out an image, and breaks off after so many pieces of each reading.
func reads(told *pb.Image, data []byte, end error, breaks ...int) func(*pb.ReadImageRequest, pieces) error {
	return func(request *pb.ReadImageRequest, out pieces) error {
		most := len(data)
		broken := len(breaks) > 0
		if broken {
			most, breaks = breaks[0], breaks[1:]
		}
		image := told
		for offset := int(request.GetOffset()); (offset < len(data) || image != nil) && most > 0; most-- {
			piece := data[offset:min(len(data), offset+chunkBytes)]
			if err := out.Send(&pb.ReadImageResponse{Image: image, Offset: uint32(offset), Data: piece}); err != nil {
				return err
			}
			offset += len(piece)
			image = nil
		}
		if broken {
			return end
		}
		return nil
	}
}

// An image by reference keeps its index and metadata when its bytes are fetched; one with bytes is returned as it is.
func TestRead(t *testing.T) {
	server := serve(t)
	data := picture(2500, 1)
	made := &pb.GeneratedImage{Index: 3, Image: facts(data), Seed: proto.Int64(7)}
	server.read = reads(facts(data), data, nil)
	client := server.connect(t)
	read := must(client.Read(t.Context(), generatedFromProto(made, nil)))(t)
	if !bytes.Equal(read.Bytes(), data) || read.Index() != 3 || read.Generated().GetSeed() != 7 || read.MediaType() != "image/png" {
		t.Fatal(read)
	}
	if again := must(client.Read(t.Context(), read))(t); again != read {
		t.Fatal("it was read again")
	}
	_, err := client.Read(t.Context(), ImageFromURL("https://example.com/x.png"))
	wantRefusal(t, err, "image")
	_, err = client.ReadImage(t.Context(), "")
	wantRefusal(t, err, "image_id")
}

// A read that breaks off goes on once from the next byte, and the whole is checked; a second break is an error.
func TestReadGoesOnOnce(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	data := picture(2500, 1)
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.Unknown} {
		for at := 1; at <= 3; at++ {
			server.read = reads(facts(data), data, status.Error(code, "broke"), at)
			if read := must(client.ReadImage(t.Context(), "img_1"))(t); !bytes.Equal(read.Bytes(), data) {
				t.Fatal("other bytes")
			}
		}
	}
	before := len(server.called("ReadImage"))
	server.read = reads(facts(data), data, status.Error(codes.Internal, "broke"), 1, 1, 1)
	_, err := client.ReadImage(t.Context(), "img_1")
	if failure := asError(t, err); failure.Code != codes.Internal || failure.Billed != billedNo || len(server.called("ReadImage")) != before+2 {
		t.Fatal(failure)
	}
}

// Bytes that are not those that were told of are an error, and what the server says is final.
func TestReadThatIsWrong(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	data, other := picture(2500, 1), picture(2500, 2)
	for name, script := range map[string]func(*pb.ReadImageRequest, pieces) error{
		"other bytes":  reads(facts(data), other, nil),
		"short":        reads(facts(data), data[:1500], nil),
		"nothing":      reads(nil, nil, nil),
		"another file": reads(facts(other), other, nil),
	} {
		server.read = script
		_, err := client.Read(t.Context(), generatedFromProto(&pb.GeneratedImage{Image: facts(data)}, nil))
		if err == nil {
			t.Error(name)
			continue
		}
		wantReason(t, err, "INVALID_RESPONSE")
		if asError(t, err).Billed != billedNo {
			t.Errorf("%s: a read never costs", name)
		}
	}
	before := len(server.called("ReadImage"))
	server.read = func(*pb.ReadImageRequest, pieces) error {
		return reasoned(codes.NotFound, "ERROR_REASON_IMAGE_NOT_FOUND", "no")
	}
	_, err := client.ReadImage(t.Context(), "img_1")
	wantReason(t, err, "IMAGE_NOT_FOUND")
	if len(server.called("ReadImage")) != before+1 {
		t.Fatal("it was asked again")
	}
}

// Cancel takes either id and tells whether the generation was running; what the server says is the error.
func TestCancel(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	if stopped := must(client.Cancel(t.Context(), RequestID("mine")))(t); !stopped {
		t.Fatal("not stopped")
	}
	if request := server.called("Cancel")[0].request.(*pb.CancelRequest); request.GetRequestId() != "mine" {
		t.Fatal(request)
	}
	server.cancel = func(*pb.CancelRequest) (*pb.CancelResponse, error) {
		return nil, reasoned(codes.NotFound, "ERROR_REASON_GENERATION_NOT_FOUND", "no")
	}
	_, err := client.Cancel(t.Context(), GenerationID("gen_1"))
	wantReason(t, err, "GENERATION_NOT_FOUND")
}

// The request that would be sent is explained, without previews unless they are asked for.
func TestExplain(t *testing.T) {
	server := serve(t)
	bound := server.connect(t).Image(scene, WithOnDisconnect(detach))
	if calls := must(bound.Explain(t.Context(), "a cat"))(t); len(calls) != 1 || calls[0].GetModel() != scene {
		t.Fatal(calls)
	}
	must(bound.ExplainEdit(t.Context(), EditInput{Prompt: "a dog", Images: []*Image{ImageFromID("img_1")}}))(t)
	asked := server.called("Explain")
	drawn, changed := asked[0].request.(*pb.ExplainRequest).GetGenerate(), asked[1].request.(*pb.ExplainRequest).GetEdit()
	if drawn.GetOptions().PreviewCount == nil || drawn.GetRequestId() != "" || changed.GetInput().GetImages()[0].GetImageId() != "img_1" {
		t.Fatal(drawn, changed)
	}
}

// The capabilities are asked for once, and all pages of the models are read.
func TestModels(t *testing.T) {
	server := serve(t)
	server.get = func(*pb.GetModelRequest) (*pb.GetModelResponse, error) {
		return &pb.GetModelResponse{Model: &pb.Model{}}, nil
	}
	server.list = func(request *pb.ListModelsRequest) (*pb.ListModelsResponse, error) {
		if request.GetPageToken() == "" {
			return &pb.ListModelsResponse{Models: []*pb.Model{{Name: "a"}}, NextPageToken: "next"}, nil
		}
		return &pb.ListModelsResponse{Models: []*pb.Model{{Name: "b"}}, Unreachable: []*pb.UnreachableProvider{{Provider: "c"}}}, nil
	}
	client := server.connect(t)
	bound := client.Image(scene)
	for range 2 {
		if can := must(bound.Capabilities(t.Context()))(t); can == nil || can.Mask != nil {
			t.Fatal(can)
		}
	}
	if asked := len(server.called("GetModel")); asked != 1 {
		t.Fatal(asked)
	}
	list := client.Models("sandbox")
	var names []string
	for model, err := range list.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, model.GetName())
	}
	if !slices.Equal(names, []string{"a", "b"}) || list.Unreachable()[0].GetProvider() != "c" {
		t.Fatal(names, list.Unreachable())
	}
	server.list = func(*pb.ListModelsRequest) (*pb.ListModelsResponse, error) {
		return nil, reasoned(codes.PermissionDenied, "ERROR_REASON_CALLER_NOT_ALLOWED", "no")
	}
	var last error
	for _, last = range list.All(t.Context()) {
	}
	wantReason(t, last, "CALLER_NOT_ALLOWED")
	var failure *Error
	if !errors.As(last, &failure) {
		t.Fatal(last)
	}
}

// An image of a result goes into an edit with its bytes and metadata, or else by its id.
func TestResultIntoEdit(t *testing.T) {
	server := serve(t)
	server.stream = sends(simple...)
	said := must(structpb.NewStruct(map[string]any{"id": "x"}))(t)
	made := &pb.GeneratedImage{Image: facts(small), Metadata: map[string]*structpb.Struct{"openai": said}}
	bound := server.connect(t).Image(scene)
	must(bound.Edit(t.Context(), EditInput{
		Prompt: "a cat", Images: []*Image{generatedFromProto(made, small), generatedFromProto(made, nil)}, Mask: ImageFromURL("https://example.com"),
	}))(t)
	input := server.called("StreamEdit")[0].request.(*pb.EditRequest).GetInput()
	with, without := input.GetImages()[0], input.GetImages()[1]
	if !bytes.Equal(with.GetData(), small) || with.GetMetadata()["openai"].AsMap()["id"] != "x" ||
		without.GetImageId() != "img_500" || without.GetMetadata() != nil || input.GetMask().GetUrl() == "" {
		t.Fatal(input)
	}
}

// Who waits for another's question about the capabilities may give up; that never costs anything.
func TestWaitForCapabilities(t *testing.T) {
	server := serve(t)
	release := make(chan struct{})
	server.get = func(*pb.GetModelRequest) (*pb.GetModelResponse, error) { <-release; return &pb.GetModelResponse{}, nil }
	bound := server.connect(t).Image(scene)
	asked := make(chan error, 1)
	go func() {
		_, err := bound.Capabilities(context.Background())
		asked <- err
	}()
	server.awaitCall(t, "GetModel")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := bound.Capabilities(ctx)
	wantReason(t, err, "CANCELLED")
	if asError(t, err).Billed != billedNo {
		t.Error(asError(t, err).Billed)
	}
	close(release)
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
}
