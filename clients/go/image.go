package imagegen

import (
	"os"
	"path/filepath"
	"strings"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// An Image is bytes, or a reference to bytes elsewhere. It does not change. Make one with [ImageFromFile],
// [ImageFromBytes], [ImageFromURL] or [ImageFromID]; those in events and results are made by the client.
type Image struct {
	facts *pb.Image          // without data
	made  *pb.GeneratedImage // how it was made, without data; nil unless it came out of a generation, finished
	url   string
	data  []byte
}

// ImageFromFile reads a file. The media type follows from its name and is no more than a hint: the bytes decide.
//
// The error is that of the file system, or a [*RefusedError] for a file that is empty or larger than 64 MiB.
func ImageFromFile(path string) (*Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ImageFromBytes(data, mediaTypes[strings.ToLower(filepath.Ext(path))])
}

// ImageFromBytes takes the bytes of an image file (PNG, JPEG, WebP or GIF), which must not be changed afterwards. The
// media type is a hint and may be empty.
//
// The error is a [*RefusedError] if there are no bytes, or more than 64 MiB.
func ImageFromBytes(data []byte, mediaType string) (*Image, error) {
	if len(data) == 0 {
		return nil, refused("image", "it is empty")
	}
	if len(data) > MaxImageBytes {
		return nil, refused("image", "it has %d bytes; the limit is %d (64 MiB)", len(data), MaxImageBytes)
	}
	return &Image{facts: &pb.Image{MediaType: mediaType, SizeBytes: uint32(len(data))}, data: data}, nil
}

// ImageFromURL refers to an image at an http or https address of a public host. Nothing is fetched here: the server
// does it.
func ImageFromURL(url string) *Image { return &Image{facts: &pb.Image{}, url: url} }

// ImageFromID refers to an image that the server keeps: an upload or an earlier result of the same caller.
func ImageFromID(id string) *Image { return &Image{facts: &pb.Image{ImageId: id}} }

// imageFromProto is an image handed out by the server; `data` are its bytes, checked. What stands in the facts instead has
// no place there, and nobody has checked it.
func imageFromProto(facts *pb.Image, data []byte) *Image {
	told := facts
	if len(facts.GetData()) > 0 {
		told = proto.CloneOf(facts)
		told.Data = nil
	}
	if told == nil {
		told = &pb.Image{}
	}
	return &Image{facts: told, data: data}
}

// generatedFromProto is a finished image of a generation.
func generatedFromProto(made *pb.GeneratedImage, data []byte) *Image {
	image := imageFromProto(made.GetImage(), data)
	image.made = made
	if made.GetImage() != image.facts {
		image.made = proto.CloneOf(made)
		image.made.Image = image.facts
	}
	return image
}

// Bytes are the whole file. Nil: they are elsewhere, at a URL or at the server; [Client.Read] fetches the latter.
func (i *Image) Bytes() []byte { return i.data }

// Facts are what is known of the file: media type, size in pixels and bytes, SHA-256, id and expiry. What nobody told
// is unset. Facts have no data, [Image.Bytes] has.
func (i *Image) Facts() *pb.Image { return i.facts }

// Generated is what is known of the making of a finished image: index, revised prompt, seed, metadata. Nil for any other.
func (i *Image) Generated() *pb.GeneratedImage { return i.made }

// Index counts the images of a generation from 0. It is 0 also for an image that came out of none.
func (i *Image) Index() uint32 { return i.made.GetIndex() }

// MediaType is such as "image/png". From the server: read from the bytes. Else a hint, or empty.
func (i *Image) MediaType() string { return i.facts.GetMediaType() }

// ID is the server's name for the image, good until the expire time of [Image.Facts]. Empty: none.
func (i *Image) ID() string { return i.facts.GetImageId() }

// URL is where the server is to fetch the image. Empty unless made by [ImageFromURL].
func (i *Image) URL() string { return i.url }

// source is what a request carries: the bytes if they are here, with the metadata of their making, else id or URL.
func (i *Image) source(path string) (*pb.ImageSource, error) {
	if i == nil {
		return nil, refused(path, "there is no image")
	}
	source := &pb.ImageSource{MediaType: i.facts.GetMediaType()}
	var metadata map[string]*structpb.Struct
	switch {
	case i.data != nil:
		source.Source = &pb.ImageSource_Data{Data: i.data}
		metadata = i.made.GetMetadata()
	case i.facts.GetImageId() != "":
		source.Source = &pb.ImageSource_ImageId{ImageId: i.facts.GetImageId()}
	case i.url != "":
		source.Source = &pb.ImageSource_Url{Url: i.url}
	default:
		return nil, refused(path, "the image has no bytes, no id and no URL, so it cannot be given to the server")
	}
	source.Metadata = metadata
	return source, nil
}
