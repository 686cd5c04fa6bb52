package imagegen

import (
	"crypto/tls"
	"time"

	pb "github.com/imagegen/imagegen/clients/go/imagegen/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// A ClientOption says how a [Client] connects.
type ClientOption interface{ applyClient(*clientConfig) }

// A CallOption is a wish or a setting of a call, or of a model for all of its calls. A call's own go before those of
// the model, and later ones before earlier ones.
type CallOption interface{ applyCall(*wish) }

// A ResumeOption says how [Client.Resume] reads.
type ResumeOption interface{ applyResume(*resumption) }

type clientOption func(*clientConfig)

func (set clientOption) applyClient(config *clientConfig) { set(config) }

type callOption func(*wish)

func (set callOption) applyCall(wish *wish) { set(wish) }

type resumeOption func(*resumption)

func (set resumeOption) applyResume(resumption *resumption) { set(resumption) }

// WithTLS speaks TLS. With a nil configuration the system's roots are trusted; roots and a client certificate of one's
// own go into one.
func WithTLS(config *tls.Config) ClientOption {
	return clientOption(func(c *clientConfig) { c.tls, c.tlsConfig = true, config })
}

// WithToken sends a token as "authorization: Bearer" with every call, over TLS or to this machine only.
func WithToken(token string) ClientOption {
	return clientOption(func(c *clientConfig) { c.token = token })
}

// WithDialOptions adds options of gRPC for the connection, such as interceptors. They override those of the client.
func WithDialOptions(options ...grpc.DialOption) ClientOption {
	return clientOption(func(c *clientConfig) { c.dial = append(c.dial, options...) })
}

// A TimeoutOption is made by [WithTimeout].
type TimeoutOption time.Duration

// WithTimeout limits each call of a client, or the calls of a model, or one call, or the reading of a resumed
// generation; the one said nearest to the call holds. The context of a call limits it besides. Zero: no limit of this
// kind, or that of the client.
func WithTimeout(limit time.Duration) TimeoutOption { return TimeoutOption(limit) }

func (o TimeoutOption) applyClient(c *clientConfig) { c.timeout = time.Duration(o) }
func (o TimeoutOption) applyCall(w *wish)           { w.timeout = time.Duration(o) }
func (o TimeoutOption) applyResume(r *resumption)   { r.timeout = time.Duration(o) }

// A DeliveryOption is made by [WithDelivery].
type DeliveryOption pb.DeliveryMode

// WithDelivery says how bytes come back: with the stream (DELIVERY_MODE_INLINE, unset), or as facts and an id for
// [Client.Read] (DELIVERY_MODE_REFERENCE).
func WithDelivery(mode pb.DeliveryMode) DeliveryOption { return DeliveryOption(mode) }

func (o DeliveryOption) applyCall(w *wish)         { w.delivery = pb.DeliveryMode(o) }
func (o DeliveryOption) applyResume(r *resumption) { r.delivery = pb.DeliveryMode(o) }

// AfterSequence reads behind this point of a generation: the [Stream.LastSequence] of a stream that was left. Images
// that had begun before it are in the result without their bytes; [Client.Read] fetches them.
func AfterSequence(sequence uint32) ResumeOption {
	return resumeOption(func(r *resumption) { r.after = sequence })
}

// WithOptions sets several wishes at once; unset fields leave what is there.
func WithOptions(options *pb.ImageOptions) CallOption {
	said := proto.CloneOf(options)
	refusal := refuseText(said, "options.")
	return callOption(func(w *wish) {
		w.options = mergeOptions(w.options, said)
		w.refuse(refusal)
	})
}

func option(set func(*pb.ImageOptions)) CallOption {
	said := &pb.ImageOptions{}
	set(said)
	return WithOptions(said)
}

// WithCount wants so many images. Unset: 1.
func WithCount(count uint32) CallOption {
	return option(func(o *pb.ImageOptions) { o.Count = &count })
}

// WithSize wants a size in pixels. It excludes an aspect ratio and a resolution.
func WithSize(width, height uint32) CallOption {
	return option(func(o *pb.ImageOptions) { o.Size = &pb.PixelSize{Width: width, Height: height} })
}

// WithAspectRatio wants a width to height, such as "16:9".
func WithAspectRatio(ratio string) CallOption {
	return option(func(o *pb.ImageOptions) { o.AspectRatio = ratio })
}

// WithResolution wants "1K", "2K" or "4K". It may stand beside an aspect ratio.
func WithResolution(resolution string) CallOption {
	return option(func(o *pb.ImageOptions) { o.Resolution = resolution })
}

// WithQuality wants a quality as the model names it, such as "low" or "high".
func WithQuality(quality string) CallOption {
	return option(func(o *pb.ImageOptions) { o.Quality = quality })
}

// WithBackground wants a background as the model names it, such as "transparent" or "opaque".
func WithBackground(background string) CallOption {
	return option(func(o *pb.ImageOptions) { o.Background = background })
}

// WithFormat wants "png", "jpeg", "webp" or another format, without "image/".
func WithFormat(format string) CallOption {
	return option(func(o *pb.ImageOptions) { o.Format = format })
}

// WithCompression wants a compression from 0 to 100, as the provider counts.
func WithCompression(compression uint32) CallOption {
	return option(func(o *pb.ImageOptions) { o.Compression = &compression })
}

// WithSeed gives the seed. The same seed and request give the same picture only where the model promises it.
func WithSeed(seed int64) CallOption {
	return option(func(o *pb.ImageOptions) { o.Seed = &seed })
}

// WithNegativePrompt says what not to draw.
func WithNegativePrompt(prompt string) CallOption {
	return option(func(o *pb.ImageOptions) { o.NegativePrompt = prompt })
}

// WithPreviewCount wants so many previews for each image, at most 16. Unset: 2 in streams, none in Generate and Edit.
func WithPreviewCount(count uint32) CallOption {
	return option(func(o *pb.ImageOptions) { o.PreviewCount = &count })
}

// Params are a provider's own parameters, by its name in the server's configuration or by its type. Values are those of
// JSON: nil, booleans, numbers, strings, slices, and maps with string keys.
type Params = map[string]map[string]any

// WithParams adds the provider's own parameters, which reach it unmodified, to those that are there, key by key. A number
// that a double cannot hold exactly (whole numbers from 2^53 in magnitude on, NaN, infinity) is refused with its path:
// give it as a string.
func WithParams(params Params) CallOption {
	return callOption(func(w *wish) {
		var refusal *RefusedError
		w.params = mergeParams(w.params, params)
		w.values, refusal = paramsToProto(w.params)
		w.refuse(refusal)
	})
}

// WithStrict refuses, before anything is spent, what would be a warning.
func WithStrict(strict bool) CallOption { return callOption(func(w *wish) { w.strict = strict }) }

// WithResumable reads on by itself where the connection broke, also in the middle of an image, without buying twice.
func WithResumable(resumable bool) CallOption {
	return callOption(func(w *wish) { w.resumable = resumable })
}

// WithRequestID is the caller's own id for a call, best a UUID. The same id and wish again joins the running generation
// or replays its result. Without [WithOnDisconnect] such a generation runs on when it is left.
func WithRequestID(id string) CallOption {
	return callOption(func(w *wish) {
		w.requestID = id
		w.refuse(refuseBytes(id, "request_id"))
	})
}

// WithOnDisconnect says what it means that every reader of the generation has gone away. Unset: DETACH with
// [WithRequestID], else CANCEL.
func WithOnDisconnect(on pb.OnDisconnect) CallOption {
	return callOption(func(w *wish) { w.onDisconnect = on })
}

// WithFallbackModels are tried in this order when the provider fails, while nothing was accepted or shown, after those of
// the alias if the model is one.
func WithFallbackModels(models ...string) CallOption {
	refusal := refuseText(&pb.RetryPolicy{FallbackModels: models}, "retry.")
	return callOption(func(w *wish) {
		w.retry = mergeRetry(w.retry, func(r *pb.RetryPolicy) { r.FallbackModels = models })
		w.refuse(refusal)
	})
}

// WithRetryAmbiguous repeats also an attempt that may have been billed. Unset: only if the server's configuration says so.
func WithRetryAmbiguous(retry bool) CallOption {
	return callOption(func(w *wish) { w.retry = mergeRetry(w.retry, func(r *pb.RetryPolicy) { r.RetryAmbiguous = retry }) })
}

// WithFallbackOnContentFiltered tries the next model when this one's moderation refuses.
func WithFallbackOnContentFiltered(fallback bool) CallOption {
	return callOption(func(w *wish) {
		w.retry = mergeRetry(w.retry, func(r *pb.RetryPolicy) { r.FallbackOnContentFiltered = fallback })
	})
}
