// Command edit changes a part of a picture, and shows what an error tells.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"log"

	imagegen "github.com/imagegen/imagegen/clients/go"
	"github.com/imagegen/imagegen/clients/go/imagegen/v1"
)

func main() {
	client, err := imagegen.NewClient("")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := edit(client); err != nil {
		log.Fatal(err)
	}
	if err := fail(client); err != nil {
		log.Fatal(err)
	}
}

func edit(client *imagegen.Client) error {
	ctx := context.Background()
	painter := client.Image("sandbox/scene")
	drawn, err := painter.Generate(ctx, "a harbour at dawn", imagegen.WithSize(640, 480))
	if err != nil {
		return err
	}
	mask, err := rightHalf(640, 480)
	if err != nil {
		return err
	}
	edited, err := painter.Edit(ctx, imagegen.EditInput{
		Prompt: "a lighthouse at night",
		Images: []*imagegen.Image{drawn.Image()},
		Mask:   mask,
	})
	if err != nil {
		return err
	}
	path, err := edited.Image().Save("edited.png")
	if err != nil {
		return err
	}
	fmt.Println("wrote", path)
	return nil
}

// rightHalf is a mask: black stays, white may change.
func rightHalf(width, height int) (*imagegen.Image, error) {
	mask := image.NewGray(image.Rect(0, 0, width, height))
	draw.Draw(mask, image.Rect(width/2, 0, width, height), image.NewUniform(color.White), image.Point{}, draw.Src)
	var file bytes.Buffer
	if err := png.Encode(&file, mask); err != nil {
		return nil, err
	}
	return imagegen.ImageFromBytes(file.Bytes(), "image/png")
}

// fail asks for a failure. Its own error is that there was none, or not the one that was asked for.
func fail(client *imagegen.Client) error {
	_, err := client.Image("sandbox/fail-rate-limited").Generate(context.Background(), "a harbour at dawn")
	var failure *imagegen.Error
	if !errors.As(err, &failure) {
		return fmt.Errorf("an error was asked for, and this came: %v", err)
	}
	fmt.Println("reason:", failure.Reason)
	fmt.Println("billed:", failure.Billed)
	switch {
	case failure.RetryDelay != nil:
		fmt.Println("to do: try again in", *failure.RetryDelay)
	case failure.Billed == imagegenv1.Billed_BILLED_NO:
		fmt.Println("to do: change the request, it cost nothing")
	default:
		fmt.Println("to do: look at", failure.GenerationID, "before trying again")
	}
	if !failure.HasReason(imagegenv1.ErrorReason_ERROR_REASON_RATE_LIMITED) {
		return err
	}
	return nil
}
