package imagegen

import (
	"crypto/rand"
	"fmt"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// A wish is everything about a call but its prompt and images. It is a value: `with` makes another.
type wish struct {
	model        string
	options      *pb.ImageOptions
	params       Params
	values       map[string]*structpb.Struct // params as they are sent; shared by requests, never changed
	strict       bool
	delivery     pb.DeliveryMode
	timeout      time.Duration
	resumable    bool
	requestID    string
	onDisconnect pb.OnDisconnect
	retry        *pb.RetryPolicy // nil: nothing was said, so the server's configuration holds
	refusal      *RefusedError
}

func plainWish(model string) wish {
	return wish{
		model:    model,
		options:  &pb.ImageOptions{},
		delivery: pb.DeliveryMode_DELIVERY_MODE_INLINE,
		refusal:  refuseBytes(model, "model"),
	}
}

// with is this wish with what a call says laid over it. Options check and convert what they say themselves, so that for
// what a model is bound with it is done once and not in each call.
func (w wish) with(options []CallOption) wish {
	for _, option := range options {
		option.applyCall(&w)
	}
	if w.delivery == pb.DeliveryMode_DELIVERY_MODE_UNSPECIFIED {
		w.delivery = pb.DeliveryMode_DELIVERY_MODE_INLINE
	}
	w.refuse(w.contradiction())
	return w
}

// refuse keeps the first refusal there is, for the call to return.
func (w *wish) refuse(refusal *RefusedError) {
	if w.refusal == nil {
		w.refusal = refusal
	}
}

// contradiction is what is wrong with settings that name no text.
func (w wish) contradiction() *RefusedError {
	if refusal := refuseDelivery(w.delivery); refusal != nil {
		return refusal
	}
	if pb.OnDisconnect_name[int32(w.onDisconnect)] == "" {
		return refused("on_disconnect", "there is no %v", w.onDisconnect)
	}
	if w.resumable && w.onDisconnect == pb.OnDisconnect_ON_DISCONNECT_CANCEL {
		return refused("resumable", "a generation that ends with its connection (ON_DISCONNECT_CANCEL) cannot be resumed")
	}
	return nil
}

func refuseDelivery(mode pb.DeliveryMode) *RefusedError {
	if pb.DeliveryMode_name[int32(mode)] == "" {
		return refused("delivery", "there is no %v", mode)
	}
	return nil
}

// withoutPreviews is this wish for a caller who waits for the end only.
func (w wish) withoutPreviews() wish {
	if w.options.PreviewCount == nil {
		w.options = mergeOptions(w.options, &pb.ImageOptions{PreviewCount: proto.Uint32(0)})
	}
	return w
}

// chunked tells whether the bytes come with the stream.
func (w wish) chunked() bool { return w.delivery == pb.DeliveryMode_DELIVERY_MODE_INLINE }

func (w wish) lifetime() lifetime {
	detached := w.onDisconnect == pb.OnDisconnect_ON_DISCONNECT_DETACH
	return lifetime{
		resumable: w.resumable,
		shared:    w.resumable || w.requestID != "" || detached,
		owned:     w.resumable && w.requestID == "" && w.onDisconnect == pb.OnDisconnect_ON_DISCONNECT_UNSPECIFIED,
	}
}

func (w wish) generate(prompt string) (*pb.GenerateRequest, error) {
	w.refuse(refuseBytes(prompt, "input.prompt"))
	if w.refusal != nil {
		return nil, w.refusal
	}
	return &pb.GenerateRequest{
		Model:        w.model,
		Input:        &pb.ImageInput{Prompt: prompt},
		Options:      w.options,
		Params:       w.values,
		Strict:       w.strict,
		Delivery:     &pb.Delivery{Mode: w.delivery},
		RequestId:    w.requestID,
		OnDisconnect: w.onDisconnect,
		Retry:        w.retry,
	}, nil
}

func (w wish) edit(input EditInput) (*pb.EditRequest, error) {
	wanted, err := w.generate(input.Prompt)
	if err != nil {
		return nil, err
	}
	request := &pb.EditRequest{
		Model:        w.model,
		Input:        &pb.ImageEditInput{Prompt: input.Prompt},
		Options:      wanted.Options,
		Params:       wanted.Params,
		Strict:       wanted.Strict,
		Delivery:     wanted.Delivery,
		RequestId:    wanted.RequestId,
		OnDisconnect: wanted.OnDisconnect,
		Retry:        wanted.Retry,
	}
	for i, image := range input.Images {
		source, err := image.source(fmt.Sprintf("input.images[%d]", i))
		if err != nil {
			return nil, err
		}
		request.Input.Images = append(request.Input.Images, source)
	}
	if input.Mask != nil {
		if request.Input.Mask, err = input.Mask.source("input.mask"); err != nil {
			return nil, err
		}
	}
	if refusal := refuseText(request.Input, "input."); refusal != nil {
		return nil, refusal
	}
	return request, nil
}

// handle names a wish that may run on without its reader, so that it can be found again and stopped from the start.
func handle(requestID *string, life lifetime) {
	if life.shared && *requestID == "" {
		*requestID = newUUID()
	}
}

func newUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails: crypto/rand ends the program instead
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// mergeOptions lays one set of wishes over another: what is said replaces, what is unset leaves. Neither is changed.
func mergeOptions(bound, said *pb.ImageOptions) *pb.ImageOptions {
	merged := proto.CloneOf(bound)
	if said.GetSize() != nil {
		merged.Size = nil // a size is said as a whole
	}
	proto.Merge(merged, said)
	return merged
}

func mergeRetry(bound *pb.RetryPolicy, set func(*pb.RetryPolicy)) *pb.RetryPolicy {
	merged := &pb.RetryPolicy{}
	if bound != nil {
		merged = proto.CloneOf(bound)
	}
	set(merged)
	return merged
}

// refuseText sees text that is not UTF-8, which gRPC would refuse in words that name no field. `path` is where the
// message stands in the request, with a dot behind it.
func refuseText(message proto.Message, path string) *RefusedError {
	return wrongText(message.ProtoReflect(), path)
}

func wrongText(message protoreflect.Message, path string) (refusal *RefusedError) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		refusal = wrongField(field, value, path+string(field.Name()))
		return refusal == nil
	})
	return refusal
}

func wrongField(field protoreflect.FieldDescriptor, value protoreflect.Value, path string) (refusal *RefusedError) {
	one := func(kind protoreflect.Kind, value protoreflect.Value, path string) bool {
		switch kind {
		case protoreflect.StringKind:
			refusal = refuseBytes(value.String(), path)
		case protoreflect.MessageKind:
			refusal = wrongText(value.Message(), path+".")
		}
		return refusal == nil
	}
	switch {
	case field.IsMap():
		return nil // params, checked where they are made; metadata of images came from a message
	case field.IsList():
		for i := range value.List().Len() {
			if !one(field.Kind(), value.List().Get(i), fmt.Sprintf("%s[%d]", path, i)) {
				break
			}
		}
	default:
		one(field.Kind(), value, path)
	}
	return refusal
}
