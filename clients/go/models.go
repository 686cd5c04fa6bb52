package imagegen

import (
	"context"
	"iter"
	"sync"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
)

// A ModelList is the models that the caller may use; [Client.Models] makes it.
type ModelList struct {
	client   *Client
	provider string

	mu          sync.Mutex
	unreachable []*pb.UnreachableProvider
}

// Models are the models that the caller may use: those of a provider, by its name in the server's configuration, or all
// if it is empty.
func (c *Client) Models(provider string) *ModelList {
	return &ModelList{client: c, provider: provider}
}

// All is each model, ordered by name. Each iteration asks the server anew, page by page; the time limit of the client
// holds for each page. An error, an [*Error] in the last pair, says that a page could not be had.
func (l *ModelList) All(ctx context.Context) iter.Seq2[*pb.Model, error] {
	return func(yield func(*pb.Model, error) bool) {
		request := &pb.ListModelsRequest{Provider: l.provider}
		for {
			page, err := l.page(ctx, request)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, model := range page.GetModels() {
				if !yield(model, nil) {
					return
				}
			}
			if page.GetNextPageToken() == "" {
				return
			}
			request = &pb.ListModelsRequest{Provider: l.provider, PageToken: page.GetNextPageToken()}
		}
	}
}

// Unreachable are providers whose models are missing from the pages read so far. Known from the first model on.
func (l *ModelList) Unreachable() []*pb.UnreachableProvider {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unreachable
}

func (l *ModelList) page(ctx context.Context, request *pb.ListModelsRequest) (*pb.ListModelsResponse, error) {
	if err := l.client.open(); err != nil {
		return nil, err
	}
	ctx, cancel := l.client.limit(ctx, 0)
	defer cancel()
	page, err := answer(ctx, l.client.models.ListModels, request)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unreachable = page.GetUnreachable()
	return page, nil
}

// Model tells of one model, or of the first candidate of an alias.
//
// The error is an [*Error]: MODEL_NOT_FOUND, PROVIDER_NOT_CONFIGURED, or the server could not be asked.
func (c *Client) Model(ctx context.Context, name string) (*pb.Model, error) {
	return c.model(ctx, name, 0)
}

func (c *Client) model(ctx context.Context, name string, limit time.Duration) (*pb.Model, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	ctx, cancel := c.limit(ctx, limit)
	defer cancel()
	told, err := answer(ctx, c.models.GetModel, &pb.GetModelRequest{Model: name})
	return told.GetModel(), err
}
