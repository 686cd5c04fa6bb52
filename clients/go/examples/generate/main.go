// Command generate draws a picture and saves it.
package main

import (
	"context"
	"fmt"
	"log"

	imagegen "github.com/imagegen/imagegen/clients/go"
)

func main() {
	// Without an address it is that of IMAGEGEN_ADDRESS, else 127.0.0.1:50051.
	client, err := imagegen.NewClient("")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	painter := client.Image("sandbox/scene", imagegen.WithSize(640, 480))
	result, err := painter.Generate(context.Background(), "a harbour at dawn")
	if err != nil {
		log.Fatal(err)
	}
	path, err := result.Image().Save("harbour") // the suffix follows from what the image is
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("wrote", path)
}
