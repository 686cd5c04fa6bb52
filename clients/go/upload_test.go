package imagegen

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A shelf is what stands behind UploadImage.
type shelf struct {
	there []byte
	size  uint32
	calls int
	fails []int // calls that break, after the piece was taken
	code  codes.Code
}

func (s *shelf) take(request *pb.UploadImageRequest) (*pb.UploadImageResponse, error) {
	s.calls++
	s.size = request.GetSizeBytes()
	if int(request.GetOffset()) == len(s.there) {
		s.there = append(s.there, request.GetData()...)
	}
	if slices.Contains(s.fails, s.calls) {
		return nil, status.Error(s.code, "broke")
	}
	answer := &pb.UploadImageResponse{CommittedBytes: uint32(len(s.there))}
	if len(s.there) == int(s.size) {
		answer.Image = facts(s.there)
	}
	return answer, nil
}

// It asks first, sends what is missing in pieces below 1 MB, and goes on where the line breaks; the reference goes into an
// edit instead of the bytes.
func TestUpload(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	data := picture(2*pieceBytes+5, 1)
	image := must(ImageFromBytes(data, "image/png"))(t)
	for _, shelf := range []*shelf{
		{}, {there: bytes.Clone(data[:100])}, {there: bytes.Clone(data)},
		{fails: []int{1}, code: codes.Internal}, {fails: []int{2, 4, 6}, code: codes.Unknown}, {fails: []int{4}, code: codes.Internal},
	} {
		server.upload = shelf.take
		before := len(server.called("UploadImage"))
		uploaded := must(client.Upload(t.Context(), image))(t)
		if !bytes.Equal(shelf.there, data) || uploaded.Bytes() != nil || uploaded.ID() != facts(data).GetImageId() {
			t.Fatal(len(shelf.there), uploaded)
		}
		for i, made := range server.called("UploadImage")[before:] {
			if sent := len(made.request.(*pb.UploadImageRequest).GetData()); sent > pieceBytes || i == 0 && sent > 0 {
				t.Fatal(i, sent)
			}
		}
		source := must(uploaded.source("x"))(t)
		if source.GetImageId() != uploaded.ID() || source.GetData() != nil {
			t.Fatal(source)
		}
	}
}

// A line that stays broken, a server that takes nothing, one that speaks of another image, one that refuses: errors.
func TestUploadThatGetsNowhere(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	image := must(ImageFromBytes(picture(100, 1), ""))(t)
	for reason, script := range map[string]func(*pb.UploadImageRequest) (*pb.UploadImageResponse, error){
		"CANCELLED": func(*pb.UploadImageRequest) (*pb.UploadImageResponse, error) {
			return nil, status.Error(codes.Canceled, "broke")
		},
		"INVALID_RESPONSE": func(*pb.UploadImageRequest) (*pb.UploadImageResponse, error) { return &pb.UploadImageResponse{}, nil },
		"CALLER_NOT_ALLOWED": func(*pb.UploadImageRequest) (*pb.UploadImageResponse, error) {
			return nil, reasoned(codes.PermissionDenied, "ERROR_REASON_CALLER_NOT_ALLOWED", "no")
		},
	} {
		server.upload = script
		_, err := client.Upload(t.Context(), image)
		wantReason(t, err, reason)
		if asError(t, err).Billed != billedNo {
			t.Errorf("%s: an upload never costs", reason)
		}
	}
	server.upload = func(*pb.UploadImageRequest) (*pb.UploadImageResponse, error) {
		return &pb.UploadImageResponse{Image: facts(picture(100, 2))}, nil
	}
	_, err := client.Upload(t.Context(), image)
	wantReason(t, err, "INVALID_RESPONSE")
	if asError(t, err).Billed != billedNo {
		t.Error("an upload never costs")
	}
	_, err = client.Upload(t.Context(), ImageFromID("img_1"))
	wantRefusal(t, err, "image")
}

// With its client an upload ends at once, in mid-call and between two tries.
func TestUploadEndsWithItsClient(t *testing.T) {
	image := must(ImageFromBytes(picture(100, 1), ""))(t)
	for name, end := range map[string]func(released chan struct{}) error{
		"in mid-call":       func(released chan struct{}) error { <-released; return nil },
		"between two tries": func(chan struct{}) error { return status.Error(codes.Internal, "broke") },
	} {
		server := serve(t)
		released := make(chan struct{})
		defer close(released)
		server.upload = func(*pb.UploadImageRequest) (*pb.UploadImageResponse, error) { return nil, end(released) }
		client := server.connect(t)
		client.delays = []time.Duration{time.Hour}
		failed := make(chan error, 1)
		go func() {
			_, err := client.Upload(context.Background(), image)
			failed <- err
		}()
		server.awaitCall(t, "UploadImage")
		_ = client.Close()
		select {
		case err := <-failed:
			wantReason(t, err, "CANCELLED")
		case <-time.After(patience / 4):
			t.Fatal(name)
		}
	}
}
