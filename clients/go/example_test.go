package imagegen_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	imagegen "github.com/imagegen/imagegen/clients/go"
	"github.com/imagegen/imagegen/clients/go/imagegen/v1"
)

func Example() {
	client, err := imagegen.NewClient("127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	painter := client.Image("sandbox/scene", imagegen.WithSize(1024, 768))
	result, err := painter.Generate(context.Background(), "a harbour at dawn")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Image().Save("harbour.png"))
}

func ExampleModel() {
	client, ctx := newClient(), context.Background()
	painter := client.Image("openai/gpt-image-2",
		imagegen.WithOptions(&imagegenv1.ImageOptions{Quality: "high", Format: "png"}),
		imagegen.WithParams(imagegen.Params{"openai": {"moderation": "low"}}),
		imagegen.WithTimeout(3*time.Minute))
	calls, err := painter.Explain(ctx, "a harbour at dawn", imagegen.WithCount(2))
	fmt.Println(calls, err)
}

func ExampleClient_Resume() {
	client, ctx := newClient(), context.Background()
	stream, err := client.Image("sandbox/scene").Stream(ctx, "a harbour", imagegen.WithRequestID("order-17"))
	if err != nil {
		log.Fatal(err)
	}
	stream.Close() // Left running, as it has a request id. Another process may do this:

	stream, err = client.Resume(ctx, imagegen.RequestID("order-17"))
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	result, err := stream.Result(ctx)
	fmt.Println(result, err)
}

func ExampleClient_Upload() {
	client, ctx := newClient(), context.Background()
	harbour, err := imagegen.ImageFromFile("harbour.png")
	if err != nil {
		log.Fatal(err)
	}
	uploaded, err := client.Upload(ctx, harbour)
	if err != nil {
		log.Fatal(err)
	}
	result, err := client.Image("sandbox/scene").Edit(ctx, imagegen.EditInput{
		Prompt: "by night",
		Images: []*imagegen.Image{uploaded},
	})
	fmt.Println(result, err)
}

func ExampleError() {
	client, ctx := newClient(), context.Background()
	_, err := client.Image("sandbox/fail-rate-limited").Generate(ctx, "a harbour at dawn")
	var failure *imagegen.Error
	if errors.As(err, &failure) && failure.HasReason(imagegenv1.ErrorReason_ERROR_REASON_RATE_LIMITED) {
		fmt.Println(failure.Message, failure.Billed, failure.RetryDelay)
	}
}

func ExampleWithTLS() {
	pem, err := os.ReadFile("root.pem")
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client, err := imagegen.NewClient("images.example.com:443",
		imagegen.WithTLS(&tls.Config{RootCAs: roots}), imagegen.WithToken(os.Getenv("TOKEN")))
	fmt.Println(client, err)
}

func ExampleClient_Models() {
	client, ctx := newClient(), context.Background()
	list := client.Models("")
	for model, err := range list.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(model.GetName(), model.GetCapabilities().GetSizes())
	}
	fmt.Println(list.Unreachable())
}

func newClient() *imagegen.Client {
	client, err := imagegen.NewClient("")
	if err != nil {
		log.Fatal(err)
	}
	return client
}
