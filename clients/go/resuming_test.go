package imagegen

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

var (
	large = picture(2*chunkBytes+500, 1)
	small = picture(500, 2)
)

// longLog is everything that a stream can have: previews, news, two images in pieces, one that failed.
func longLog() []*pb.ImageStreamEvent {
	return numbered(together(
		one(started()), one(news()), previews(1, picture(chunkBytes+5, 3)), previews(2, picture(77, 4)),
		completed(0, large), one(news()), completed(1, small), one(failed(2)), one(resulted(large, small)),
	))
}

// numbered gives events their places in the log; news repeat the last one, as a heartbeat does.
func numbered(events []*pb.ImageStreamEvent) []*pb.ImageStreamEvent {
	sequence := uint32(0)
	for _, event := range events {
		if event.GetProgress() == nil {
			sequence++
		}
		event.Sequence = sequence
	}
	return events
}

// A log is a generation: bought once for each request_id, read by anybody from anywhere, over lines that break.
type log struct {
	mu           sync.Mutex
	events       []*pb.ImageStreamEvent
	breaks       []int // after so many events of each reading
	end          func(out) error
	bought       map[string]bool
	resumedAfter []uint32
}

func (f *fake) keeps(events []*pb.ImageStreamEvent, breaks []int, end func(out) error) *log {
	l := &log{events: events, breaks: breaks, end: end, bought: map[string]bool{}}
	f.stream = func(request proto.Message, out out) error {
		l.mu.Lock()
		l.bought[request.(interface{ GetRequestId() string }).GetRequestId()] = true
		l.mu.Unlock()
		return l.read(0, out)
	}
	f.resume = func(request *pb.ResumeRequest, out out) error {
		l.mu.Lock()
		l.resumedAfter = append(l.resumedAfter, request.GetAfterSequence())
		l.mu.Unlock()
		return l.read(request.GetAfterSequence(), out)
	}
	return l
}

func (l *log) read(after uint32, out out) error {
	l.mu.Lock()
	most := len(l.events)
	broken := len(l.breaks) > 0
	if broken {
		most, l.breaks = l.breaks[0], l.breaks[1:]
	}
	l.mu.Unlock()
	sent := 0
	for _, event := range l.events {
		if event.GetSequence() <= after && after > 0 {
			continue
		}
		if sent == most {
			break
		}
		if err := out.Send(event); err != nil {
			return err
		}
		sent++
	}
	if broken {
		return l.end(out)
	}
	return nil
}

func breaks(code codes.Code) func(out) error {
	return func(out) error { return status.Error(code, "broke") }
}

// wantAll: everything that the long log has came once, in order, byte for byte.
func wantAll(t *testing.T, stream *Stream) {
	t.Helper()
	defer stream.Close()
	seen, err := kinds(stream)
	if err != nil || !slices.Equal(seen, []string{"Started", "Preview", "Preview", "Complete", "Complete", "Failed"}) {
		t.Fatal(seen, err)
	}
	result := must(stream.Result(t.Context()))(t)
	if !bytes.Equal(result.Images[0].Bytes(), large) || !bytes.Equal(result.Images[1].Bytes(), small) {
		t.Fatal("other bytes")
	}
}

// Wherever a stream breaks, before, between and amid images, the reader gets the same, and it is bought once.
func TestABreakAnywhereIsNotSeen(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.Canceled, codes.Unknown, codes.OK} {
		for at := range longLog() {
			log := server.keeps(longLog(), []int{at}, breaks(code))
			wantAll(t, must(client.Image(scene).Stream(t.Context(), "a cat", WithResumable(true)))(t))
			if len(log.bought) != 1 {
				t.Fatalf("%v at %d: bought %d times", code, at, len(log.bought))
			}
			// Nothing received: the same request again. Else on from the last sequence.
			var wanted []uint32
			if at > 0 {
				wanted = []uint32{log.events[at-1].GetSequence()}
			}
			if !slices.Equal(log.resumedAfter, wanted) {
				t.Fatalf("%v at %d: resumed after %v", code, at, log.resumedAfter)
			}
		}
	}
}

// A line that carries one event at a time is slow, and no more: each event renews the tries.
func TestBreaksAfterEveryEvent(t *testing.T) {
	server := serve(t)
	events := slices.DeleteFunc(longLog(), func(event *pb.ImageStreamEvent) bool { return event.GetProgress() != nil })
	breaking := make([]int, len(events)-1)
	for i := range breaking {
		breaking[i] = 1
	}
	log := server.keeps(events, breaking, breaks(codes.Unavailable))
	wantAll(t, must(server.connect(t).Image(scene).Stream(t.Context(), "a cat", WithResumable(true)))(t))
	if len(log.bought) != 1 || len(log.resumedAfter) != len(breaking) {
		t.Fatal(log.bought, log.resumedAfter)
	}
}

// The same with a TCP connection that is reset under the stream.
func TestConnectionReset(t *testing.T) {
	server := serve(t)
	relay := relayTo(t, server.address)
	for at := range longLog() {
		log := server.keeps(longLog(), []int{at}, func(out out) error {
			relay.cut()
			<-out.Context().Done()
			return out.Context().Err()
		})
		client := connectTo(t, relay.address)
		client.delays = slices.Repeat([]time.Duration{20 * time.Millisecond}, 50)
		wantAll(t, must(client.Image(scene).Stream(t.Context(), "a cat", WithResumable(true)))(t))
		_ = client.Close()
		if len(log.bought) != 1 {
			t.Fatalf("at %d: bought %d times", at, len(log.bought))
		}
	}
}

// Generate and Edit read on too, with the same delivery as before.
func TestGenerateAndEditSurvive(t *testing.T) {
	server := serve(t)
	bound := server.connect(t).Image(scene, WithResumable(true))
	server.keeps(longLog(), []int{6}, breaks(codes.Unavailable))
	must(bound.Generate(t.Context(), "a cat"))(t)
	server.keeps(longLog(), []int{6}, breaks(codes.Unavailable))
	must(bound.Edit(t.Context(), EditInput{Images: []*Image{ImageFromID("img_1")}}))(t)
	server.keeps(numbered([]*pb.ImageStreamEvent{started(), opened(0, large), resulted(large)}), []int{2}, breaks(codes.Unavailable))
	byReference := must(bound.Generate(t.Context(), "a cat", WithDelivery(pb.DeliveryMode_DELIVERY_MODE_REFERENCE)))(t)
	if byReference.Image().Bytes() != nil {
		t.Fatal("bytes by reference")
	}
	resumes := server.called("Resume")
	for i, mode := range []pb.DeliveryMode{1, 1, 2} {
		request := resumes[i].request.(*pb.ResumeRequest)
		if request.GetDelivery().GetMode() != mode || request.GetGenerationId() != "gen_1" {
			t.Fatal(request)
		}
	}
}

// A preview that is not sent again is left out, and no more.
func TestPreviewThatIsNotSentAgain(t *testing.T) {
	server := serve(t)
	events := numbered(together(one(started()), previews(1, picture(3*chunkBytes, 3)), completed(0, large), one(resulted(large))))
	log := server.keeps(events, []int{3}, nil)
	log.end = func(out) error {
		log.events = slices.DeleteFunc(log.events, func(event *pb.ImageStreamEvent) bool { return event.GetSequence() < 6 })
		return status.Error(codes.Unavailable, "broke")
	}
	stream := must(server.connect(t).Image(scene).Stream(t.Context(), "a cat", WithResumable(true)))(t)
	defer stream.Close()
	if seen, err := kinds(stream); err != nil || !slices.Equal(seen, []string{"Started", "Complete"}) {
		t.Fatal(seen, err)
	}
}

// Without `resumable` a break is an error with the ids, and nobody resumes, or buys again.
func TestWithoutResumable(t *testing.T) {
	server := serve(t)
	log := server.keeps(longLog(), []int{4}, breaks(codes.Unavailable))
	_, err := server.connect(t).Image(scene).Generate(t.Context(), "a cat", WithRequestID("mine"))
	wantReason(t, err, "NETWORK_ERROR")
	if failure := asError(t, err); failure.GenerationID != "gen_1" || failure.RequestID != "req_1" || failure.Billed != billedUnknown {
		t.Fatal(failure)
	}
	if len(log.bought) != 1 || log.resumedAfter != nil || len(server.called("StreamGenerate")) != 1 {
		t.Fatal(log.bought, log.resumedAfter)
	}
}

// What the server itself says is final, to a resume as to a start; a busy server is asked to resume again.
func TestWhatTheServerSaysIsFinal(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	log := server.keeps(longLog(), []int{3, 0}, func(out out) error { return status.Error(codes.Internal, "broke") })
	server.resume = func(_ *pb.ResumeRequest, out out) error {
		return reasoned(codes.NotFound, "ERROR_REASON_GENERATION_NOT_FOUND", "no")
	}
	_, err := client.Image(scene).Generate(t.Context(), "a cat", WithResumable(true), WithRequestID("mine"))
	wantReason(t, err, "GENERATION_NOT_FOUND")
	server.stream = func(_ proto.Message, out out) error {
		return reasoned(codes.Unavailable, "ERROR_REASON_PROVIDER_UNAVAILABLE", "no")
	}
	_, err = client.Image(scene).Generate(t.Context(), "a cat", WithResumable(true), WithRequestID("mine"))
	wantReason(t, err, "PROVIDER_UNAVAILABLE")
	if len(server.called("StreamGenerate")) != 2 || len(server.called("Resume")) != 1 {
		t.Fatal(log.resumedAfter)
	}

	server.keeps(longLog(), []int{3}, breaks(codes.Unavailable))
	refusals, readOn := 2, server.resume
	server.resume = func(request *pb.ResumeRequest, out out) error {
		if refusals > 0 {
			refusals--
			return reasoned(codes.ResourceExhausted, "ERROR_REASON_SERVER_BUSY", "no")
		}
		return readOn(request, out)
	}
	wantAll(t, must(client.Image(scene).Stream(t.Context(), "a cat", WithResumable(true)))(t))
}

// After the seventh try in vain the break is an error, with the ids; the generation is not stopped.
func TestALineThatStaysBroken(t *testing.T) {
	server := serve(t)
	server.keeps(longLog(), append([]int{3}, make([]int, 100)...), breaks(codes.Internal))
	client := server.connect(t)
	_, err := client.Image(scene).Generate(t.Context(), "a cat", WithResumable(true))
	if failure := asError(t, err); failure.Code != codes.Internal || failure.GenerationID != "gen_1" {
		t.Fatal(err)
	}
	_ = client.Close()
	if len(server.called("Resume")) != 7 || len(server.called("Cancel")) != 0 {
		t.Fatal(len(server.called("Resume")), server.called("Cancel"))
	}
}

// The call's time covers all tries: a resume gets what is left of it.
func TestTimeCoversAllTries(t *testing.T) {
	server := serve(t)
	server.keeps(longLog(), append([]int{3}, make([]int, 1000)...), breaks(codes.Internal))
	client := server.connect(t)
	client.delays = slices.Repeat([]time.Duration{40 * time.Millisecond}, 1000)
	_, err := client.Image(scene).Generate(t.Context(), "a cat", WithResumable(true), WithTimeout(300*time.Millisecond))
	wantReason(t, err, "TIMEOUT")
	for _, made := range server.called("Resume") {
		if made.deadline <= 0 || made.deadline > 290*time.Millisecond {
			t.Fatal(made.deadline)
		}
	}
}

// A generation that is known by its metadata is resumed, not asked for again: another replica would buy it.
func TestIDInTheMetadata(t *testing.T) {
	server := serve(t)
	log := server.keeps(longLog(), nil, nil)
	server.stream = func(_ proto.Message, out out) error {
		_ = out.SendHeader(metadata.Pairs("imagegen-generation-id", "gen_1"))
		return status.Error(codes.Unavailable, "broke")
	}
	wantAll(t, must(server.connect(t).Image(scene).Stream(t.Context(), "a cat", WithResumable(true)))(t))
	if !slices.Equal(log.resumedAfter, []uint32{0}) || len(server.called("StreamGenerate")) != 1 {
		t.Fatal(log.resumedAfter)
	}
}

// A wish that may have arrived is not said to be free because a later try found nobody.
func TestBilledOfALaterTry(t *testing.T) {
	server := serve(t)
	relay := relayTo(t, server.address)
	server.stream = func(_ proto.Message, out out) error {
		relay.close()
		<-out.Context().Done()
		return out.Context().Err()
	}
	_, err := connectTo(t, relay.address).Image(scene).Generate(t.Context(), "a cat", WithResumable(true))
	wantReason(t, err, "NETWORK_ERROR")
	if failure := asError(t, err); failure.Billed != billedUnknown {
		t.Fatal(failure.Billed)
	}
}

// A refusal of a wish that is sent again says nothing of what became of it the first time: leaving and Abort stop it.
func TestRefusalOfAWishThatIsSentAgain(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	for _, options := range [][]CallOption{{WithResumable(true)}, {WithResumable(true), WithRequestID("mine")}} {
		tries, cancels := 0, len(server.called("Cancel"))
		server.stream = func(proto.Message, out) error {
			if tries++; tries == 1 {
				return status.Error(codes.Unavailable, "broke")
			}
			return reasoned(codes.ResourceExhausted, "ERROR_REASON_SERVER_BUSY", "no")
		}
		stream := must(client.Image(scene).Stream(t.Context(), "a cat", options...))(t)
		_, err := stream.Result(t.Context())
		wantReason(t, err, "SERVER_BUSY")
		if err := stream.Abort(t.Context()); err != nil || tries != 2 {
			t.Fatal(err, tries)
		}
		if len(server.called("Cancel")) != cancels+1 {
			t.Fatal(server.called("Cancel")[cancels:])
		}
	}
}

// A stream is read on by hand where another was left, and resumed streams are read on by themselves.
func TestResumeByHand(t *testing.T) {
	server := serve(t)
	client := server.connect(t)
	for at := range longLog()[1:] {
		log := server.keeps(longLog(), []int{5}, breaks(codes.Unavailable))
		after := log.events[at].GetSequence()
		stream := must(client.Resume(t.Context(), GenerationID("gen_1"), AfterSequence(after)))(t)
		result := must(stream.Result(t.Context()))(t)
		for i, data := range [][]byte{large, small} {
			if got := result.Images[i].Bytes(); got != nil && !bytes.Equal(got, data) {
				t.Fatalf("behind %d: image %d has other bytes", after, i)
			}
		}
		// An image whose opening came behind that point has its bytes.
		for _, event := range log.events {
			if made := event.GetComplete(); made != nil && event.GetSequence() > after && result.Images[made.GetIndex()].Bytes() == nil {
				t.Fatalf("behind %d: image %d has no bytes", after, made.GetIndex())
			}
		}
		_ = stream.Close()
	}
}
