package imagegen

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/protobuf/proto"
)

func asked(t *testing.T, bound []CallOption, options ...CallOption) *pb.GenerateRequest {
	t.Helper()
	return must(plainWish(scene).with(bound).with(options).generate("a cat"))(t)
}

// Each field of the API's ImageOptions can be said by itself, and all reach the request.
func TestOptionsReachTheRequest(t *testing.T) {
	got := asked(t, nil, WithCount(2), WithSize(64, 32), WithAspectRatio("2:1"), WithResolution("1K"), WithQuality("low"),
		WithBackground("opaque"), WithFormat("png"), WithCompression(0), WithSeed(-1), WithNegativePrompt("no"), WithPreviewCount(0))
	want := &pb.ImageOptions{
		Count: proto.Uint32(2), Size: &pb.PixelSize{Width: 64, Height: 32}, AspectRatio: "2:1", Resolution: "1K",
		Quality: "low", Background: "opaque", Format: "png", Compression: proto.Uint32(0), Seed: proto.Int64(-1),
		NegativePrompt: "no", PreviewCount: proto.Uint32(0),
	}
	if !proto.Equal(got.GetOptions(), want) {
		t.Fatal(got.GetOptions())
	}
	fields := want.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if !want.ProtoReflect().Has(fields.Get(i)) {
			t.Error("no option for", fields.Get(i).Name())
		}
	}
}

// A call's own word goes before the model's, field by field and key by key; what is unset leaves what is there.
func TestLaterWishesGoFirst(t *testing.T) {
	bound := []CallOption{
		WithSize(64, 32), WithSeed(1), WithQuality("low"), WithStrict(true), WithOptions(nil),
		WithParams(Params{"a": {"x": 1, "y": 2}, "b": {"z": 3}}),
	}
	got := asked(t, bound, WithOptions(&pb.ImageOptions{Size: &pb.PixelSize{Width: 16}, Seed: proto.Int64(0)}),
		WithStrict(false), WithParams(Params{"a": {"y": "4"}}))
	if !proto.Equal(got.GetOptions(), &pb.ImageOptions{Size: &pb.PixelSize{Width: 16}, Seed: proto.Int64(0), Quality: "low"}) || got.GetStrict() {
		t.Fatal(got)
	}
	a, b := got.GetParams()["a"].AsMap(), got.GetParams()["b"].AsMap()
	if !reflect.DeepEqual(a, map[string]any{"x": 1.0, "y": "4"}) || !reflect.DeepEqual(b, map[string]any{"z": 3.0}) {
		t.Fatal(a, b)
	}
	if again := asked(t, bound); again.GetParams()["a"].AsMap()["y"] != 2.0 || again.GetOptions().GetSize().GetHeight() != 32 {
		t.Fatal("a call changed its model:", again)
	}
}

// Every other setting is the field of its name; what is not said of retries is left to the server, and nothing can be said.
func TestSettingsReachTheRequest(t *testing.T) {
	got := asked(t, nil, WithRequestID("mine"), WithOnDisconnect(pb.OnDisconnect_ON_DISCONNECT_CANCEL),
		WithDelivery(pb.DeliveryMode_DELIVERY_MODE_REFERENCE), WithFallbackModels("a/b", "c/d"),
		WithRetryAmbiguous(true), WithFallbackOnContentFiltered(true))
	if got.GetRequestId() != "mine" || got.GetOnDisconnect() != pb.OnDisconnect_ON_DISCONNECT_CANCEL ||
		got.GetDelivery().GetMode() != pb.DeliveryMode_DELIVERY_MODE_REFERENCE ||
		!proto.Equal(got.GetRetry(), &pb.RetryPolicy{FallbackModels: []string{"a/b", "c/d"}, RetryAmbiguous: true, FallbackOnContentFiltered: true}) {
		t.Fatal(got)
	}
	plain := asked(t, nil)
	if plain.Retry != nil || plain.GetDelivery().GetMode() != pb.DeliveryMode_DELIVERY_MODE_INLINE || plain.Params != nil {
		t.Fatal(plain)
	}
	if empty := asked(t, nil, WithFallbackModels()); empty.Retry == nil {
		t.Fatal("an empty policy was not said")
	}
}

// A number that would arrive damaged, and what has no JSON form, is refused with its path.
func TestParamsThatCannotBeCarried(t *testing.T) {
	for path, params := range map[string]Params{
		"params.a.n":           {"a": {"n": 1 << 53}},
		"params.a.m":           {"a": {"m": -(1 << 53)}},
		"params.a.u":           {"a": {"u": uint64(math.MaxUint64)}},
		"params.a.f":           {"a": {"f": 1e300}},
		"params.a.nan":         {"a": {"nan": math.NaN()}},
		"params.a.list[1].inf": {"a": {"list": []any{1, map[string]any{"inf": math.Inf(-1)}}}},
		"params.a.json":        {"a": {"json": json.Number("9007199254740993")}},
		"params.a.huge":        {"a": {"huge": json.Number("1e999")}},
		"params.a.text":        {"a": {"text": "\xff"}},
		"params.a.bytes":       {"a": {"bytes": []byte("x")}},
		"params.a.func":        {"a": {"func": func() {}}},
		"params.a.keys":        {"a": {"keys": map[int]string{1: "x"}}},
	} {
		_, err := plainWish(scene).with([]CallOption{WithParams(params)}).generate("a cat")
		wantRefusal(t, err, path)
	}
}

// Every JSON value that a double can hold arrives as it is, in whatever Go type it was given.
func TestParamsArrive(t *testing.T) {
	type name string
	got := asked(t, nil, WithParams(Params{"a": {
		"int": int64(1<<53 - 1), "float": float32(0.5), "bool": true, "null": nil, "text": name("x"), "none": (*int)(nil),
		"list": []string{"x", "y"}, "map": map[name]int{"k": 1}, "json": json.Number("7"),
	}})).GetParams()["a"].AsMap()
	want := map[string]any{
		"int": float64(1<<53 - 1), "float": 0.5, "bool": true, "null": nil, "text": "x", "none": nil,
		"list": []any{"x", "y"}, "map": map[string]any{"k": 1.0}, "json": 7.0,
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatal(got)
	}
}

// What cannot be is refused before anything is sent, by each call of a model that was bound with it.
func TestSettingsThatCannotBe(t *testing.T) {
	client := connectTo(t, "127.0.0.1:1")
	for field, bound := range map[string]*Model{
		"resumable":     client.Image(scene, WithResumable(true), WithOnDisconnect(pb.OnDisconnect_ON_DISCONNECT_CANCEL)),
		"delivery":      client.Image(scene, WithDelivery(9)),
		"on_disconnect": client.Image(scene, WithOnDisconnect(9)),
		"request_id":    client.Image(scene, WithRequestID("mine")),
		"model":         client.Image("\xff"),
		"params.a.n":    client.Image(scene, WithParams(Params{"a": {"n": math.NaN()}})),

		"options.quality":          client.Image(scene, WithQuality("\xff")),
		"retry.fallback_models[1]": client.Image(scene, WithFallbackModels("a/b", "\xff")),
	} {
		_, err := bound.Generate(t.Context(), "a cat")
		wantRefusal(t, err, field)
		_, err = bound.StreamEdit(t.Context(), EditInput{})
		wantRefusal(t, err, field)
	}
	bound := client.Image(scene)
	_, err := bound.Stream(t.Context(), "caf\xe9")
	wantRefusal(t, err, "input.prompt")
	_, err = bound.Stream(t.Context(), "a cat", WithRequestID("\xff"))
	wantRefusal(t, err, "request_id")
	_, err = bound.Edit(t.Context(), EditInput{Images: []*Image{ImageFromID("a"), ImageFromURL("\xff")}})
	wantRefusal(t, err, "input.images[1].url")
	_, err = bound.Edit(t.Context(), EditInput{Images: []*Image{ImageFromID("")}})
	wantRefusal(t, err, "input.images[0]")
	_, err = bound.Edit(t.Context(), EditInput{Images: []*Image{ImageFromID("a")}, Mask: ImageFromURL("")})
	wantRefusal(t, err, "input.mask")
	_, err = client.Resume(t.Context(), nil)
	wantRefusal(t, err, "generation")
	_, err = client.Cancel(t.Context(), RequestID(""))
	wantRefusal(t, err, "generation")
}
