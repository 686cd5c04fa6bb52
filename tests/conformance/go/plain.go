package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/imagegen/imagegen/clients/go/imagegen/v1"
	conformancev1 "github.com/imagegen/imagegen/tests/conformance/go/conformance/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// retrying is what some put on every channel: it repeats what ends UNAVAILABLE, also what costs money.
const retrying = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.05s",
	"maxBackoff": "0.2s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// withStubs does a step with generated stubs, over a channel with default settings.
func withStubs(step *conformancev1.Step) *conformancev1.Outcome {
	done := &conformancev1.Outcome{}
	transport := insecure.NewCredentials()
	if step.GetCaFile() != "" {
		trusted, err := credentials.NewClientTLSFromFile(step.GetCaFile(), "")
		if err != nil {
			return &conformancev1.Outcome{Refused: err.Error()}
		}
		transport = trusted
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	if step.GetRetryingChannel() {
		options = append(options, grpc.WithDefaultServiceConfig(retrying))
	}
	conn, err := grpc.NewClient(step.GetAddress(), options...)
	if err != nil {
		return &conformancev1.Outcome{Refused: err.Error()}
	}
	defer conn.Close()
	ctx, cancel := limited(step)
	defer cancel()
	if step.GetToken() != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+step.GetToken())
	}
	images := imagegenv1.NewImageServiceClient(conn)
	var trailer metadata.MD
	switch operation := step.GetOperation().(type) {
	case *conformancev1.Step_Generate:
		result, err := images.Generate(ctx, operation.Generate, grpc.Trailer(&trailer))
		answered(result, done)
		fail(err, trailer, done)
	case *conformancev1.Step_Edit:
		result, err := images.Edit(ctx, operation.Edit, grpc.Trailer(&trailer))
		answered(result, done)
		fail(err, trailer, done)
	case *conformancev1.Step_Stream:
		stream, err := images.StreamGenerate(ctx, operation.Stream)
		receive(stream, err, step.GetLeave(), cancel, done)
	case *conformancev1.Step_StreamEdit:
		stream, err := images.StreamEdit(ctx, operation.StreamEdit)
		receive(stream, err, step.GetLeave(), cancel, done)
	case *conformancev1.Step_Resume:
		stream, err := images.Resume(ctx, operation.Resume)
		receive(stream, err, step.GetLeave(), cancel, done)
	case *conformancev1.Step_Cancel:
		told, err := images.Cancel(ctx, operation.Cancel, grpc.Trailer(&trailer))
		if err == nil {
			done.Stopped = &told.Stopped
		}
		fail(err, trailer, done)
	case *conformancev1.Step_Read:
		stream, err := images.ReadImage(ctx, operation.Read)
		readPieces(stream, err, done)
	case *conformancev1.Step_Explain:
		told, err := images.Explain(ctx, operation.Explain, grpc.Trailer(&trailer))
		done.Explained = told
		fail(err, trailer, done)
	case *conformancev1.Step_Measure:
		measured, err := measureStubs(ctx, images, operation.Measure)
		done.Measured = measured
		fail(err, nil, done)
	default:
		return unsupported(step)
	}
	return done
}

func fail(err error, trailer metadata.MD, done *conformancev1.Outcome) {
	if err == nil {
		return
	}
	told := status.Convert(err)
	done.Failure = &conformancev1.Failure{
		Code:    uint32(told.Code()),
		Message: told.Message(),
		Reason:  first(trailer, "imagegen-reason"),
		Billed:  first(trailer, "imagegen-billed"),
	}
}

func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// answered tells of the result of a unary call.
func answered(result *imagegenv1.ImageResult, done *conformancev1.Outcome) {
	for _, made := range result.GetImages() {
		if data := made.GetImage().GetData(); len(data) > 0 {
			done.Pictures = append(done.Pictures, describe(made, 0, data))
			made.Image.Data = nil
		}
	}
	done.Result = result
}

// receive reads a stream message by message, or cancels it on the way.
func receive(
	stream grpc.ServerStreamingClient[imagegenv1.ImageStreamEvent], err error,
	leave *conformancev1.Leave, cancel context.CancelFunc, done *conformancev1.Outcome,
) {
	if err != nil {
		fail(err, nil, done)
		return
	}
	together := &chunks{done: done, finished: map[uint32][]byte{}}
	for received := uint32(0); ; received++ {
		if leave != nil && received == leave.GetAfterEvents() {
			cancel()
			break
		}
		message, err := stream.Recv()
		if err != nil {
			if err != io.EOF {
				fail(err, stream.Trailer(), done)
			}
			break
		}
		done.LastSequence = max(done.LastSequence, message.GetSequence())
		together.take(message)
		if started := message.GetStarted(); started != nil {
			done.GenerationId, done.RequestId = started.GetGenerationId(), started.GetRequestId()
		}
		if result := message.GetResult(); result != nil {
			done.GenerationId, done.RequestId = result.GetGenerationId(), result.GetRequestId()
		}
	}
	together.end()
	if header, err := stream.Header(); err == nil {
		if done.GenerationId == "" {
			done.GenerationId = first(header, "imagegen-generation-id")
		}
		if done.RequestId == "" {
			done.RequestId = first(header, "imagegen-request-id")
		}
	}
}

// chunks puts those of one image that come in a row together, and those of finished images for the result.
type chunks struct {
	done     *conformancev1.Outcome
	picture  *conformancev1.Picture
	digest   hash.Hash
	finished map[uint32][]byte // by index, of images whose opening came
}

func (c *chunks) take(message *imagegenv1.ImageStreamEvent) {
	chunk := message.GetChunk()
	if chunk == nil {
		c.end()
		c.add(message)
		return
	}
	if c.picture != nil && (c.picture.Index != chunk.GetIndex() || c.picture.PreviewNumber != chunk.GetPreviewNumber()) {
		c.end()
	}
	if c.picture == nil {
		c.picture = &conformancev1.Picture{Index: chunk.GetIndex(), PreviewNumber: chunk.GetPreviewNumber()}
		c.digest = sha256.New()
	}
	c.picture.SizeBytes += uint32(len(chunk.GetData()))
	c.digest.Write(chunk.GetData())
	if data, opened := c.finished[chunk.GetIndex()]; opened && chunk.GetPreviewNumber() == 0 {
		c.finished[chunk.GetIndex()] = append(data, chunk.GetData()...)
	}
}

func (c *chunks) end() {
	if c.picture != nil {
		c.picture.Sha256 = hex.EncodeToString(c.digest.Sum(nil))
		c.done.Events = append(c.done.Events, &conformancev1.Event{Kind: &conformancev1.Event_Chunks{Chunks: c.picture}})
		c.picture = nil
	}
}

func (c *chunks) add(message *imagegenv1.ImageStreamEvent) {
	event := &conformancev1.Event{}
	switch told := message.GetEvent().(type) {
	case *imagegenv1.ImageStreamEvent_Progress:
		c.done.ProgressEvents++
		return
	case *imagegenv1.ImageStreamEvent_Started:
		event.Kind = &conformancev1.Event_Started{Started: told.Started}
	case *imagegenv1.ImageStreamEvent_Preview:
		preview := told.Preview
		made := &imagegenv1.GeneratedImage{Image: preview.GetImage(), Metadata: preview.GetMetadata()}
		picture := describe(made, preview.GetNumber(), nil)
		picture.Index = preview.GetIndex()
		event.Kind = &conformancev1.Event_Preview{Preview: picture}
	case *imagegenv1.ImageStreamEvent_Complete:
		c.finished[told.Complete.GetIndex()] = nil
		event.Kind = &conformancev1.Event_Complete{Complete: describe(told.Complete, 0, nil)}
	case *imagegenv1.ImageStreamEvent_Failure:
		event.Kind = &conformancev1.Event_Failure{Failure: told.Failure}
	case *imagegenv1.ImageStreamEvent_Result:
		event.Kind = &conformancev1.Event_Result{Result: true}
		c.done.Result = told.Result
		for _, made := range told.Result.GetImages() {
			if data := c.finished[made.GetIndex()]; len(data) > 0 {
				c.done.Pictures = append(c.done.Pictures, describe(made, 0, data))
			}
		}
	default:
		event.Kind = &conformancev1.Event_Unknown{Unknown: true}
	}
	c.done.Events = append(c.done.Events, event)
}

func readPieces(stream grpc.ServerStreamingClient[imagegenv1.ReadImageResponse], err error, done *conformancev1.Outcome) {
	if err != nil {
		fail(err, nil, done)
		return
	}
	var data []byte
	for {
		piece, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			fail(err, stream.Trailer(), done)
			return
		}
		if piece.GetImage() != nil {
			done.Image = piece.GetImage()
		}
		data = append(data, piece.GetData()...)
	}
	done.Pictures = []*conformancev1.Picture{describe(&imagegenv1.GeneratedImage{Image: done.Image}, 0, data)}
}
