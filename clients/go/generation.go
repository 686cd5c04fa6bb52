package imagegen

import (
	"context"
	"io"
	"sync"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// finishWait is for the server's word that a stream is over, once its result is there.
const finishWait = time.Second

// A lifetime is how a generation outlives its RPC.
type lifetime struct {
	resumable bool // a broken stream is read on
	shared    bool // it may run on at the server without this reader: stopping it takes a Cancel
	owned     bool // nobody else can know its name, so leaving it stops it
}

// A generation reads the events of one, over one RPC or, when that breaks and may be resumed, over several. One
// goroutine at a time receives; everything else may be called at any time.
type generation struct {
	client  *Client
	request proto.Message // a GenerateRequest, EditRequest or ResumeRequest
	life    lifetime
	ctx     context.Context // ends with the caller's, with the time limit, and when it is left
	cancel  context.CancelFunc
	unwatch func() bool

	// Of the receiving goroutine.
	stream   grpc.ServerStreamingClient[pb.ImageStreamEvent]
	failed   error // why there is no stream
	resuming bool  // the RPC at hand is a Resume
	sent     bool  // the wish may have reached the server
	fresh    bool  // nothing was received over the RPC at hand
	broken   bool  // an RPC before the one at hand broke
	retries  retries

	mu           sync.Mutex
	generationID string
	requestID    string
	sequence     uint32
	known        bool // the server has it: it is resumed, not asked for again
	ended        bool // the server told the end, so there is nothing to stop
	finishing    bool // the result is there, and the RPC ends by itself
	lost         bool // the connection broke for good, and who knows the name may come back to it
	left         bool
	cancelling   *cancelling
}

// start sends a request. The error is a refusal; what becomes of the call is told by receive.
func (c *Client) start(ctx context.Context, request proto.Message, limit time.Duration, life lifetime) (*generation, error) {
	g := &generation{client: c, request: request, life: life, retries: retries{delays: c.delays}}
	switch request := request.(type) {
	case *pb.ResumeRequest:
		g.generationID, g.requestID = request.GetGenerationId(), request.GetRequestId()
		g.sequence, g.known = request.GetAfterSequence(), true
	case *pb.GenerateRequest:
		g.requestID = request.GetRequestId()
	case *pb.EditRequest:
		g.requestID = request.GetRequestId()
	}
	g.ctx, g.cancel = c.limit(ctx, limit)
	if err := c.track(g); err != nil {
		g.cancel()
		return nil, err
	}
	g.mu.Lock()
	g.unwatch = context.AfterFunc(g.ctx, func() { g.leave() })
	g.mu.Unlock()
	g.begin(request)
	return g, nil
}

func (g *generation) begin(request proto.Message) {
	images := g.client.images
	g.stream, g.resuming, g.fresh = nil, false, true
	switch request := request.(type) {
	case *pb.GenerateRequest:
		g.stream, g.failed = images.StreamGenerate(g.ctx, request)
	case *pb.EditRequest:
		g.stream, g.failed = images.StreamEdit(g.ctx, request)
	case *pb.ResumeRequest:
		g.resuming = true
		g.stream, g.failed = images.Resume(g.ctx, request)
	}
}

// receive is the next event. The error is why the generation failed, or that the connection broke for good.
func (g *generation) receive() (*pb.ImageStreamEvent, *Error) {
	for {
		event, err := g.next()
		if err == nil {
			return event, nil
		}
		again, stop := g.again(err)
		if stop != nil {
			return nil, stop
		}
		if !again {
			g.mu.Lock()
			g.lost = err.broke()
			g.mu.Unlock()
			return nil, err
		}
	}
}

func (g *generation) next() (*pb.ImageStreamEvent, *Error) {
	if g.failed != nil {
		silent := billedUnknown
		if !g.sent && statusOf(g.failed).Code() == codes.Unavailable {
			silent = billedNo // no connection came about, so nothing was sent
		}
		return nil, readError(g.ctx, g.failed, nil, nil, silent)
	}
	g.sent = true
	event, err := g.stream.Recv()
	if err == io.EOF {
		end := invalidResponse("the stream ended without a result")
		end.unfinished = true
		return nil, end
	}
	if err != nil {
		header, _ := g.stream.Header()
		end := readError(g.ctx, err, header, g.stream.Trailer(), billedUnknown)
		g.mu.Lock()
		defer g.mu.Unlock()
		// What a Resume or a wish that is sent again is refused for says nothing of the generation, and CANCELLED may
		// be said to this reader alone, who took nothing for too long. To stop what has ended does no harm.
		toldEnd := end.worded && end.Reason != pb.ErrorReason_ERROR_REASON_CANCELLED.String()
		if toldEnd && !g.resuming && !g.broken {
			g.ended = true
		}
		g.name(end.GenerationID)
		return nil, end
	}
	g.retries.renew()
	var header metadata.MD
	if g.fresh {
		header, _ = g.stream.Header() // it came before the event
		g.fresh = false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sequence = max(g.sequence, event.GetSequence())
	switch told := event.GetEvent().(type) {
	case *pb.ImageStreamEvent_Started:
		g.requestID = firstOf(told.Started.GetRequestId(), g.requestID)
		g.name(told.Started.GetGenerationId())
	case *pb.ImageStreamEvent_Result:
		g.ended = true
		g.finish()
	}
	if g.generationID == "" {
		g.name(first(header, generationIDHeader))
	}
	return event, nil
}

// name takes the server's id, once it is told. With g.mu held.
func (g *generation) name(generationID string) {
	if generationID != "" {
		g.generationID = generationID
		g.known = true
	}
}

// finish lets the RPC end by itself behind its result: the server shall not see it cancelled. With g.mu held.
func (g *generation) finish() {
	g.finishing = true
	stream := g.stream
	go func() {
		timer := time.AfterFunc(finishWait, g.cancel)
		defer timer.Stop()
		_, _ = stream.Recv() // the end, whatever it is: the result stands
		g.cancel()
	}()
}

// again begins anew where the stream broke with `err`. False: that is not to be. The error: the wait for it was ended.
func (g *generation) again(err *Error) (bool, *Error) {
	g.mu.Lock()
	final := g.ended || g.left || !g.life.resumable
	g.mu.Unlock()
	// A server that is busy has no place for another reader right now; the generation goes on all the same.
	busy := g.resuming && err.HasReason(pb.ErrorReason_ERROR_REASON_SERVER_BUSY)
	if final || !busy && !err.unfinished && !err.broke() {
		return false, nil
	}
	if !g.retries.wait(g.ctx) {
		if g.ctx.Err() != nil {
			return false, contextEnded(g.ctx, "the call was ended while its connection was broken", err)
		}
		return false, nil
	}
	g.client.conn.ResetConnectBackoff()
	g.broken = true
	g.begin(g.continuation())
	return true, nil
}

// continuation is what reads on: the generation from where it broke or, if the server may not have it, the wish itself.
func (g *generation) continuation() proto.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.known {
		return g.request
	}
	asked := g.request.(interface{ GetDelivery() *pb.Delivery })
	rest := &pb.ResumeRequest{AfterSequence: g.sequence, Delivery: asked.GetDelivery()}
	if g.generationID != "" {
		rest.Generation = &pb.ResumeRequest_GenerationId{GenerationId: g.generationID}
	} else {
		rest.Generation = &pb.ResumeRequest_RequestId{RequestId: g.requestID}
	}
	return rest
}

// ids are what is known of it by now.
func (g *generation) ids() (generationID, requestID string, sequence uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.generationID, g.requestID, g.sequence
}

// leave goes away. What nobody else can know of is stopped at the server by the task that is returned.
func (g *generation) leave() *cancelling {
	g.mu.Lock()
	g.left = true
	finishing, stop := g.finishing, g.life.owned && !g.ended && !g.lost
	if g.unwatch != nil {
		g.unwatch()
	}
	g.mu.Unlock()
	if !finishing {
		g.cancel()
	}
	defer g.client.forget(g)
	if stop {
		return g.stop()
	}
	return nil
}
