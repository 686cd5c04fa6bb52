package imagegen

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"math"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

const (
	// MaxImageBytes is the length of the largest image that the API carries: 64 MiB.
	MaxImageBytes = 64 << 20
	// headroomBytes is for facts and framing around the largest image.
	headroomBytes = 1 << 20
)

type clientConfig struct {
	tls       bool
	tlsConfig *tls.Config
	token     string
	timeout   time.Duration
	dial      []grpc.DialOption
}

func (config *clientConfig) dialOptions(loopback bool) []grpc.DialOption {
	transport := insecure.NewCredentials()
	if config.tls {
		transport = credentials.NewTLS(config.tlsConfig)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		// What a name server says shall not make a call that costs money twice.
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxImageBytes+headroomBytes),
			grpc.MaxCallSendMsgSize(math.MaxInt32),
		),
		// Only while a call runs: a stock server ends connections that ping for nothing.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		// A stream that is read on tries for about ten seconds: the connection must be tried as often.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 10 * time.Second},
			MinConnectTimeout: 20 * time.Second,
		}),
		grpc.WithUserAgent("imagegen-go/" + Version),
	}
	if config.token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{token: config.token, secure: config.tls}))
	}
	if loopback {
		// A proxy from the environment is no way to one's own machine, and must not see a token sent in clear text.
		options = append(options, grpc.WithNoProxy())
	}
	return append(options, config.dial...)
}

// bearer adds the caller's token to every call. NewClient has seen to it that it goes over TLS or stays here.
type bearer struct {
	token  string
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }

// serviceConfig has retries for the methods that declare that they may be called twice, and for no other: those may
// cost money.
func serviceConfig() string {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var free []name
	for _, file := range []protoreflect.FileDescriptor{
		pb.File_imagegen_v1_image_service_proto, pb.File_imagegen_v1_model_service_proto,
	} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				if method := service.Methods().Get(j); isFree(method) {
					free = append(free, name{string(service.FullName()), string(method.Name())})
				}
			}
		}
	}
	text, err := json.Marshal(map[string]any{"methodConfig": []any{map[string]any{
		"name": free,
		"retryPolicy": map[string]any{
			"maxAttempts":          4,
			"initialBackoff":       "0.2s",
			"maxBackoff":           "2s",
			"backoffMultiplier":    2,
			"retryableStatusCodes": []string{"UNAVAILABLE"},
		},
	}}})
	if err != nil {
		panic(err) // maps of texts and numbers have a JSON form
	}
	return string(text)
}

func isFree(method protoreflect.MethodDescriptor) bool {
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	return ok && options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
