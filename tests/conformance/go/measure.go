package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	imagegen "github.com/imagegen/imagegen/clients/go"
	"github.com/imagegen/imagegen/clients/go/imagegen/v1"
	conformancev1 "github.com/imagegen/imagegen/tests/conformance/go/conformance/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// measureHelper binds the model once, and says per call what differs from call to call.
func measureHelper(ctx context.Context, client *imagegen.Client, asked *conformancev1.Measure) (*conformancev1.Measured, error) {
	wish := wishOf(asked.GetRequest())
	bound := client.Image(wish.model, imagegen.WithParams(wish.params), imagegen.WithPreviewCount(wish.previewCount))
	return measure(asked, func() (uint64, error) {
		result, err := bound.Generate(ctx, wish.prompt, imagegen.WithRequestID(wish.requestID))
		if err != nil {
			return 0, err
		}
		var bytes uint64
		for _, image := range result.Images {
			bytes += uint64(len(image.Bytes()))
		}
		return bytes, nil
	})
}

// measureStubs does what users of plain stubs do: it makes a request, and keeps the bytes and the result.
func measureStubs(
	ctx context.Context, images imagegenv1.ImageServiceClient, asked *conformancev1.Measure,
) (*conformancev1.Measured, error) {
	wish := wishOf(asked.GetRequest())
	return measure(asked, func() (uint64, error) {
		request, err := wish.request()
		if err != nil {
			return 0, err
		}
		stream, err := images.StreamGenerate(ctx, request)
		if err != nil {
			return 0, err
		}
		pictures, _, err := collect(stream, asked.GetChecksum())
		if err != nil {
			return 0, err
		}
		var bytes uint64
		for _, picture := range pictures {
			bytes += uint64(len(picture))
		}
		return bytes, nil
	})
}

// A plainWish is what a user has in hand before a call.
type plainWish struct {
	model, prompt, requestID string
	previewCount             uint32
	params                   imagegen.Params
}

func wishOf(request *imagegenv1.GenerateRequest) plainWish {
	return plainWish{
		model:        request.GetModel(),
		prompt:       request.GetInput().GetPrompt(),
		requestID:    request.GetRequestId(),
		previewCount: request.GetOptions().GetPreviewCount(),
		params:       plainParams(request),
	}
}

func (w plainWish) request() (*imagegenv1.GenerateRequest, error) {
	params := make(map[string]*structpb.Struct, len(w.params))
	for provider, values := range w.params {
		made, err := structpb.NewStruct(values)
		if err != nil {
			return nil, err
		}
		params[provider] = made
	}
	return &imagegenv1.GenerateRequest{
		Model:     w.model,
		Input:     &imagegenv1.ImageInput{Prompt: w.prompt},
		Options:   &imagegenv1.ImageOptions{PreviewCount: proto.Uint32(w.previewCount)},
		Params:    params,
		RequestId: w.requestID,
	}, nil
}

// collect reads a stream to its end: the bytes of the finished images, in the order in which they came, and the result.
func collect(
	stream grpc.ServerStreamingClient[imagegenv1.ImageStreamEvent], checksum bool,
) (pictures [][]byte, result *imagegenv1.ImageResult, err error) {
	var data []byte // of the image opened last
	var facts *imagegenv1.Image
	var digest hash.Hash
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			return pictures, result, nil
		}
		if err != nil {
			return nil, nil, err
		}
		switch event := message.GetEvent().(type) {
		case *imagegenv1.ImageStreamEvent_Complete:
			facts = event.Complete.GetImage()
			data = make([]byte, 0, facts.GetSizeBytes())
			if checksum {
				digest = sha256.New()
			}
		case *imagegenv1.ImageStreamEvent_Chunk:
			if event.Chunk.GetPreviewNumber() != 0 {
				continue
			}
			data = append(data, event.Chunk.GetData()...)
			if checksum {
				digest.Write(event.Chunk.GetData())
			}
			if len(data) < int(facts.GetSizeBytes()) {
				continue
			}
			if checksum && hex.EncodeToString(digest.Sum(nil)) != facts.GetSha256() {
				return nil, nil, errors.New("the image is damaged")
			}
			pictures = append(pictures, data)
		case *imagegenv1.ImageStreamEvent_Result:
			result = event.Result
		}
	}
}

// measure makes one call, and then the calls that count.
func measure(asked *conformancev1.Measure, call func() (uint64, error)) (*conformancev1.Measured, error) {
	if _, err := call(); err != nil {
		return nil, err
	}
	var bytes atomic.Uint64
	var failed error
	var once sync.Once
	var running sync.WaitGroup
	left := make(chan struct{}, asked.GetCalls())
	for range asked.GetCalls() {
		left <- struct{}{}
	}
	close(left)
	began, cpu := time.Now(), processorSeconds()
	for range max(asked.GetParallel(), 1) {
		running.Go(func() {
			for range left {
				got, err := call()
				if err != nil {
					once.Do(func() { failed = err })
					return
				}
				bytes.Add(got)
			}
		})
	}
	running.Wait()
	if failed != nil {
		return nil, failed
	}
	return &conformancev1.Measured{
		WallSeconds: time.Since(began).Seconds(),
		CpuSeconds:  processorSeconds() - cpu,
		Bytes:       bytes.Load(),
	}, nil
}

// processorSeconds are those of this process, user and system.
func processorSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
