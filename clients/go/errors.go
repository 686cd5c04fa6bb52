package imagegen

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	billedNo      = pb.Billed_BILLED_NO
	billedUnknown = pb.Billed_BILLED_UNKNOWN
	reasonPrefix  = "ERROR_REASON_"
)

// An Error is how a call failed, whether the server, the network or this client found it out. Get it with [errors.As].
// Where the caller's own context ended the call, [errors.Is] finds [context.Canceled] or [context.DeadlineExceeded].
type Error struct {
	// Message is for people. It holds no prompt and no key.
	Message string
	// Code is the gRPC status code.
	Code codes.Code
	// Reason is the full name of an ErrorReason, "ERROR_REASON_RATE_LIMITED", also of one that this client does not know:
	// treat that like PROVIDER_ERROR. Empty: nobody told. [Error.HasReason] compares.
	Reason string
	// Provider is the one that failed, by its name in the server's configuration. Empty: not told.
	Provider string
	// Model is "provider/model", or as asked for. Empty: not told.
	Model string
	// Billed tells whether the call was paid for. BILLED_UNKNOWN: it may have been.
	Billed pb.Billed
	// RetryDelay is the wait before the same call can succeed. Nil: not known, or waiting does not help.
	RetryDelay *time.Duration
	// Violations tell what is wrong with the request, field by field.
	Violations []*errdetails.BadRequest_FieldViolation
	// Failures has one for each image that did not come, once a provider was called.
	Failures []*pb.ImageFailure
	// Attempts are the provider calls made, oldest first.
	Attempts []*pb.Attempt
	// Usage is what is known of use. Nil: nothing.
	Usage *pb.ImageUsage
	// Metadata is what else is known, such as stage, http_status, provider_code, provider_request_id.
	Metadata map[string]string
	// GenerationID is the server's id, for support and Resume. Empty: none was made, or it was not told.
	GenerationID string
	// RequestID is the name of the wish. Empty: not told.
	RequestID string

	causes []error
	// worded: the imagegen server itself said why, rather than a proxy, the transport or this client.
	worded bool
	// remote: it is the end of an RPC that was not ended on this side.
	remote bool
	// unfinished: the stream ended in good order, without a result.
	unfinished bool
}

// Error is reason, message, and what is wrong by field unless the message has said it, on one line.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString("imagegen: ")
	if e.Reason != "" {
		text.WriteString(strings.TrimPrefix(e.Reason, reasonPrefix))
	} else {
		text.WriteString(e.Code.String())
	}
	if e.Message != "" {
		text.WriteString(": " + e.Message)
	}
	var fields []string
	for _, violation := range e.Violations {
		if !strings.Contains(e.Message, violation.GetDescription()) {
			fields = append(fields, violation.GetField()+": "+violation.GetDescription())
		}
	}
	if len(fields) > 0 {
		text.WriteString(" (" + strings.Join(fields, "; ") + ")")
	}
	return text.String()
}

// HasReason tells whether the call failed for this reason.
func (e *Error) HasReason(reason pb.ErrorReason) bool { return e.Reason == reason.String() }

// Unwrap gives the errors that caused this one: the gRPC error, and that of the caller's context where it ended the call.
func (e *Error) Unwrap() []error { return e.causes }

// GRPCStatus is the status as gRPC tells it, with its details, for the package google.golang.org/grpc/status.
func (e *Error) GRPCStatus() *status.Status {
	for _, cause := range e.causes {
		if told, ok := status.FromError(cause); ok && told.Code() == e.Code {
			return told
		}
	}
	return status.New(e.Code, e.Message)
}

// A RefusedError is a mistake that this client saw before anything was sent.
type RefusedError struct {
	// Field is the argument, or the path in the request: "params.openai.n".
	Field string
	// Problem is what is wrong with it, and what to do.
	Problem string
}

func (e *RefusedError) Error() string { return "imagegen: " + e.Field + ": " + e.Problem }

func refused(field, format string, arguments ...any) *RefusedError {
	return &RefusedError{Field: field, Problem: fmt.Sprintf(format, arguments...)}
}

// invalidResponse is for an answer that does not keep what the API promises; what became of the money is not known.
func invalidResponse(format string, arguments ...any) *Error {
	return &Error{
		Message: fmt.Sprintf(format, arguments...),
		Code:    codes.Internal,
		Reason:  pb.ErrorReason_ERROR_REASON_INVALID_RESPONSE.String(),
		Billed:  billedUnknown,
	}
}

// free is for a failure that this client found out, of a method that never costs anything.
func free(err error) error {
	var failure *Error
	if errors.As(err, &failure) {
		failure.Billed = billedNo
	}
	return err
}

// stopped is for a call that was stopped on this side.
func stopped(message string) *Error {
	return &Error{
		Message: message,
		Code:    codes.Canceled,
		Reason:  pb.ErrorReason_ERROR_REASON_CANCELLED.String(),
		Billed:  billedUnknown,
	}
}

// contextEnded is for a call whose context ended while it waited, or whose time ran out.
func contextEnded(ctx context.Context, message string, causes ...error) *Error {
	err := stopped(message)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err.Code, err.Reason = codes.DeadlineExceeded, pb.ErrorReason_ERROR_REASON_TIMEOUT.String()
	}
	err.causes = append([]error{ctx.Err()}, causes...)
	return err
}

// broke tells whether the transport or a proxy ended the call on its way, so that the server may know better how it
// went.
func (e *Error) broke() bool {
	if !e.remote || e.worded {
		return false
	}
	switch e.Code {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.Canceled:
		return true
	}
	return false
}
