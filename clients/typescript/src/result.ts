import type {
  Attempt,
  ImageFailure,
  ImageResult as ImageResultMessage,
  ImageUsage,
  Warning,
} from "./gen/imagegen/v1/image_pb.js";
import type { GeneratedImage } from "./image.js";
import type { Metadata } from "./params.js";

/** What came of a generation: at least one image. */
export class ImageResult {
  /** The server's id for the generation, for support. */
  readonly generationId: string;
  /** The name of the wish. */
  readonly requestId: string;
  /** The "provider/model" that made the images. */
  readonly model: string;
  /** At least one, ordered by index. */
  readonly images: readonly GeneratedImage[];
  /** The images that will not come, ordered by index. */
  readonly failures: readonly ImageFailure[];
  /** What is known of use. Absent: nothing. */
  readonly usage: ImageUsage | undefined;
  /** What was not done as asked. */
  readonly warnings: readonly Warning[];
  /** All provider calls, oldest first. */
  readonly attempts: readonly Attempt[];
  /** What else the provider said of the whole answer, by provider name. */
  readonly metadata: Metadata;
  readonly #image: GeneratedImage;

  /** Made by the client. */
  constructor(told: ImageResultMessage, first: GeneratedImage, others: readonly GeneratedImage[]) {
    this.generationId = told.generationId;
    this.requestId = told.requestId;
    this.model = told.model;
    this.images = [first, ...others];
    this.failures = told.failures;
    this.usage = told.usage;
    this.warnings = told.warnings;
    this.attempts = told.attempts;
    this.metadata = told.metadata;
    this.#image = first;
  }

  /** The first image: all there is when one was asked for. */
  get image(): GeneratedImage {
    return this.#image;
  }
}
