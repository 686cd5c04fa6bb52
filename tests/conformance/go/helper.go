package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	imagegen "github.com/imagegen/imagegen/clients/go"
	"github.com/imagegen/imagegen/clients/go/imagegen/v1"
	conformancev1 "github.com/imagegen/imagegen/tests/conformance/go/conformance/v1"
	"google.golang.org/protobuf/types/known/structpb"
)

// withHelper does a step with the helper.
func withHelper(step *conformancev1.Step) *conformancev1.Outcome {
	if step.GetRetryingChannel() {
		return &conformancev1.Outcome{Unsupported: "retrying_channel with the helper"}
	}
	done := &conformancev1.Outcome{}
	client, err := connect(step)
	if err == nil {
		defer client.Close()
		err = do(client, step, done)
	}
	tell(err, done)
	return done
}

func connect(step *conformancev1.Step) (*imagegen.Client, error) {
	options := []imagegen.ClientOption{
		imagegen.WithToken(step.GetToken()),
		imagegen.WithTimeout(time.Duration(step.GetTimeoutMs()) * time.Millisecond),
	}
	if step.GetCaFile() != "" {
		pem, err := os.ReadFile(step.GetCaFile())
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", step.GetCaFile())
		}
		options = append(options, imagegen.WithTLS(&tls.Config{RootCAs: roots}))
	}
	return imagegen.NewClient(step.GetAddress(), options...)
}

func do(client *imagegen.Client, step *conformancev1.Step, done *conformancev1.Outcome) error {
	ctx := context.Background()
	switch operation := step.GetOperation().(type) {
	case *conformancev1.Step_Generate:
		request := operation.Generate
		result, err := client.Image(request.GetModel()).Generate(ctx, request.GetInput().GetPrompt(), settings(step, request)...)
		return came(result, err, done)
	case *conformancev1.Step_Stream:
		request := operation.Stream
		stream, err := client.Image(request.GetModel()).Stream(ctx, request.GetInput().GetPrompt(), settings(step, request)...)
		return watch(stream, err, step.GetLeave(), done)
	case *conformancev1.Step_Edit:
		input, err := editInput(operation.Edit.GetInput())
		if err != nil {
			return err
		}
		result, err := client.Image(operation.Edit.GetModel()).Edit(ctx, input, settings(step, operation.Edit)...)
		return came(result, err, done)
	case *conformancev1.Step_StreamEdit:
		input, err := editInput(operation.StreamEdit.GetInput())
		if err != nil {
			return err
		}
		stream, err := client.Image(operation.StreamEdit.GetModel()).StreamEdit(ctx, input, settings(step, operation.StreamEdit)...)
		return watch(stream, err, step.GetLeave(), done)
	case *conformancev1.Step_Resume:
		request := operation.Resume
		options := []imagegen.ResumeOption{imagegen.AfterSequence(request.GetAfterSequence())}
		if request.GetDelivery() != nil {
			options = append(options, imagegen.WithDelivery(request.GetDelivery().GetMode()))
		}
		stream, err := client.Resume(ctx, reference(request), options...)
		return watch(stream, err, step.GetLeave(), done)
	case *conformancev1.Step_Cancel:
		stopped, err := client.Cancel(ctx, reference(operation.Cancel))
		if err == nil {
			done.Stopped = &stopped
		}
		return err
	case *conformancev1.Step_Read:
		if operation.Read.GetOffset() != 0 {
			return errUnsupported
		}
		image, err := client.ReadImage(ctx, operation.Read.GetImageId())
		if err != nil {
			return err
		}
		done.Image = image.Facts()
		done.Pictures = []*conformancev1.Picture{describe(&imagegenv1.GeneratedImage{Image: image.Facts()}, 0, image.Bytes())}
		return nil
	case *conformancev1.Step_UploadFile:
		image, err := imagegen.ImageFromFile(operation.UploadFile)
		if err != nil {
			return err
		}
		uploaded, err := client.Upload(ctx, image)
		if err == nil {
			done.Image = uploaded.Facts()
		}
		return err
	case *conformancev1.Step_Explain:
		calls, err := explain(ctx, client, step, operation.Explain)
		if err == nil {
			done.Explained = &imagegenv1.ExplainResponse{Calls: calls}
		}
		return err
	case *conformancev1.Step_ListModels:
		list := client.Models(operation.ListModels.GetProvider())
		for model, err := range list.All(ctx) {
			if err != nil {
				return err
			}
			done.Models = append(done.Models, model)
		}
		done.Unreachable = list.Unreachable()
		return nil
	case *conformancev1.Step_GetModel:
		model, err := client.Model(ctx, operation.GetModel.GetModel())
		if err == nil {
			done.Models = []*imagegenv1.Model{model}
		}
		return err
	case *conformancev1.Step_Measure:
		measured, err := measureHelper(ctx, client, operation.Measure)
		done.Measured = measured
		return err
	}
	return errUnsupported
}

// A wish is what generating and editing requests have in common.
type wish interface {
	GetOptions() *imagegenv1.ImageOptions
	GetParams() map[string]*structpb.Struct
	GetStrict() bool
	GetDelivery() *imagegenv1.Delivery
	GetRequestId() string
	GetOnDisconnect() imagegenv1.OnDisconnect
	GetRetry() *imagegenv1.RetryPolicy
}

// settings are what the helper is told; what the request leaves unset is left to the helper.
func settings(step *conformancev1.Step, request wish) []imagegen.CallOption {
	var said []imagegen.CallOption
	if request.GetOptions() != nil {
		said = append(said, imagegen.WithOptions(request.GetOptions()))
	}
	if len(request.GetParams()) > 0 {
		said = append(said, imagegen.WithParams(plainParams(request)))
	}
	if request.GetStrict() {
		said = append(said, imagegen.WithStrict(true))
	}
	if request.GetDelivery() != nil {
		said = append(said, imagegen.WithDelivery(request.GetDelivery().GetMode()))
	}
	if request.GetRequestId() != "" {
		said = append(said, imagegen.WithRequestID(request.GetRequestId()))
	}
	if request.GetOnDisconnect() != imagegenv1.OnDisconnect_ON_DISCONNECT_UNSPECIFIED {
		said = append(said, imagegen.WithOnDisconnect(request.GetOnDisconnect()))
	}
	if retry := request.GetRetry(); retry != nil {
		said = append(said,
			imagegen.WithFallbackModels(retry.GetFallbackModels()...),
			imagegen.WithRetryAmbiguous(retry.GetRetryAmbiguous()),
			imagegen.WithFallbackOnContentFiltered(retry.GetFallbackOnContentFiltered()))
	}
	if step.GetResumable() {
		said = append(said, imagegen.WithResumable(true))
	}
	return said
}

func plainParams(request wish) imagegen.Params {
	params := imagegen.Params{}
	for provider, values := range request.GetParams() {
		params[provider] = values.AsMap()
	}
	return params
}

func editInput(told *imagegenv1.ImageEditInput) (imagegen.EditInput, error) {
	input := imagegen.EditInput{Prompt: told.GetPrompt()}
	for _, source := range told.GetImages() {
		image, err := imageFrom(source)
		if err != nil {
			return input, err
		}
		input.Images = append(input.Images, image)
	}
	if told.GetMask() == nil {
		return input, nil
	}
	mask, err := imageFrom(told.GetMask())
	input.Mask = mask
	return input, err
}

func imageFrom(source *imagegenv1.ImageSource) (*imagegen.Image, error) {
	if len(source.GetMetadata()) > 0 {
		return nil, errUnsupported // it goes along with an image of a result, and is not said by hand
	}
	switch from := source.GetSource().(type) {
	case *imagegenv1.ImageSource_Url:
		return imagegen.ImageFromURL(from.Url), nil
	case *imagegenv1.ImageSource_ImageId:
		return imagegen.ImageFromID(from.ImageId), nil
	}
	return imagegen.ImageFromBytes(source.GetData(), source.GetMediaType())
}

func reference(request interface {
	GetGenerationId() string
	GetRequestId() string
}) imagegen.GenerationRef {
	if request.GetRequestId() != "" {
		return imagegen.RequestID(request.GetRequestId())
	}
	return imagegen.GenerationID(request.GetGenerationId())
}

func explain(
	ctx context.Context, client *imagegen.Client, step *conformancev1.Step, request *imagegenv1.ExplainRequest,
) ([]*imagegenv1.PlannedCall, error) {
	if wanted := request.GetGenerate(); wanted != nil {
		return client.Image(wanted.GetModel()).Explain(ctx, wanted.GetInput().GetPrompt(), settings(step, wanted)...)
	}
	wanted := request.GetEdit()
	input, err := editInput(wanted.GetInput())
	if err != nil {
		return nil, err
	}
	return client.Image(wanted.GetModel()).ExplainEdit(ctx, input, settings(step, wanted)...)
}

// watch reads a stream, or leaves it on the way.
func watch(stream *imagegen.Stream, err error, leave *conformancev1.Leave, done *conformancev1.Outcome) error {
	if err != nil {
		return err
	}
	defer stream.Close()
	defer func() {
		done.LastSequence, done.GenerationId, done.RequestId = stream.LastSequence(), stream.GenerationID(), stream.RequestID()
	}()
	if leave != nil && leave.GetAfterEvents() == 0 {
		return goAway(stream, leave)
	}
	for event, err := range stream.Events() {
		if err != nil {
			return err
		}
		switch event := event.(type) {
		case imagegen.Progress:
			done.ProgressEvents++
			continue
		case imagegen.Started:
			done.Events = append(done.Events, &conformancev1.Event{Kind: &conformancev1.Event_Started{Started: event.GenerationStarted}})
		case imagegen.Preview:
			made := &imagegenv1.GeneratedImage{Image: event.Image.Facts(), Metadata: event.Metadata}
			picture := describe(made, event.Number, event.Image.Bytes())
			picture.Index = event.Index
			done.Events = append(done.Events, &conformancev1.Event{Kind: &conformancev1.Event_Preview{Preview: picture}})
		case imagegen.Complete:
			picture := describe(event.Image.Generated(), 0, event.Image.Bytes())
			done.Events = append(done.Events, &conformancev1.Event{Kind: &conformancev1.Event_Complete{Complete: picture}})
		case imagegen.Failed:
			done.Events = append(done.Events, &conformancev1.Event{Kind: &conformancev1.Event_Failure{Failure: event.ImageFailure}})
		}
		if leave != nil && len(done.Events) == int(leave.GetAfterEvents()) {
			return goAway(stream, leave)
		}
	}
	result, err := stream.Result(context.Background())
	return came(result, err, done)
}

func goAway(stream *imagegen.Stream, leave *conformancev1.Leave) error {
	if leave.GetHow() == conformancev1.Leave_HOW_ABORT {
		return stream.Abort(context.Background())
	}
	return stream.Close()
}
