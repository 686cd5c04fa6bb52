package imagegen

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// What the server knows of a failure stands in the details of the status. Proxies drop or replace them, so two plain
// trailers repeat what matters most; and a status with none of them was made by a proxy or the transport. None of
// this may ever fail: an error about an error helps nobody.
const (
	domain             = "imagegen"
	reasonTrailer      = "imagegen-reason"
	billedTrailer      = "imagegen-billed"
	generationIDHeader = "imagegen-generation-id"
	requestIDHeader    = "imagegen-request-id"
)

// bareReasons is what a status can be taken to say that no server worded. Any other code says nothing of the reason.
var bareReasons = map[codes.Code]pb.ErrorReason{
	codes.Canceled:         pb.ErrorReason_ERROR_REASON_CANCELLED,
	codes.DeadlineExceeded: pb.ErrorReason_ERROR_REASON_TIMEOUT,
	codes.Unavailable:      pb.ErrorReason_ERROR_REASON_NETWORK_ERROR,
	codes.Unauthenticated:  pb.ErrorReason_ERROR_REASON_CALLER_UNAUTHENTICATED,
	codes.PermissionDenied: pb.ErrorReason_ERROR_REASON_CALLER_NOT_ALLOWED,
}

var billedWords = map[string]pb.Billed{
	"no": pb.Billed_BILLED_NO, "unknown": pb.Billed_BILLED_UNKNOWN, "yes": pb.Billed_BILLED_YES,
}

// readError reads all that an RPC's end tells. `silent` is what it means for the money that nobody told of it.
func readError(ctx context.Context, cause error, header, trailer metadata.MD, silent pb.Billed) *Error {
	told := statusOf(cause)
	err := &Error{Message: told.Message(), Code: told.Code(), Billed: silent, causes: []error{cause}}
	details := told.Proto().GetDetails()
	info := find[errdetails.ErrorInfo](details)
	err.worded = len(trailer.Get(reasonTrailer)) > 0
	err.Reason = first(trailer, reasonTrailer)
	if billed, ok := billedWords[first(trailer, billedTrailer)]; ok {
		err.Billed = billed
	}
	if info.GetDomain() == domain {
		err.worded = true
		err.Metadata = info.GetMetadata()
		if info.GetReason() != "" {
			err.Reason = info.GetReason()
		}
		if billed, ok := billedWords[err.Metadata["billed"]]; ok {
			err.Billed = billed
		}
	}
	if err.Reason == "" {
		if reason, ok := bareReasons[err.Code]; ok {
			err.Reason = reason.String()
		}
	}
	err.Provider, err.Model = err.Metadata["provider"], err.Metadata["model"]
	if retry := find[errdetails.RetryInfo](details).GetRetryDelay(); retry != nil {
		delay := retry.AsDuration()
		err.RetryDelay = &delay
	}
	err.Violations = find[errdetails.BadRequest](details).GetFieldViolations()
	failure := find[pb.GenerationFailure](details)
	err.Failures, err.Attempts, err.Usage = failure.GetFailures(), failure.GetAttempts(), failure.GetUsage()
	err.GenerationID = firstOf(failure.GetGenerationId(), err.Metadata["generation_id"], first(header, generationIDHeader))
	err.RequestID = firstOf(failure.GetRequestId(), err.Metadata["request_id"], first(header, requestIDHeader))
	ended := endedBy(ctx, err.Code)
	if ended != nil {
		err.causes = append(err.causes, ended)
	}
	err.remote = ended == nil
	return err
}

// endedBy is the error of the context where it was that which ended a call with this code, else nil.
func endedBy(ctx context.Context, code codes.Code) error {
	if code != codes.Canceled && code != codes.DeadlineExceeded {
		return nil
	}
	// The server keeps the same deadline, and its word may be here before the context's own timer.
	if deadline, ok := ctx.Deadline(); ok && code == codes.DeadlineExceeded && time.Until(deadline) < 100*time.Millisecond {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// statusOf is the status of an RPC's end, without what grpc's retries put around it.
func statusOf(err error) *status.Status {
	var inner interface{ GRPCStatus() *status.Status }
	if errors.As(err, &inner) {
		return unmixed(inner.GRPCStatus())
	}
	return unmixed(status.Convert(err))
}

// grpc puts this in place of a status whose details are about another code.
var mismatchPattern = regexp.MustCompile(`^grpc-status-details-bin mismatch: grpc-status=(\w+), grpc-message=("(?:[^"\\]|\\.)*")`)

// unmixed undoes that: the status that came counts, and its details do not.
func unmixed(told *status.Status) *status.Status {
	found := mismatchPattern.FindStringSubmatch(told.Message())
	if told.Code() != codes.Internal || found == nil {
		return told
	}
	message, err := strconv.Unquote(found[2])
	if err != nil {
		return told
	}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		if code.String() == found[1] {
			return status.New(code, message)
		}
	}
	return told
}

// find is the first detail of a type; empty if there is none that can be read.
func find[M any, P interface {
	*M
	proto.Message
}](details []*anypb.Any) P {
	for _, packed := range details {
		message := P(new(M))
		if packed.MessageIs(message) {
			if packed.UnmarshalTo(message) != nil {
				return new(M)
			}
			return message
		}
	}
	return new(M)
}

func first(md metadata.MD, key string) string { return firstOf(md.Get(key)...) }

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
