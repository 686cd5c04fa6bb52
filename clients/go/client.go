package imagegen

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// closeWait is how long Close waits for what the server is to be told yet.
const closeWait = time.Second

// A Client is a connection to an imagegen server. It connects on first use and reconnects by itself. Make one with
// [NewClient], share it, and close it at the end.
type Client struct {
	address string
	conn    *grpc.ClientConn
	images  pb.ImageServiceClient
	models  pb.ModelServiceClient
	timeout time.Duration
	delays  []time.Duration

	background context.Context // of what nobody waits for
	stop       context.CancelFunc

	mu      sync.Mutex
	closed  bool
	readers map[*generation]struct{}
	pending map[*cancelling]struct{}
}

// NewClient decides where to connect and how; nothing is sent yet.
//
// The address is "host:port", or a gRPC target with its scheme, such as "unix:/run/imagegen.sock". Empty, it is that of
// the environment variable IMAGEGEN_ADDRESS, else 127.0.0.1:50051. Clear text unless [WithTLS] is given.
//
// The error is a [*RefusedError] if the address is a URL or has no port, or if a token would travel in clear text
// beyond this machine or cannot be sent.
func NewClient(address string, options ...ClientOption) (*Client, error) {
	var config clientConfig
	for _, option := range options {
		option.applyClient(&config)
	}
	address, err := chooseAddress(address)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(config.token, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, refused("token", "it has a character that cannot be sent, such as the line break of the file that it came from")
	}
	if config.token != "" && !config.tls && !isLoopback(address) {
		return nil, refused("token", "it is sent over TLS or to this machine only, and %s is neither: use WithTLS", address)
	}
	conn, err := grpc.NewClient(address, config.dialOptions(isLoopback(address))...)
	if err != nil {
		return nil, refused("address", "%v", err)
	}
	background, stop := context.WithCancel(context.Background())
	return &Client{
		address:    address,
		conn:       conn,
		images:     pb.NewImageServiceClient(conn),
		models:     pb.NewModelServiceClient(conn),
		timeout:    config.timeout,
		delays:     backoffDelays,
		background: background,
		stop:       stop,
		readers:    map[*generation]struct{}{},
		pending:    map[*cancelling]struct{}{},
	}, nil
}

// Address is where the server is.
func (c *Client) Address() string { return c.address }

// Conn is the connection, for stubs of one's own: calls on it carry the token, and only free ones are tried again.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// ImageService is the generated stub of the image service on this connection.
func (c *Client) ImageService() pb.ImageServiceClient { return c.images }

// ModelService is the generated stub of the model service on this connection.
func (c *Client) ModelService() pb.ModelServiceClient { return c.models }

// Image binds a model, "provider/model" or an alias of the server, with what shall hold for all of its calls. Options
// that cannot be bound, such as [WithRequestID], which names one call, are refused by each call of the model.
func (c *Client) Image(model string, options ...CallOption) *Model {
	wish := plainWish(model).with(options)
	if wish.requestID != "" && wish.refusal == nil {
		wish.refusal = refused("request_id", "it is the name of one call: give it to the call, not to the model")
	}
	return &Model{client: c, wish: wish, asking: make(chan struct{}, 1)}
}

// Close leaves every stream, as [Stream.Close] does, and ends the connection. It waits at most a second for what the
// server is to be told. More than once is fine.
func (c *Client) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	readers := make([]*generation, 0, len(c.readers))
	for reader := range c.readers {
		readers = append(readers, reader)
	}
	c.mu.Unlock()
	if closed {
		return nil
	}
	for _, reader := range readers {
		reader.leave()
	}
	c.mu.Lock()
	waiting := make([]*cancelling, 0, len(c.pending))
	for task := range c.pending {
		waiting = append(waiting, task)
	}
	c.mu.Unlock()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	for _, task := range waiting {
		select {
		case <-task.done:
			continue
		case <-timer.C:
		}
		break
	}
	c.stop()
	return c.conn.Close()
}

// open refuses calls after the end.
func (c *Client) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return refused("client", "it is closed")
	}
	return nil
}

// track lets a generation leave when the client is closed.
func (c *Client) track(reader *generation) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return refused("client", "it is closed")
	}
	c.readers[reader] = struct{}{}
	return nil
}

func (c *Client) forget(reader *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.readers, reader)
}

// limit bounds a call: by its own time limit, else that of the client, else only by the context.
func (c *Client) limit(ctx context.Context, own time.Duration) (context.Context, context.CancelFunc) {
	if own <= 0 {
		own = c.timeout
	}
	if own <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, own)
}

type unary[Q, A any] func(context.Context, *Q, ...grpc.CallOption) (*A, error)

// answer makes a call of a method that never costs anything.
func answer[Q, A any](ctx context.Context, method unary[Q, A], request *Q) (*A, error) {
	var header, trailer metadata.MD
	// Without this room grpc would not try again what is larger than 256 KiB.
	room := grpc.MaxRetryRPCBufferSize(math.MaxInt)
	answer, err := method(ctx, request, grpc.Header(&header), grpc.Trailer(&trailer), room)
	if err != nil {
		return nil, readError(ctx, err, header, trailer, billedNo)
	}
	return answer, nil
}
