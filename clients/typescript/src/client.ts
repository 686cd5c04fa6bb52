import { create } from "@bufbuild/protobuf";
import type { Client as Stub, Transport } from "@connectrpc/connect";
import { getModel, ModelList } from "./catalogue.js";
import type { Connection, Limits } from "./connection.js";
import {
  CancelRequestSchema,
  type ImageService,
  type PlannedCall,
  ResumeRequestSchema,
} from "./gen/imagegen/v1/image_service_pb.js";
import type { Model, ModelService } from "./gen/imagegen/v1/model_service_pb.js";
import type { Image } from "./image.js";
import { ImageModel, startStream } from "./model.js";
import { readImage } from "./read.js";
import { checked, deliveryMessage, generationCase, Wish } from "./request.js";
import type { ImageResult } from "./result.js";
import type { CallSettings, EditSettings, GenerationName, ModelSettings, ResumeSettings } from "./settings.js";
import type { ImageStream } from "./stream.js";
import { uploadImage } from "./upload.js";

/** A connection to an imagegen server; made by `connect`. */
export class Client implements AsyncDisposable {
  /** Where the server is. */
  readonly address: string;
  readonly #connection: Connection;

  /** Clients are made by `connect`. */
  constructor(address: string, connection: Connection) {
    this.address = address;
    this.#connection = connection;
  }

  /** The generated stub of the image service, on this client's connection and with its token. */
  get imageService(): Stub<typeof ImageService> {
    return this.#connection.images;
  }

  /** The generated stub of the model service, on this client's connection and with its token. */
  get modelService(): Stub<typeof ModelService> {
    return this.#connection.models;
  }

  /** The connection itself, for stubs of other services of the same server: `createClient(Health, client.transport)`. */
  get transport(): Transport {
    return this.#connection.transport;
  }

  /** Stop every call and close the connection. More than once is fine. */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** As `close()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Bind a model, named "provider/model" or by an alias of the server's configuration, with what holds for all of its
   * calls.
   *
   * @throws TypeError or RangeError: a value that cannot be carried.
   */
  image(model: string, settings: ModelSettings = {}): ImageModel {
    if ((settings as CallSettings).requestId !== undefined || (settings as CallSettings).signal !== undefined) {
      throw new TypeError("requestId and signal belong to one call: give them to the call, not to the model");
    }
    return new ImageModel(this.#connection, new Wish(model).with(settings));
  }

  /** Draw with a model: short for `image(model).generate(prompt, settings)`. */
  async generate(model: string, prompt: string, settings: CallSettings = {}): Promise<ImageResult> {
    return await this.image(model).generate(prompt, settings);
  }

  /** Draw with a model and watch: short for `image(model).stream(prompt, settings)`. */
  stream(model: string, prompt: string, settings: CallSettings = {}): ImageStream {
    return this.image(model).stream(prompt, settings);
  }

  /** Change a picture with a model: short for `image(model).edit(prompt, settings)`. */
  async edit(model: string, prompt: string, settings: EditSettings): Promise<ImageResult> {
    return await this.image(model).edit(prompt, settings);
  }

  /** Change a picture with a model and watch: short for `image(model).streamEdit(prompt, settings)`. */
  streamEdit(model: string, prompt: string, settings: EditSettings): ImageStream {
    return this.image(model).streamEdit(prompt, settings);
  }

  /** What `generate` would do: short for `image(model).explain(prompt, settings)`. */
  async explain(model: string, prompt: string, settings: CallSettings = {}): Promise<readonly PlannedCall[]> {
    return await this.image(model).explain(prompt, settings);
  }

  /** What `edit` would do: short for `image(model).explainEdit(prompt, settings)`. */
  async explainEdit(model: string, prompt: string, settings: EditSettings): Promise<readonly PlannedCall[]> {
    return await this.image(model).explainEdit(prompt, settings);
  }

  /**
   * Read a generation that runs or has ended, to the same end; where the connection breaks, it is read on. Leaving this
   * stream does not stop the generation, `abort()` does.
   *
   * With an `afterSequence`, images whose beginning was before it are in the result without their bytes: `read` fetches
   * them.
   *
   * @throws TypeError: not exactly one id, or a value that cannot be carried. What the server says is thrown by the
   * stream.
   */
  resume(generation: GenerationName, settings: ResumeSettings = {}): ImageStream {
    const { afterSequence = 0, delivery } = settings;
    const request = checked(ResumeRequestSchema, {
      generation: generationCase(generation),
      afterSequence,
      delivery: deliveryMessage(delivery),
    });
    const lifetime = { resumable: true, shared: true, owned: false };
    const stream = { chunked: delivery !== "reference", whole: afterSequence === 0 };
    return startStream(this.#connection, request, settings, lifetime, stream);
  }

  /**
   * Stop a generation, whoever reads it. Its finished images are kept; the provider may bill what it has begun.
   *
   * Resolves to true if it was running and is stopped, false if it had ended already.
   *
   * @throws ImageGenError: there is no such generation, or the server could not be told.
   * @throws TypeError: not exactly one id.
   */
  async cancel(generation: GenerationName, limits: Limits = {}): Promise<boolean> {
    const request = create(CancelRequestSchema, { generation: generationCase(generation) });
    const told = await this.#connection.ask((options) => this.imageService.cancel(request, options), limits);
    return told.stopped;
  }

  /**
   * Fetch the bytes of an image that was delivered by reference, or of `Image.fromId(id)`: the same image with its
   * bytes. One that has them is returned as it is. Bytes are checked against size and SHA-256, and a read that breaks
   * off is resumed once where it broke.
   *
   * @throws ImageGenError: there is no such image (any more), its bytes are wrong, or the way to the server broke.
   * @throws TypeError: the image has neither bytes nor an id.
   */
  async read<I extends Image>(image: I, limits: Limits = {}): Promise<I> {
    return await readImage(this.#connection, image, limits);
  }

  /**
   * Give an image to the server once, for as many edits as wanted; only what it does not have yet is sent.
   *
   * Resolves to a reference, good in `edit` until its `expireTime`. It is without bytes: keep `image` for these.
   *
   * @throws ImageGenError: it could not be given, or is no image.
   * @throws TypeError: the image has no bytes.
   */
  async upload<I extends Image>(image: I, limits: Limits = {}): Promise<I> {
    return await uploadImage(this.#connection, image, limits);
  }

  /** The models that the caller may use, ordered by name; of one provider if it is named. `timeoutMs` is for each page. */
  models(provider?: string, limits: Limits = {}): ModelList {
    return new ModelList(this.#connection, provider ?? "", limits);
  }

  /** One model, or the first candidate of an alias. */
  async model(name: string, limits: Limits = {}): Promise<Model> {
    return await getModel(this.#connection, name, limits);
  }
}
