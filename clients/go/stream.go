package imagegen

import (
	"context"
	"io"
	"iter"
	"runtime"
	"sync"
)

// A Stream is a generation that runs: range over [Stream.Events], call [Stream.Result] for the whole, in either order or
// both, from one goroutine or several.
//
// It runs whether or not anybody reads, until its context ends or it is left. Leaving it ([Stream.Close], the end of the
// context that it was begun with, dropping the last reference) also stops the generation, unless it was meant to go on
// without its reader: one with a request id of the caller's or ON_DISCONNECT_DETACH, or one that was resumed.
// [Stream.Abort] always stops it. Close every stream.
type Stream struct{ reader *reader }

func newStream(reader *reader) *Stream {
	stream := &Stream{reader}
	// Nobody will ever read on, so nobody shall pay on.
	runtime.AddCleanup(stream, func(generation *generation) { generation.leave() }, reader.generation)
	return stream
}

// GenerationID is the server's id, for [Client.Resume], [Client.Cancel] and support. Empty until something was received.
func (s *Stream) GenerationID() string {
	id, _, _ := s.reader.generation.ids()
	return id
}

// RequestID is the id of the wish, good for the same. Empty if none was sent and [Started] was not received.
func (s *Stream) RequestID() string {
	_, id, _ := s.reader.generation.ids()
	return id
}

// LastSequence is where the generation's log was read to, for an [AfterSequence] that goes on from here.
func (s *Stream) LastSequence() uint32 {
	_, _, sequence := s.reader.generation.ids()
	return sequence
}

// Events are the events as they come. The iteration ends when the result is there; an error, an [*Error] in the last
// pair, says that the generation failed or was stopped. Breaking out of the loop leaves the stream as it is: another
// loop goes on from there, and [Stream.Close] leaves it. Events that [Stream.Result] passed by are kept for a loop
// after it.
func (s *Stream) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		defer runtime.KeepAlive(s)
		for {
			event, err := s.reader.next()
			if err == io.EOF {
				return
			}
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// Result waits for the end and returns what came of the generation; asked again, it returns the same again. The
// context given here limits this wait only: when it ends, the generation runs on.
//
// The error is an [*Error]: the generation failed or was stopped, or the context ended.
func (s *Stream) Result(ctx context.Context) (*Result, error) {
	defer runtime.KeepAlive(s)
	return s.reader.wait(ctx)
}

// Abort stops the generation at once. No event follows; whoever waits gets CANCELLED. It does nothing once the result is
// there. The provider may bill what it has begun. Where the generation would run on without its reader, the server is
// told to stop it, and the context limits the wait for its answer.
//
// The error is an [*Error]: the server could not be told, so the generation may run on.
func (s *Stream) Abort(ctx context.Context) error {
	defer runtime.KeepAlive(s)
	s.reader.end("the generation was aborted")
	return s.reader.generation.abort(ctx)
}

// Close leaves the stream: it reads no more and, unless the generation was meant to go on without its reader, stops it.
// Where that takes a call to the server, Close waits for it, at most a second. It returns nil, and once the result is
// there does nothing.
func (s *Stream) Close() error {
	defer runtime.KeepAlive(s)
	s.reader.close()
	return nil
}

// A reader takes in messages when somebody wants an event or the result, and not before: what is not read waits at the
// server.
type reader struct {
	generation *generation
	assembler  *assembler
	discard    bool // nobody will ask for events

	turn sync.Mutex // one receives at a time; others may wait for what comes of it

	mu       sync.Mutex
	events   []Event
	messages int
	result   *Result
	err      *Error
	done     chan struct{} // closed once there is a result or an error
	waiters  int           // calls of wait
	draining bool          // a goroutine receives for them
}

func newReader(generation *generation, assembler *assembler) *reader {
	return &reader{generation: generation, assembler: assembler, done: make(chan struct{})}
}

// next is the next event; io.EOF: the result is there.
func (r *reader) next() (Event, error) {
	for {
		r.mu.Lock()
		seen := r.messages
		if len(r.events) > 0 {
			event := r.events[0]
			r.events[0] = nil
			r.events = r.events[1:]
			r.mu.Unlock()
			return event, nil
		}
		result, err := r.result, r.err
		r.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case result != nil:
			return nil, io.EOF
		}
		r.advance(seen)
	}
}

// outcome waits for the end in the calling goroutine. Only the generation's own context ends the wait.
func (r *reader) outcome() (*Result, error) {
	for {
		r.mu.Lock()
		seen, result, err := r.messages, r.result, r.err
		r.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case result != nil:
			return result, nil
		}
		r.advance(seen)
	}
}

// wait waits for the end, or that of the context. A goroutine receives meanwhile, as an RPC cannot be left alone in the
// middle of a message.
func (r *reader) wait(ctx context.Context) (*Result, error) {
	r.mu.Lock()
	r.waiters++
	if !r.draining && !r.over() {
		r.draining = true
		go r.drain()
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.waiters--
		r.mu.Unlock()
	}()
	select {
	case <-r.done:
		return r.outcome()
	default:
	}
	select {
	case <-r.done:
		return r.outcome()
	case <-ctx.Done():
		err := contextEnded(ctx, "the wait for the result was ended; the generation was not")
		err.GenerationID, err.RequestID, _ = r.generation.ids()
		return nil, err
	}
}

func (r *reader) drain() {
	for {
		r.mu.Lock()
		seen := r.messages
		if r.over() || r.waiters == 0 {
			r.draining = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		r.advance(seen)
	}
}

// over: there is a result or an error. With r.mu held.
func (r *reader) over() bool { return r.result != nil || r.err != nil }

// advance takes one more message in, unless somebody else has done so since `seen`.
func (r *reader) advance(seen int) {
	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	late := r.messages != seen || r.over()
	r.mu.Unlock()
	if late {
		return
	}
	message, failure := r.generation.receive()
	var event Event
	var broken error
	if failure == nil {
		event, broken = r.assembler.feed(message)
	}
	r.mu.Lock()
	r.messages++
	if event != nil && !r.discard && !r.over() {
		r.events = append(r.events, event)
	}
	if broken != nil {
		failure = broken.(*Error)
	}
	if r.assembler.result != nil && !r.over() {
		r.result = r.assembler.result
		close(r.done)
	}
	r.finish(failure)
	over := r.over()
	r.mu.Unlock()
	if over {
		r.generation.leave() // also for bytes that are not the promised ones: nobody shall pay for more of them
	}
}

// finish ends the stream with an error, unless it came to an end before: that stands. With r.mu held.
func (r *reader) finish(err *Error) {
	if err == nil || r.over() {
		return
	}
	generationID, requestID, _ := r.generation.ids()
	err.GenerationID = firstOf(err.GenerationID, generationID)
	err.RequestID = firstOf(err.RequestID, requestID)
	r.err = err
	close(r.done)
}

// end is for one who goes away: nothing that was not read comes any more.
func (r *reader) end(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over() {
		r.events = nil
		r.finish(stopped(why))
	}
}

func (r *reader) close() {
	r.end("the stream was left")
	if task := r.generation.leave(); task != nil {
		task.wait()
	}
}
