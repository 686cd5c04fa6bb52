package main

import (
	"errors"

	imagegen "github.com/imagegen/imagegen/clients/go"
	"github.com/imagegen/imagegen/clients/go/imagegen/v1"
	conformancev1 "github.com/imagegen/imagegen/tests/conformance/go/conformance/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// came tells of a result.
func came(result *imagegen.Result, err error, done *conformancev1.Outcome) error {
	if err != nil {
		return err
	}
	done.Result = &imagegenv1.ImageResult{
		GenerationId: result.GenerationID,
		RequestId:    result.RequestID,
		Model:        result.Model,
		Failures:     result.Failures,
		Usage:        result.Usage,
		Warnings:     result.Warnings,
		Attempts:     result.Attempts,
		Metadata:     result.Metadata,
	}
	for _, image := range result.Images {
		done.Result.Images = append(done.Result.Images, image.Generated())
		if len(image.Bytes()) > 0 {
			done.Pictures = append(done.Pictures, describe(image.Generated(), 0, image.Bytes()))
		}
	}
	return nil
}

var errUnsupported = errors.New("the helper has no way to say this")

// tell sorts an error: the call failed, or nothing was sent.
func tell(err error, done *conformancev1.Outcome) {
	var failed *imagegen.Error
	switch {
	case err == nil:
	case errors.Is(err, errUnsupported):
		done.Unsupported = err.Error()
	case errors.As(err, &failed):
		done.Failure = failure(failed)
	default:
		done.Refused = err.Error()
	}
}

func failure(err *imagegen.Error) *conformancev1.Failure {
	told := &conformancev1.Failure{
		Code:         uint32(err.Code),
		Reason:       err.Reason,
		Billed:       billedWords[err.Billed],
		Message:      err.Message,
		Provider:     err.Provider,
		Model:        err.Model,
		Failures:     err.Failures,
		Attempts:     err.Attempts,
		Usage:        err.Usage,
		Metadata:     err.Metadata,
		GenerationId: err.GenerationID,
		RequestId:    err.RequestID,
	}
	if err.RetryDelay != nil {
		told.RetryDelay = durationpb.New(*err.RetryDelay)
	}
	for _, violation := range err.Violations {
		told.Violations = append(told.Violations, &conformancev1.Violation{
			Field: violation.GetField(), Description: violation.GetDescription(),
		})
	}
	return told
}
