package imagegen

import (
	"context"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/protobuf/proto"
)

// A Model is an image model, bound with what holds for all of its calls; [Client.Image] makes it.
//
// What a call says goes before what the model was bound with: options are joined field by field, parameters key by key.
// The context of a call limits all of it. A [*RefusedError] says that a call cannot be made as it was asked for; nothing
// was sent then.
type Model struct {
	client *Client
	wish   wish

	asking       chan struct{} // held by the one who asks for the capabilities
	capabilities *pb.ModelCapabilities
}

// An EditInput is what to change.
type EditInput struct {
	// Prompt says what to change, in words. It may be empty where the model edits without words.
	Prompt string
	// Images are the picture to change and then others, as references. At least one, at most 16; a model may take fewer.
	Images []*Image
	// Mask is what may change: where it is transparent or, if it has no transparency, white. It has the size of the first
	// image in pixels. Nil: everything may change.
	Mask *Image
}

// Model is the name as it was asked for: "provider/model", or an alias of the server.
func (m *Model) Model() string { return m.wish.model }

// Params are the provider's own parameters that every call carries.
func (m *Model) Params() Params { return mergeParams(nil, m.wish.params) }

// Options are the wishes that every call carries.
func (m *Model) Options() *pb.ImageOptions { return proto.CloneOf(m.wish.options) }

// Capabilities are what the model can do. The server is asked once; a field that is unset is unknown.
//
// The error is an [*Error]: MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
func (m *Model) Capabilities(ctx context.Context) (*pb.ModelCapabilities, error) {
	if m.wish.refusal != nil {
		return nil, m.wish.refusal
	}
	select {
	case m.asking <- struct{}{}:
		defer func() { <-m.asking }()
	case <-ctx.Done():
		return nil, free(contextEnded(ctx, "the wait for the capabilities was ended"))
	}
	if m.capabilities == nil {
		told, err := m.client.model(ctx, m.wish.model, m.wish.timeout)
		if err != nil {
			return nil, err
		}
		m.capabilities = told.GetCapabilities()
		if m.capabilities == nil {
			m.capabilities = &pb.ModelCapabilities{}
		}
	}
	return m.capabilities, nil
}

// Generate draws, and waits for the end. When the context ends, the generation is left as [Stream] says.
//
// The error is an [*Error] if no image came. If some did and others failed, that is no error: see [Result.Failures].
func (m *Model) Generate(ctx context.Context, prompt string, options ...CallOption) (*Result, error) {
	wish := m.wish.with(options).withoutPreviews()
	request, err := wish.generate(prompt)
	if err != nil {
		return nil, err
	}
	reader, err := m.draw(ctx, wish, request)
	if err != nil {
		return nil, err
	}
	return whole(reader)
}

// Stream draws, and tells and shows how it goes. The generation begins at once. The error is a [*RefusedError]; what the
// server says is told by the stream.
func (m *Model) Stream(ctx context.Context, prompt string, options ...CallOption) (*Stream, error) {
	wish := m.wish.with(options)
	request, err := wish.generate(prompt)
	if err != nil {
		return nil, err
	}
	return watched(m.draw(ctx, wish, request))
}

// Edit changes a picture, and waits for the end, as [Model.Generate] does.
func (m *Model) Edit(ctx context.Context, input EditInput, options ...CallOption) (*Result, error) {
	wish := m.wish.with(options).withoutPreviews()
	request, err := wish.edit(input)
	if err != nil {
		return nil, err
	}
	reader, err := m.change(ctx, wish, request)
	if err != nil {
		return nil, err
	}
	return whole(reader)
}

// StreamEdit changes a picture, and tells and shows how it goes, as [Model.Stream] does.
func (m *Model) StreamEdit(ctx context.Context, input EditInput, options ...CallOption) (*Stream, error) {
	wish := m.wish.with(options)
	request, err := wish.edit(input)
	if err != nil {
		return nil, err
	}
	return watched(m.change(ctx, wish, request))
}

// Explain tells which calls [Model.Generate] would make, in the order in which they would be tried, without making them
// and without cost. The error is an [*Error] if the request would be refused, or the server could not be asked.
func (m *Model) Explain(ctx context.Context, prompt string, options ...CallOption) ([]*pb.PlannedCall, error) {
	wish := m.wish.with(options).withoutPreviews()
	request, err := wish.generate(prompt)
	if err != nil {
		return nil, err
	}
	return m.explain(ctx, wish, &pb.ExplainRequest{Request: &pb.ExplainRequest_Generate{Generate: request}})
}

// ExplainEdit tells which calls [Model.Edit] would make, as [Model.Explain] does.
func (m *Model) ExplainEdit(ctx context.Context, input EditInput, options ...CallOption) ([]*pb.PlannedCall, error) {
	wish := m.wish.with(options).withoutPreviews()
	request, err := wish.edit(input)
	if err != nil {
		return nil, err
	}
	return m.explain(ctx, wish, &pb.ExplainRequest{Request: &pb.ExplainRequest_Edit{Edit: request}})
}

func (m *Model) explain(ctx context.Context, wish wish, request *pb.ExplainRequest) ([]*pb.PlannedCall, error) {
	if err := m.client.open(); err != nil {
		return nil, err
	}
	ctx, cancel := m.client.limit(ctx, wish.timeout)
	defer cancel()
	told, err := answer(ctx, m.client.images.Explain, request)
	return told.GetCalls(), err
}

func (m *Model) draw(ctx context.Context, wish wish, request *pb.GenerateRequest) (*reader, error) {
	handle(&request.RequestId, wish.lifetime())
	return m.begin(ctx, wish, request)
}

func (m *Model) change(ctx context.Context, wish wish, request *pb.EditRequest) (*reader, error) {
	handle(&request.RequestId, wish.lifetime())
	return m.begin(ctx, wish, request)
}

func (m *Model) begin(ctx context.Context, wish wish, request proto.Message) (*reader, error) {
	generation, err := m.client.start(ctx, request, wish.timeout, wish.lifetime())
	if err != nil {
		return nil, err
	}
	return newReader(generation, newAssembler(wish.chunked(), true)), nil
}

// whole is for a caller who waits for the end only.
func whole(reader *reader) (*Result, error) {
	reader.discard = true
	defer reader.close()
	return reader.outcome()
}

func watched(reader *reader, err error) (*Stream, error) {
	if err != nil {
		return nil, err
	}
	return newStream(reader), nil
}
