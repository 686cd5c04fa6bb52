// Command stream draws a picture, and saves each preview as it comes and then the finished picture.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	imagegen "github.com/imagegen/imagegen/clients/go"
)

func main() {
	// Ctrl-C ends the context, and with it the generation.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := draw(ctx); err != nil {
		log.Fatal(err)
	}
}

func draw(ctx context.Context) error {
	client, err := imagegen.NewClient("")
	if err != nil {
		return err
	}
	defer client.Close()

	stream, err := client.Image("sandbox/scene").Stream(ctx, "a harbour at dawn", imagegen.WithSize(640, 480))
	if err != nil {
		return err
	}
	defer stream.Close()
	for event, err := range stream.Events() {
		if err != nil {
			return err
		}
		switch event := event.(type) {
		case imagegen.Started:
			fmt.Println("generation", event.GetGenerationId())
		case imagegen.Progress:
			fmt.Println(event.GetPhase(), event.GetElapsed().AsDuration())
		case imagegen.Preview:
			if err := save(event.Image, fmt.Sprintf("preview-%d", event.Number)); err != nil {
				return err
			}
		}
	}
	result, err := stream.Result(ctx)
	if err != nil {
		return err
	}
	return save(result.Image(), "harbour")
}

func save(image *imagegen.Image, name string) error {
	path, err := image.Save(name)
	if err == nil {
		fmt.Println("wrote", path)
	}
	return err
}
