import { clone, create } from "@bufbuild/protobuf";
import { Assembler } from "./assembly.js";
import { getModel } from "./catalogue.js";
import type { Connection, Limits } from "./connection.js";
import { cancelled } from "./errors.js";
import {
  type EditRequest,
  type ExplainRequest,
  ExplainRequestSchema,
  type GenerateRequest,
  type PlannedCall,
} from "./gen/imagegen/v1/image_service_pb.js";
import { type ModelCapabilities, ModelCapabilitiesSchema } from "./gen/imagegen/v1/model_service_pb.js";
import { Generation, type StreamRequest } from "./generation.js";
import type { Params } from "./params.js";
import type { Lifetime, Wish } from "./request.js";
import type { ImageResult } from "./result.js";
import type { CallSettings, EditSettings, ImageOptions } from "./settings.js";
import { ImageStream } from "./stream.js";

/**
 * A model with what holds for all of its calls; made by `client.image`. What a call says goes before what the model was
 * bound with: options are joined field by field, params key by key.
 *
 * What is seen to be wrong before anything is sent is a TypeError or a RangeError; the asynchronous methods reject with
 * it. Every other failure is an `ImageGenError`.
 */
export class ImageModel {
  readonly #connection: Connection;
  readonly #wish: Wish;
  #capabilities: Promise<ModelCapabilities> | undefined;

  /** Models are made by the client. */
  constructor(connection: Connection, wish: Wish) {
    this.#connection = connection;
    this.#wish = wish;
  }

  /** As it was asked for: "provider/model", or an alias of the server's configuration. */
  get model(): string {
    return this.#wish.model;
  }

  /** The provider's own parameters that every call carries. */
  get params(): Params {
    return structuredClone(this.#wish.params);
  }

  /** The portable wishes that every call carries. */
  get options(): ImageOptions {
    return structuredClone(this.#wish.options);
  }

  /** What the model can do. Asked of the server once, then remembered. A failure is not remembered. */
  async capabilities(limits: Limits = {}): Promise<ModelCapabilities> {
    this.#capabilities ??= this.#askCapabilities(limits);
    return clone(ModelCapabilitiesSchema, await this.#capabilities);
  }

  /**
   * Draw, and wait for the end. If some images came and others failed, that is no error: see `result.failures`.
   *
   * @throws ImageGenError: no image came.
   */
  async generate(prompt: string, settings: CallSettings = {}): Promise<ImageResult> {
    const wish = this.#wish.with(settings).withoutPreviews();
    return await whole(this.#start(wish.generate(prompt), wish, wish.lifetime));
  }

  /** Draw, and tell and show how it goes. The generation begins at once. What the server says is thrown by the stream. */
  stream(prompt: string, settings: CallSettings = {}): ImageStream {
    const wish = this.#wish.with(settings);
    return this.#start(wish.generate(prompt), wish, wish.lifetime);
  }

  /** Change a picture, and wait for the end, as `generate`. `prompt` may be empty where the model edits without words. */
  async edit(prompt: string, settings: EditSettings): Promise<ImageResult> {
    const { image, images, mask, ...others } = settings;
    const wish = this.#wish.with(others).withoutPreviews();
    return await whole(this.#start(wish.edit(prompt, { image, images, mask }), wish, wish.lifetime));
  }

  /** Change a picture as `edit` does, and tell and show how it goes, as `stream` does. */
  streamEdit(prompt: string, settings: EditSettings): ImageStream {
    const { image, images, mask, ...others } = settings;
    const wish = this.#wish.with(others);
    return this.#start(wish.edit(prompt, { image, images, mask }), wish, wish.lifetime);
  }

  /**
   * What `generate` would do with the same arguments, without doing it and without cost: the provider calls in the
   * order in which they would be tried.
   */
  async explain(prompt: string, settings: CallSettings = {}): Promise<readonly PlannedCall[]> {
    const wish = this.#wish.with(settings).withoutPreviews();
    return await this.#explain({ case: "generate", value: wish.generate(prompt) }, wish);
  }

  /** What `edit` would do with the same arguments, as `explain`. */
  async explainEdit(prompt: string, settings: EditSettings): Promise<readonly PlannedCall[]> {
    const { image, images, mask, ...others } = settings;
    const wish = this.#wish.with(others).withoutPreviews();
    return await this.#explain({ case: "edit", value: wish.edit(prompt, { image, images, mask }) }, wish);
  }

  async #askCapabilities(limits: Limits): Promise<ModelCapabilities> {
    try {
      const model = await getModel(this.#connection, this.model, {
        ...limits,
        timeoutMs: limits.timeoutMs ?? this.#wish.settings.timeoutMs,
      });
      return model.capabilities ?? create(ModelCapabilitiesSchema);
    } catch (error) {
      this.#capabilities = undefined;
      throw error;
    }
  }

  #start(request: GenerateRequest | EditRequest, wish: Wish, lifetime: Lifetime): ImageStream {
    return startStream(this.#connection, request, wish.settings, lifetime, { chunked: wish.chunked, whole: true });
  }

  async #explain(request: ExplainRequest["request"], wish: Wish): Promise<readonly PlannedCall[]> {
    const asked = create(ExplainRequestSchema, { request });
    const { images } = this.#connection;
    const told = await this.#connection.ask((options) => images.explain(asked, options), wish.settings);
    return told.calls;
  }
}

/**
 * Begin to read a generation.
 *
 * @throws ImageGenError: the signal was aborted before anything was sent, or the client is closed.
 */
export function startStream(
  connection: Connection,
  request: StreamRequest,
  limits: Limits,
  lifetime: Lifetime,
  stream: { chunked: boolean; whole: boolean },
): ImageStream {
  const { signal } = limits;
  if (connection.closed) throw cancelled("the client is closed", "no");
  if (signal?.aborted) throw cancelled("the call's signal was aborted before anything was sent", "no", signal.reason);
  return new ImageStream(new Generation(connection, request, limits, lifetime), new Assembler(stream), signal);
}

async function whole(stream: ImageStream): Promise<ImageResult> {
  try {
    return await stream.result();
  } finally {
    await stream.close();
  }
}
