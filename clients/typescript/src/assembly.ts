import { ByteRun } from "./bytes.js";
import { ImageGenError, invalidResponse } from "./errors.js";
import type { ImageEvent, PreviewEvent } from "./events.js";
import type {
  GeneratedImage as GeneratedImageMessage,
  ImageResult as ImageResultMessage,
} from "./gen/imagegen/v1/image_pb.js";
import type { ImageChunk, ImagePreview, ImageStreamEvent } from "./gen/imagegen/v1/image_stream_pb.js";
import { factsOf, GeneratedImage, Image } from "./image.js";
import { ImageResult } from "./result.js";

/** The image opened last. A finished one has no number. */
type Opening =
  | { readonly preview: ImagePreview; readonly made?: never; readonly run: ByteRun }
  | { readonly made: GeneratedImageMessage; readonly preview?: never; readonly run: ByteRun };

/** Puts the events of one stream together: chunks become whole images, and the end becomes a result. */
export class Assembler {
  /** What the stream came to, once it was told. */
  result: ImageResult | undefined;
  readonly #chunked: boolean;
  readonly #whole: boolean;
  readonly #images = new Map<number, GeneratedImage>();
  #open: Opening | undefined;

  /**
   * Expect a stream, which may come over several connections one after the other.
   *
   * `chunked`: the bytes of images follow as chunks; else images are facts and an id. `whole`: the events come from the
   * start; else an image whose beginning is missing is left to its id.
   */
  constructor(stream: { chunked: boolean; whole: boolean }) {
    this.#chunked = stream.chunked;
    this.#whole = stream.whole;
  }

  /**
   * Take the next event, and return what it completes. One that is unset or newer than this client is ignored.
   *
   * @throws ImageGenError INVALID_RESPONSE: the stream breaks a promise that a finished image depends on. A damaged
   * preview is left out instead.
   */
  feed({ event }: ImageStreamEvent): ImageEvent | undefined {
    if (this.result !== undefined) return undefined;
    switch (event.case) {
      case "started":
        return { type: "started", started: event.value };
      case "progress":
        return { type: "progress", progress: event.value };
      case "preview":
        return this.#preview(event.value);
      case "complete":
        return this.#complete(event.value);
      case "chunk":
        return this.#chunk(event.value);
      case "failure":
        return { type: "failed", failure: event.value };
      case "result":
        this.#endOpen();
        this.result = this.#resultOf(event.value);
        return undefined;
      default:
        return undefined;
    }
  }

  #preview(preview: ImagePreview): ImageEvent | undefined {
    this.#endOpen();
    if (!this.#chunked) return previewEvent(preview);
    try {
      this.#open = { preview, run: new ByteRun(preview.image) };
    } catch (error) {
      if (!(error instanceof ImageGenError)) throw error;
    }
    return undefined;
  }

  #complete(made: GeneratedImageMessage): ImageEvent | undefined {
    this.#endOpen();
    if (!this.#chunked) return this.#completeEvent(made);
    this.#open = { made, run: new ByteRun(made.image) };
    return undefined;
  }

  #chunk(chunk: ImageChunk): ImageEvent | undefined {
    const opening = this.#open;
    const ofPreview = chunk.previewNumber !== 0;
    if (opening === undefined || !belongs(chunk, opening)) {
      if (ofPreview) return undefined; // the rest of a preview that was given up
      if (!this.#whole && opening === undefined && !this.#images.has(chunk.index)) return undefined; // begun before
      throw invalidResponse(`bytes of image ${chunk.index} came outside of their place`);
    }
    let data: Uint8Array;
    try {
      opening.run.append(chunk.offset, chunk.data);
      if (!opening.run.whole) return undefined;
      data = opening.run.join();
    } catch (error) {
      this.#open = undefined;
      if (ofPreview && error instanceof ImageGenError) return undefined; // no reason to lose the image
      throw error;
    }
    this.#open = undefined;
    return opening.made ? this.#completeEvent(opening.made, data) : previewEvent(opening.preview, data);
  }

  #completeEvent(made: GeneratedImageMessage, data?: Uint8Array): ImageEvent {
    const image = new GeneratedImage(made, data);
    this.#images.set(image.index, image);
    return { type: "complete", image };
  }

  /** An opening ends an unfinished preview; a finished image may not be cut short. */
  #endOpen(): void {
    const opening = this.#open;
    this.#open = undefined;
    if (opening?.made) throw invalidResponse(`image ${opening.made.index} was cut short`);
  }

  #resultOf(result: ImageResultMessage): ImageResult {
    const [first, ...others] = result.images.map((made) => this.#withBytes(made));
    if (first === undefined)
      throw invalidResponse("the server ended the generation without an image and without an error");
    return new ImageResult(result, first, others);
  }

  #withBytes(made: GeneratedImageMessage): GeneratedImage {
    const received = this.#images.get(made.index);
    if (this.#chunked && this.#whole && received === undefined) {
      throw invalidResponse(`the result names image ${made.index}, which never came`);
    }
    return new GeneratedImage(made, received?.data);
  }
}

function belongs(chunk: ImageChunk, opening: Opening): boolean {
  const { index } = opening.made ?? opening.preview;
  return index === chunk.index && (opening.preview?.number ?? 0) === chunk.previewNumber;
}

function previewEvent(preview: ImagePreview, data?: Uint8Array): PreviewEvent {
  const { index, number, metadata } = preview;
  return { type: "preview", index, number, image: new Image(factsOf(preview.image, data)), metadata };
}
