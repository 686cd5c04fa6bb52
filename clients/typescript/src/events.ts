import type { ImageFailure } from "./gen/imagegen/v1/image_pb.js";
import type { GenerationStarted, Progress } from "./gen/imagegen/v1/image_stream_pb.js";
import type { GeneratedImage, Image } from "./image.js";
import type { Metadata } from "./params.js";

/** The generation exists, and nothing was spent before this. */
export interface StartedEvent {
  /** Tells the events apart. */
  readonly type: "started";
  /** Its ids, its model, and what will not be done as asked as far as it is known. */
  readonly started: GenerationStarted;
}

/** News without pixels; also the heartbeat, at least every 10 seconds. */
export interface ProgressEvent {
  /** Tells the events apart. */
  readonly type: "progress";
  /** Where the generation stands. */
  readonly progress: Progress;
}

/** A picture that is not finished, whole as far as it goes. */
export interface PreviewEvent {
  /** Tells the events apart. */
  readonly type: "preview";
  /** The image it is a preview of. */
  readonly index: number;
  /** Counts the previews of this index from 1. */
  readonly number: number;
  /** The picture; without id, digest and expiry, as it cannot be read again. */
  readonly image: Image;
  /** What else the provider said of it, by provider name. */
  readonly metadata: Metadata;
}

/** A finished image; its size and SHA-256 were checked if its bytes came with it. */
export interface CompleteEvent {
  /** Tells the events apart. */
  readonly type: "complete";
  /** The image. */
  readonly image: GeneratedImage;
}

/** One image will not come; others may. */
export interface FailedEvent {
  /** Tells the events apart. */
  readonly type: "failed";
  /** Which, and why. */
  readonly failure: ImageFailure;
}

/** One step of a generation: images arrive whole. Tell them apart by `type`. */
export type ImageEvent = StartedEvent | ProgressEvent | PreviewEvent | CompleteEvent | FailedEvent;
