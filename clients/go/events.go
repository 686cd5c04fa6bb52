package imagegen

import (
	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/protobuf/types/known/structpb"
)

// An Event is one step of a generation: a [Started], [Progress], [Preview], [Complete] or [Failed]. Images are whole.
type Event interface{ event() }

// Started says that the generation exists. Nothing was spent before this.
type Started struct{ *pb.GenerationStarted }

// Progress is news without pixels; also the heartbeat, at least every 10 seconds.
type Progress struct{ *pb.Progress }

// Preview is a picture that is not finished, whole as far as it goes.
type Preview struct {
	// Index is that of the image that it is a preview of.
	Index uint32
	// Number counts the previews of this index from 1.
	Number uint32
	// Image is the picture. It has no id, no SHA-256 and no expiry, as it cannot be read again.
	Image *Image
	// Metadata is what else the provider said of it, by provider name.
	Metadata map[string]*structpb.Struct
}

// Complete is a finished image; its size and SHA-256 were checked if its bytes came with it.
type Complete struct{ Image *Image }

// Failed says that one image will not come; others may.
type Failed struct{ *pb.ImageFailure }

func (Started) event()  {}
func (Progress) event() {}
func (Preview) event()  {}
func (Complete) event() {}
func (Failed) event()   {}

// A Result is what came of a generation: at least one image.
type Result struct {
	// GenerationID is the server's id, for support.
	GenerationID string
	// RequestID is the name of the wish, as given or made by the server.
	RequestID string
	// Model is the "provider/model" that made the images.
	Model string
	// Images are ordered by index; there is at least one. With delivery by reference they have no bytes.
	Images []*Image
	// Failures are the images that will not come, ordered by index.
	Failures []*pb.ImageFailure
	// Usage is what is known of use. Nil: nothing.
	Usage *pb.ImageUsage
	// Warnings tell what was not done as asked.
	Warnings []*pb.Warning
	// Attempts are all provider calls, oldest first.
	Attempts []*pb.Attempt
	// Metadata is what else the provider said of the whole answer, by provider name. Numbers are doubles.
	Metadata map[string]*structpb.Struct
}

// Image is the first image: all there is when one was asked for.
func (r *Result) Image() *Image { return r.Images[0] }
