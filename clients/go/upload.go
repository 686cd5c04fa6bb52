package imagegen

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
)

// pieceBytes are those of one piece: with what goes around it, it stays under the 1 MB that proxies take by default.
const pieceBytes = 786_432

// Upload gives an image to the server once, for as many edits as wanted; only what it does not have yet is sent, and
// where the connection breaks it goes on from there. It returns a reference without bytes, good until its expire time.
//
// The error is an [*Error] if it could not be given or is no image, or a [*RefusedError] for an image without bytes.
func (c *Client) Upload(ctx context.Context, image *Image) (*Image, error) {
	if image.data == nil {
		return nil, refused("image", "its bytes are not here: %s", image.whereabouts())
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx, 0)
	defer cancel()
	defer context.AfterFunc(c.background, cancel)() // no more tries once the client is closed
	digest := sha256.Sum256(image.data)
	upload := &upload{
		client:  c,
		data:    image.data,
		sha256:  hex.EncodeToString(digest[:]),
		retries: retries{delays: c.delays},
	}
	facts, err := upload.run(ctx)
	if err != nil {
		return nil, err
	}
	if facts.GetSha256() != upload.sha256 || facts.GetImageId() == "" {
		return nil, free(invalidResponse("the server told of another image than the one that was uploaded"))
	}
	return imageFromProto(facts, nil), nil
}

type upload struct {
	client  *Client
	data    []byte
	sha256  string
	retries retries
}

// run asks how much is there and sends the rest; where the connection breaks, it asks again.
func (u *upload) run(ctx context.Context) (*pb.Image, error) {
	answered, err := u.send(ctx, nil, 0)
	for err == nil && answered.GetImage() == nil {
		offset := answered.GetCommittedBytes()
		if int(offset) >= len(u.data) {
			return nil, free(invalidResponse("the server has the whole upload and tells of no image"))
		}
		piece := u.data[offset:min(len(u.data), int(offset)+pieceBytes)]
		answered, err = u.send(ctx, piece, offset)
		if err != nil {
			break
		}
		if answered.GetCommittedBytes() > offset {
			u.retries.renew()
		} else if answered.GetImage() == nil {
			err = free(u.wait(ctx, invalidResponse("the server takes no more of the upload")))
		}
	}
	return answered.GetImage(), err
}

func (u *upload) send(ctx context.Context, data []byte, offset uint32) (*pb.UploadImageResponse, error) {
	for {
		answered, err := answer(ctx, u.client.images.UploadImage, &pb.UploadImageRequest{
			Sha256: u.sha256, SizeBytes: uint32(len(u.data)), Offset: offset, Data: data,
		})
		if err == nil {
			return answered, nil
		}
		var failure *Error
		if !errors.As(err, &failure) || !failure.broke() {
			return nil, err
		}
		if err := u.wait(ctx, failure); err != nil {
			return nil, err
		}
		data, offset = nil, 0 // the piece may have arrived: ask
	}
}

// wait waits before another try. The error: there were enough, or the context ended.
func (u *upload) wait(ctx context.Context, failure *Error) error {
	if u.retries.wait(ctx) {
		u.client.conn.ResetConnectBackoff()
		return nil
	}
	if ctx.Err() != nil {
		ended := contextEnded(ctx, "the upload was ended while it waited to go on", failure)
		ended.Billed = billedNo
		return ended
	}
	return failure
}
