package imagegen

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// failing is the error that a call ends in.
func failing(t *testing.T, end error, header, trailer metadata.MD) *Error {
	t.Helper()
	server := serve(t)
	server.stream = func(_ proto.Message, out out) error {
		out.SetTrailer(trailer)
		_ = out.SendHeader(header)
		return end
	}
	_, err := server.connect(t).Image(scene).Generate(t.Context(), "a cat")
	return asError(t, err)
}

// Everything that the server tells of a failure can be read from the error.
func TestAllDetailsArrive(t *testing.T) {
	told, err := status.New(codes.ResourceExhausted, "too much").WithDetails(
		&errdetails.ErrorInfo{Reason: "ERROR_REASON_RATE_LIMITED", Domain: "imagegen", Metadata: map[string]string{
			"provider": "openai", "model": "openai/gpt-image-2", "billed": "no", "http_status": "429", "request_id": "req_0",
		}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(2500 * time.Millisecond)},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "options.size", Description: "odd"}}},
		&pb.GenerationFailure{
			GenerationId: "gen_1", RequestId: "req_1", Failures: []*pb.ImageFailure{{Index: 3}},
			Attempts: []*pb.Attempt{{Provider: "openai"}}, Usage: &pb.ImageUsage{InputTokens: proto.Uint32(7)},
		})
	if err != nil {
		t.Fatal(err)
	}
	failure := failing(t, told.Err(), nil, nil)
	if failure.Message != "too much" || failure.Code != codes.ResourceExhausted || failure.Billed != billedNo ||
		failure.Provider != "openai" || failure.Model != "openai/gpt-image-2" || *failure.RetryDelay != 2500*time.Millisecond ||
		failure.Violations[0].GetField() != "options.size" || failure.Failures[0].GetIndex() != 3 ||
		failure.Attempts[0].GetProvider() != "openai" || failure.Usage.GetInputTokens() != 7 || failure.Usage.OutputTokens != nil ||
		failure.Metadata["http_status"] != "429" || failure.GenerationID != "gen_1" || failure.RequestID != "req_1" ||
		!failure.HasReason(pb.ErrorReason_ERROR_REASON_RATE_LIMITED) {
		t.Fatalf("%+v", failure)
	}
	if text := failure.Error(); text != "imagegen: RATE_LIMITED: too much (options.size: odd)" {
		t.Fatal(text)
	}
	if status.Code(failure) != codes.ResourceExhausted || len(failure.GRPCStatus().Details()) != 4 {
		t.Fatal(failure.GRPCStatus())
	}
}

// Where a proxy took the details away, or they are garbled or about another code, reason and money are still told.
func TestPlainTrailersAreEnough(t *testing.T) {
	other, err := status.New(codes.NotFound, "other").WithDetails(
		&errdetails.ErrorInfo{Reason: "ERROR_REASON_TIMEOUT", Domain: "imagegen"})
	if err != nil {
		t.Fatal(err)
	}
	for name, details := range map[string][]string{
		"none":         nil,
		"garbled":      {"\xff\xfe\xfd"},
		"another code": {string(must(proto.Marshal(other.Proto()))(t))},
	} {
		trailer := metadata.Pairs("imagegen-reason", "ERROR_REASON_QUOTA_EXCEEDED", "imagegen-billed", "yes")
		trailer["grpc-status-details-bin"] = details
		failure := failing(t, status.Error(codes.ResourceExhausted, `all "used" up`), nil, trailer)
		if failure.Reason != "ERROR_REASON_QUOTA_EXCEEDED" || failure.Billed != pb.Billed_BILLED_YES ||
			failure.Code != codes.ResourceExhausted || failure.Message != `all "used" up` {
			t.Errorf("%s: %+v", name, failure)
		}
	}
}

// An ErrorInfo of another domain gives neither a reason nor a word about money; unknown reasons are kept as text.
func TestForeignAndUnknownReasons(t *testing.T) {
	foreign, err := status.New(codes.Aborted, "no").WithDetails(
		&errdetails.ErrorInfo{Reason: "OTHER", Domain: "example.com", Metadata: map[string]string{"billed": "yes"}})
	if err != nil {
		t.Fatal(err)
	}
	if failure := failing(t, foreign.Err(), nil, nil); failure.Reason != "" || failure.Billed != billedUnknown {
		t.Fatalf("%+v", failure)
	}
	failure := failing(t, reasoned(codes.Aborted, "ERROR_REASON_FROM_THE_FUTURE", "yes"), nil, nil)
	if failure.Reason != "ERROR_REASON_FROM_THE_FUTURE" || failure.Billed != pb.Billed_BILLED_YES {
		t.Fatalf("%+v", failure)
	}
}

// A status that no imagegen server worded says only what its code says, and that money may have been spent.
func TestBareStatus(t *testing.T) {
	for code, reason := range map[codes.Code]string{
		codes.Canceled: "ERROR_REASON_CANCELLED", codes.DeadlineExceeded: "ERROR_REASON_TIMEOUT",
		codes.Unavailable: "ERROR_REASON_NETWORK_ERROR", codes.Unauthenticated: "ERROR_REASON_CALLER_UNAUTHENTICATED",
		codes.PermissionDenied: "ERROR_REASON_CALLER_NOT_ALLOWED", codes.Internal: "", codes.ResourceExhausted: "",
	} {
		failure := failing(t, status.Error(code, "proxy"), nil, nil)
		if failure.Reason != reason || failure.Billed != billedUnknown || failure.Code != code || failure.worded {
			t.Errorf("%v: %+v", code, failure)
		}
	}
}

// A call that died without details still leaves its ids.
func TestIDsFromInitialMetadata(t *testing.T) {
	header := metadata.Pairs("imagegen-generation-id", "gen_9", "imagegen-request-id", "req_9")
	failure := failing(t, status.Error(codes.Internal, "proxy"), header, nil)
	if failure.GenerationID != "gen_9" || failure.RequestID != "req_9" {
		t.Fatalf("%+v", failure)
	}
}

// Where there never was a connection nothing was sent and nothing paid; free methods never cost anything.
func TestNobodyListens(t *testing.T) {
	client := connectTo(t, "127.0.0.1:1")
	_, err := client.Image(scene).Generate(t.Context(), "a cat")
	wantReason(t, err, "NETWORK_ERROR")
	if failure := asError(t, err); failure.Billed != billedNo || failure.Code != codes.Unavailable {
		t.Fatal(failure)
	}
	_, err = client.Model(t.Context(), scene)
	if failure := asError(t, err); failure.Billed != billedNo || strings.Contains(failure.Message, "attempts") {
		t.Fatal(failure)
	}
}

// Whatever stands in the trailers, the result is an error that says what is known.
func FuzzTrailers(f *testing.F) {
	f.Add([]byte{}, "", uint32(14), "")
	f.Add([]byte{8, 14, 26, 3, 10, 1, 65}, "ERROR_REASON_TIMEOUT", uint32(14), "grpc-status-details-bin mismatch: grpc-status=NotFound, grpc-message=\"")
	f.Fuzz(func(t *testing.T, details []byte, reason string, code uint32, message string) {
		trailer := metadata.Pairs(reasonTrailer, reason, billedTrailer, reason)
		told := status.New(codes.Code(max(1, code%17)), message).Proto()
		_ = proto.Unmarshal(details, told)
		told.Code = max(1, told.GetCode())
		failure := readError(t.Context(), status.ErrorProto(told), trailer, trailer, billedUnknown)
		if failure.Error() == "" || !slices.Contains([]pb.Billed{1, 2, 3}, failure.Billed) || errors.Unwrap(failure) != nil {
			t.Fatalf("%+v", failure)
		}
	})
}
