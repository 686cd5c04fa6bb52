package imagegen

import (
	"context"
	"io"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// Read fetches the bytes of an image that was delivered by reference; one that has its bytes is returned as it is. A read
// that breaks off goes on once from where it broke.
//
// The error is an [*Error]: IMAGE_NOT_FOUND, INVALID_RESPONSE if the bytes are not the ones told of, or the way to the
// server. It is a [*RefusedError] for an image that has neither bytes nor an id.
func (c *Client) Read(ctx context.Context, image *Image) (*Image, error) {
	if image.data != nil {
		return image, nil
	}
	if image.ID() == "" {
		return nil, refused("image", "it has no id by which the server could hand out its bytes")
	}
	read, err := c.ReadImage(ctx, image.ID())
	if err != nil {
		return nil, err
	}
	if told := image.facts.GetSha256(); told != "" && told != read.facts.GetSha256() {
		return nil, free(invalidResponse("the server handed out other bytes for image %s than it had told of", image.ID()))
	}
	if image.made != nil {
		read.made = proto.CloneOf(image.made)
		read.made.Image = read.facts
	}
	return read, nil
}

// ReadImage fetches an image by its id, as [Client.Read] does.
func (c *Client) ReadImage(ctx context.Context, id string) (*Image, error) {
	if id == "" {
		return nil, refused("image_id", "it is empty")
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx, 0)
	defer cancel()
	reading := &reading{client: c, id: id}
	err := reading.advance(ctx)
	if err != nil && (err.broke() || err.remote && err.Code == codes.Unavailable) {
		err = reading.advance(ctx)
	}
	if err != nil {
		return nil, err
	}
	image, wrong := reading.image()
	return image, free(wrong)
}

type reading struct {
	client *Client
	id     string
	run    *byteRun
}

// advance reads from where the bytes end now to the end of the image.
func (r *reading) advance(ctx context.Context) *Error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &pb.ReadImageRequest{ImageId: r.id}
	if r.run != nil {
		request.Offset = r.run.received()
	}
	stream, err := r.client.images.ReadImage(ctx, request)
	if err != nil {
		return readError(ctx, err, nil, nil, billedNo)
	}
	for {
		piece, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			header, _ := stream.Header()
			return readError(ctx, err, header, stream.Trailer(), billedNo)
		}
		if err := r.take(piece); err != nil {
			return free(err).(*Error)
		}
	}
}

func (r *reading) take(piece *pb.ReadImageResponse) error {
	if r.run == nil {
		run, err := newByteRun(piece.GetImage())
		if err != nil {
			return err
		}
		r.run = run
	} else if piece.GetImage() != nil && piece.GetImage().GetSha256() != r.run.facts.GetSha256() {
		return invalidResponse("image %s changed while it was read", r.id)
	}
	if len(piece.GetData()) == 0 {
		return nil
	}
	return r.run.append(piece.GetOffset(), piece.GetData())
}

func (r *reading) image() (*Image, error) {
	if r.run == nil {
		return nil, invalidResponse("the server sent nothing of image %s", r.id)
	}
	data, err := r.run.join()
	if err != nil {
		return nil, err
	}
	return imageFromProto(r.run.facts, data), nil
}
