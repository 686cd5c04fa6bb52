import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Limits } from "./connection.js";
import type { ImageOptionsSchema } from "./gen/imagegen/v1/image_pb.js";
import type { Image } from "./image.js";
import type { Params } from "./params.js";

/**
 * Portable wishes, such as `{ size: { width: 1024, height: 768 }, seed: 7n }`. What is unset is the provider's own
 * default. A wish that the model does not know comes back as a warning in the result.
 */
export type ImageOptions = MessageInitShape<typeof ImageOptionsSchema>;

/** How the bytes come back: with the answer, or as facts and an id that `client.read` turns into bytes. */
export type DeliveryMode = "inline" | "reference";

/** What it means that every reader of a generation has gone away: it is stopped, or goes on and can be resumed. */
export type OnDisconnect = "cancel" | "detach";

/** What a model may be bound with, and each call of it may say otherwise. Unset leaves what is there. */
export interface ModelSettings {
  /** Portable wishes. Those of a call are laid over those of the model, field by field. */
  readonly options?: ImageOptions | undefined;
  /** The provider's own parameters. Those of a call are laid over those of the model, key by key. */
  readonly params?: Params | undefined;
  /** Refuse, before anything is spent, what would be a warning. */
  readonly strict?: boolean | undefined;
  /** How the bytes come back. Unset: "inline". */
  readonly delivery?: DeliveryMode | undefined;
  /** Milliseconds until a call is given up. Unset: that of the client; unset there: as long as it takes. */
  readonly timeoutMs?: number | undefined;
  /** Read on by itself where the connection broke, also in the middle of an image, without buying twice. */
  readonly resumable?: boolean | undefined;
  /** What it means that the reader has gone away. Unset: "detach" with a `requestId`, else "cancel". */
  readonly onDisconnect?: OnDisconnect | undefined;
  /** Models tried in this order when the provider fails, while nothing was accepted or shown. */
  readonly fallbackModels?: readonly string[] | undefined;
  /** Repeat also an attempt that may have been billed. Unset: only if the server's configuration says so. */
  readonly retryAmbiguous?: boolean | undefined;
  /** Try the next model when this one's moderation refuses. */
  readonly fallbackOnContentFiltered?: boolean | undefined;
}

/** What one call may say beside its prompt. */
export interface CallSettings extends ModelSettings, Limits {
  /**
   * Your own id for this wish, best a UUID. The same id and wish again joins the running generation or replays its
   * result. Implies `onDisconnect: "detach"`.
   */
  readonly requestId?: string | undefined;
}

/** What one edit may say beside its prompt. */
export interface EditSettings extends CallSettings {
  /** The picture to change. */
  readonly image?: Image | undefined;
  /** More of them, as references. Without `image` the first of these is changed. */
  readonly images?: readonly Image[] | undefined;
  /** What may change: where it is transparent or, if it has no transparency, white. */
  readonly mask?: Image | undefined;
}

/** Which generation: by the server's id for it or by your own, exactly one of them. */
export interface GenerationName {
  /** The server's id for it. */
  readonly generationId?: string | undefined;
  /** Your own id for it. */
  readonly requestId?: string | undefined;
}

/** How a generation is resumed. */
export interface ResumeSettings extends Limits {
  /** `lastSequence` of the stream that was left. Unset: 0, everything. */
  readonly afterSequence?: number | undefined;
  /** How the bytes come back. Unset: "inline". */
  readonly delivery?: DeliveryMode | undefined;
}
