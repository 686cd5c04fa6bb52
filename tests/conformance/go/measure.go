package main

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	imagegen "github.com/imagegen/imagegen/clients/go"
	"github.com/imagegen/imagegen/clients/go/imagegen/v1"
	conformancev1 "github.com/imagegen/imagegen/tests/conformance/go/conformance/v1"
)

func measureHelper(
	ctx context.Context, client *imagegen.Client, step *conformancev1.Step, asked *conformancev1.Measure,
) (*conformancev1.Measured, error) {
	request := asked.GetRequest()
	bound := client.Image(request.GetModel())
	said := settings(step, request)
	return measure(asked, func() (uint64, error) {
		result, err := bound.Generate(ctx, request.GetInput().GetPrompt(), said...)
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

func measureStubs(
	ctx context.Context, images imagegenv1.ImageServiceClient, asked *conformancev1.Measure,
) (*conformancev1.Measured, error) {
	return measure(asked, func() (uint64, error) {
		stream, err := images.StreamGenerate(ctx, asked.GetRequest())
		if err != nil {
			return 0, err
		}
		var bytes uint64
		var digest hash.Hash
		for {
			message, err := stream.Recv()
			if err == io.EOF {
				return bytes, nil
			}
			if err != nil {
				return 0, err
			}
			if message.GetComplete() != nil && asked.GetChecksum() {
				digest = sha256.New()
			}
			if chunk := message.GetChunk(); chunk != nil && chunk.GetPreviewNumber() == 0 {
				bytes += uint64(len(chunk.GetData()))
				if digest != nil {
					digest.Write(chunk.GetData())
				}
			}
		}
	})
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
