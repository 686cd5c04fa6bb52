package imagegen

import (
	"context"
	"errors"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
)

const (
	// cancelLimit: a Cancel that the server does not answer in this time is given up.
	cancelLimit = 10 * time.Second
	// holdUp: leaving waits no longer than this for a Cancel, which then goes on without it.
	holdUp = time.Second
)

// A cancelling is a Cancel that runs in the background.
type cancelling struct {
	done chan struct{}
	err  error // once done
}

func (c *cancelling) failed() bool {
	select {
	case <-c.done:
		return c.err != nil
	default:
		return false
	}
}

// wait holds up whoever leaves for a moment, so that the server has heard of it.
func (c *cancelling) wait() {
	timer := time.NewTimer(holdUp)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	}
}

// stop tells the server to stop the generation, once; after a failure anew.
func (g *generation) stop() *cancelling {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cancelling != nil && !g.cancelling.failed() {
		return g.cancelling
	}
	request := &pb.CancelRequest{Generation: &pb.CancelRequest_RequestId{RequestId: g.requestID}}
	if g.generationID != "" {
		request.Generation = &pb.CancelRequest_GenerationId{GenerationId: g.generationID}
	}
	g.cancelling = g.client.cancelInBackground(request)
	return g.cancelling
}

// abort goes away, and stops the generation also where it would run on without this reader.
func (g *generation) abort(ctx context.Context) error {
	g.leave()
	g.mu.Lock()
	needed := g.life.shared && !g.ended
	g.mu.Unlock()
	if !needed {
		return nil
	}
	task := g.stop()
	select {
	case <-task.done:
		return task.err
	case <-ctx.Done():
		err := contextEnded(ctx, "the server has not said yet that the generation is stopped; it may run on")
		err.GenerationID, err.RequestID, _ = g.ids()
		return err
	}
}

func (c *Client) cancelInBackground(request *pb.CancelRequest) *cancelling {
	task := &cancelling{done: make(chan struct{})}
	c.mu.Lock()
	c.pending[task] = struct{}{}
	c.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeout(c.background, cancelLimit)
		defer cancel()
		_, err := answer(ctx, c.images.Cancel, request)
		var failure *Error
		if !errors.As(err, &failure) || !failure.HasReason(pb.ErrorReason_ERROR_REASON_GENERATION_NOT_FOUND) {
			task.err = err
		}
		close(task.done)
		c.mu.Lock()
		delete(c.pending, task)
		c.mu.Unlock()
	}()
	return task
}

// A GenerationRef names a generation: a [GenerationID] or a [RequestID].
type GenerationRef interface {
	ids() (generationID, requestID string)
}

// GenerationID names a generation by the server's id.
type GenerationID string

// RequestID names a generation by the caller's own id.
type RequestID string

func (id GenerationID) ids() (generationID, requestID string) { return string(id), "" }
func (id RequestID) ids() (generationID, requestID string)    { return "", string(id) }

func named(of GenerationRef) (generationID, requestID string, err error) {
	if of != nil {
		generationID, requestID = of.ids()
	}
	if generationID == "" && requestID == "" {
		return "", "", refused("generation", "say which one: by its GenerationID or by its RequestID")
	}
	return generationID, requestID, nil
}

// Cancel stops a generation, whoever reads it. Images that are finished are kept; the provider may bill what it has
// begun. True: it was running and is stopped. False: it had ended already.
//
// The error is an [*Error]: GENERATION_NOT_FOUND, WRONG_INSTANCE, or the server could not be told.
func (c *Client) Cancel(ctx context.Context, of GenerationRef) (bool, error) {
	generationID, requestID, err := named(of)
	if err == nil {
		err = c.open()
	}
	if err != nil {
		return false, err
	}
	request := &pb.CancelRequest{Generation: &pb.CancelRequest_RequestId{RequestId: requestID}}
	if generationID != "" {
		request.Generation = &pb.CancelRequest_GenerationId{GenerationId: generationID}
	}
	ctx, cancel := c.limit(ctx, 0)
	defer cancel()
	told, err := answer(ctx, c.images.Cancel, request)
	return told.GetStopped(), err
}

// A resumption is how a generation is read again.
type resumption struct {
	after    uint32
	delivery pb.DeliveryMode
	timeout  time.Duration
}

// Resume reads a generation that runs or has ended, to the same end; where the connection breaks, it is read on.
// Leaving this stream does not stop the generation, [Stream.Abort] does.
//
// The error is a [*RefusedError]. What the server says is told by the stream: GENERATION_NOT_FOUND, RESULT_EXPIRED,
// WRONG_INSTANCE, or why the generation failed.
func (c *Client) Resume(ctx context.Context, of GenerationRef, options ...ResumeOption) (*Stream, error) {
	how := resumption{delivery: pb.DeliveryMode_DELIVERY_MODE_INLINE}
	for _, option := range options {
		option.applyResume(&how)
	}
	if refusal := refuseDelivery(how.delivery); refusal != nil {
		return nil, refusal
	}
	generationID, requestID, err := named(of)
	if err != nil {
		return nil, err
	}
	request := &pb.ResumeRequest{
		Generation:    &pb.ResumeRequest_RequestId{RequestId: requestID},
		AfterSequence: how.after,
		Delivery:      &pb.Delivery{Mode: how.delivery},
	}
	if generationID != "" {
		request.Generation = &pb.ResumeRequest_GenerationId{GenerationId: generationID}
	}
	if refusal := refuseText(request, ""); refusal != nil {
		return nil, refusal
	}
	generation, err := c.start(ctx, request, how.timeout, lifetime{resumable: true, shared: true})
	if err != nil {
		return nil, err
	}
	chunked := how.delivery != pb.DeliveryMode_DELIVERY_MODE_REFERENCE
	return newStream(newReader(generation, newAssembler(chunked, how.after == 0))), nil
}
