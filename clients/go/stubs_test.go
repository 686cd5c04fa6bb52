// Package imagegen_test holds what is checked of the stubs until the helper brings tests of its own.
package imagegen_test

import (
	"testing"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func only[T any](_ *T, err error) error { return err }

func first[T any](stream grpc.ServerStreamingClient[T], err error) error {
	if err == nil {
		_, err = stream.Recv()
	}
	return err
}

// Every method can be called; on a port where nobody listens the answer is Unavailable.
func TestEveryMethod(t *testing.T) {
	conn, err := grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	images, models, ctx := pb.NewImageServiceClient(conn), pb.NewModelServiceClient(conn), t.Context()
	draw := &pb.GenerateRequest{Model: "sandbox/scene", Input: &pb.ImageInput{Prompt: "a cat"}, OnDisconnect: pb.OnDisconnect_ON_DISCONNECT_DETACH}
	change := &pb.EditRequest{Input: &pb.ImageEditInput{Images: []*pb.ImageSource{{Source: &pb.ImageSource_ImageId{ImageId: "i"}}}}}
	for i, err := range []error{
		only(images.Generate(ctx, draw)),
		first(images.StreamGenerate(ctx, draw)),
		only(images.Edit(ctx, change)),
		first(images.StreamEdit(ctx, change)),
		first(images.Resume(ctx, &pb.ResumeRequest{Generation: &pb.ResumeRequest_RequestId{RequestId: "r"}})),
		only(images.Cancel(ctx, &pb.CancelRequest{Generation: &pb.CancelRequest_GenerationId{GenerationId: "g"}})),
		first(images.ReadImage(ctx, &pb.ReadImageRequest{ImageId: "i"})),
		only(images.UploadImage(ctx, &pb.UploadImageRequest{Sha256: "00"})),
		only(images.Explain(ctx, &pb.ExplainRequest{Request: &pb.ExplainRequest_Edit{Edit: change}})),
		only(models.ListModels(ctx, &pb.ListModelsRequest{})),
		only(models.GetModel(ctx, &pb.GetModelRequest{Model: "draft"})),
	} {
		if status.Code(err) != codes.Unavailable {
			t.Errorf("call %d: %v", i, err)
		}
	}
	var event pb.ImageStreamEvent
	event.Event = &pb.ImageStreamEvent_Failure{Failure: &pb.ImageFailure{Reason: pb.ErrorReason_ERROR_REASON_TIMEOUT}}
	if got := event.GetFailure().GetReason().String(); got != "ERROR_REASON_TIMEOUT" {
		t.Error(got)
	}
}
