import { createHash, type Hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { type CallOptions, type Client, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type GeneratedImage, GeneratedImageSchema, type ImageResult } from "@imagegen/client/v1/image_pb.js";
import { ImageService, type ReadImageRequest } from "@imagegen/client/v1/image_service_pb.js";
import type { ImageChunk, ImageStreamEvent } from "@imagegen/client/v1/image_stream_pb.js";
import {
  type Event,
  EventSchema,
  FailureSchema,
  type Measure,
  type Outcome,
  type Step,
} from "./conformance/v1/driver_pb.js";
import { measured } from "./measure.js";
import { picture, withoutData } from "./pictures.js";

type Images = Client<typeof ImageService>;

/** Does a step with a generated stub, over a channel with default settings. */
export async function plainStep(step: Step, outcome: Outcome): Promise<void> {
  if (step.retryingChannel) {
    outcome.unsupported = "connect has no channel that tries calls again by itself";
    return;
  }
  const secure = step.caFile !== "";
  const baseUrl = `${secure ? "https" : "http"}://${step.address}`;
  const sessionManager = new Http2SessionManager(baseUrl, {}, secure ? { ca: readFileSync(step.caFile) } : {});
  const interceptors = step.token === "" ? [] : [bearer(step.token)];
  const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors });
  try {
    await operate(createClient(ImageService, transport), step, outcome);
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    outcome.failure = create(FailureSchema, {
      code: error.code,
      message: error.rawMessage,
      reason: error.metadata.get("imagegen-reason") ?? "",
      billed: error.metadata.get("imagegen-billed") ?? "",
    });
  } finally {
    sessionManager.abort();
  }
}

async function operate(images: Images, step: Step, outcome: Outcome): Promise<void> {
  const { operation } = step;
  const controller = new AbortController();
  const options: CallOptions = { signal: controller.signal, ...(step.timeoutMs > 0 && { timeoutMs: step.timeoutMs }) };
  switch (operation.case) {
    case "generate":
      return keep(await images.generate(operation.value, options), outcome);
    case "edit":
      return keep(await images.edit(operation.value, options), outcome);
    case "stream":
      return follow((told) => images.streamGenerate(operation.value, told), step, outcome, controller);
    case "streamEdit":
      return follow((told) => images.streamEdit(operation.value, told), step, outcome, controller);
    case "resume":
      return follow((told) => images.resume(operation.value, told), step, outcome, controller);
    case "cancel":
      outcome.stopped = (await images.cancel(operation.value, options)).stopped;
      return;
    case "read":
      return read(images, operation.value, options, outcome);
    case "explain":
      outcome.explained = await images.explain(operation.value, options);
      return;
    case "measure":
      outcome.measured = await measurePlain(images, operation.value);
      return;
    default:
      outcome.unsupported = `plain stubs do not do ${operation.case ?? "nothing"}`;
  }
}

function bearer(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

function keep(result: ImageResult, outcome: Outcome): void {
  outcome.pictures = result.images
    .filter(({ image }) => image !== undefined && image.data.length > 0)
    .map((made) => picture(made.image?.data, toldOf(made)));
  outcome.result = { ...result, images: result.images.map(withoutData) };
}

function toldOf(made: GeneratedImage) {
  return { index: made.index, mediaType: made.image?.mediaType ?? "", made: withoutData(made) };
}

async function follow(
  begin: (options: CallOptions) => AsyncIterable<ImageStreamEvent>,
  step: Step,
  outcome: Outcome,
  controller: AbortController,
): Promise<void> {
  const watching = new Watching(outcome);
  const onHeader = (header: Headers) => {
    outcome.generationId ||= header.get("imagegen-generation-id") ?? "";
    outcome.requestId ||= header.get("imagegen-request-id") ?? "";
  };
  const limit = step.timeoutMs > 0 ? { timeoutMs: step.timeoutMs } : {};
  const stream = begin({ ...limit, signal: controller.signal, onHeader })[Symbol.asyncIterator]();
  try {
    for (let messages = 0; ; messages++) {
      if (step.leave !== undefined && messages >= step.leave.afterEvents) {
        controller.abort();
        await stream.next().catch(() => {}); // the end of what was cancelled
        await nextTurn(); // and the word of it on its way
        return;
      }
      const { done, value } = await stream.next();
      if (done) return;
      watching.take(value);
    }
  } finally {
    watching.end();
  }
}

/** Writes down what a stream sends, message by message. */
class Watching {
  readonly #outcome: Outcome;
  readonly #opened = new Map<number, { made: GeneratedImage; pieces: Uint8Array[] }>();
  #row: { index: number; previewNumber: number; pieces: Uint8Array[] } | undefined;

  constructor(outcome: Outcome) {
    this.#outcome = outcome;
  }

  take({ event, sequence }: ImageStreamEvent): void {
    this.#outcome.lastSequence = Math.max(this.#outcome.lastSequence, sequence);
    if (event.case === "progress") this.#outcome.progressEvents += 1;
    else if (event.case === "chunk") this.#chunk(event.value);
    else {
      this.#endRow();
      this.#outcome.events.push(this.#other(event));
    }
  }

  /** Tells of the images that came whole. */
  end(): void {
    this.#endRow();
    if (this.#outcome.result === undefined) return;
    const whole = [...this.#opened.values()].filter(({ pieces }) => pieces.length > 0);
    whole.sort((one, other) => one.made.index - other.made.index);
    this.#outcome.pictures = whole.map(({ made, pieces }) => picture(Buffer.concat(pieces), toldOf(made)));
  }

  #chunk({ index, previewNumber, data }: ImageChunk): void {
    if (this.#row?.index !== index || this.#row.previewNumber !== previewNumber) this.#endRow();
    this.#row ??= { index, previewNumber, pieces: [] };
    this.#row.pieces.push(data);
    if (previewNumber === 0) this.#opened.get(index)?.pieces.push(data);
  }

  /** Chunks of one image that came in a row are told as one. */
  #endRow(): void {
    if (this.#row === undefined) return;
    const { index, previewNumber, pieces } = this.#row;
    this.#row = undefined;
    const value = picture(Buffer.concat(pieces), { index, previewNumber });
    this.#outcome.events.push(create(EventSchema, { kind: { case: "chunks", value } }));
  }

  #other(event: ImageStreamEvent["event"]): Event {
    switch (event.case) {
      case "started":
        this.#name(event.value);
        return create(EventSchema, { kind: event });
      case "preview": {
        const { index, number: previewNumber, image, metadata } = event.value;
        const made = { index, metadata, ...(image !== undefined && { image }) };
        const value = picture(undefined, { index, previewNumber, mediaType: image?.mediaType ?? "", made });
        return create(EventSchema, { kind: { case: "preview", value } });
      }
      case "complete": {
        this.#opened.set(event.value.index, { made: event.value, pieces: [] });
        const value = picture(undefined, toldOf(event.value));
        return create(EventSchema, { kind: { case: "complete", value } });
      }
      case "failure":
        return create(EventSchema, { kind: event });
      case "result":
        this.#name(event.value);
        this.#outcome.result = { ...event.value, images: event.value.images.map(withoutData) };
        return create(EventSchema, { kind: { case: "result", value: true } });
      default:
        return create(EventSchema, { kind: { case: "unknown", value: true } });
    }
  }

  #name({ generationId, requestId }: { generationId: string; requestId: string }): void {
    this.#outcome.generationId = generationId;
    this.#outcome.requestId = requestId;
  }
}

async function read(images: Images, request: ReadImageRequest, options: CallOptions, outcome: Outcome): Promise<void> {
  const pieces: Uint8Array[] = [];
  for await (const { image, data } of images.readImage(request, options)) {
    if (image !== undefined) outcome.image = image;
    pieces.push(data);
  }
  const made = create(GeneratedImageSchema, outcome.image === undefined ? {} : { image: outcome.image });
  outcome.pictures = [picture(Buffer.concat(pieces), toldOf(made))];
}

async function measurePlain(images: Images, { request, calls, parallel, checksum }: Measure) {
  if (request === undefined) throw new Error("the step has nothing to measure");
  const { model, params, requestId } = request;
  const prompt = request.input?.prompt ?? "";
  const previewCount = request.options?.previewCount ?? 0;
  return await measured(calls, parallel, async () => {
    const wish = { model, input: { prompt }, options: { previewCount }, params, requestId };
    const received = new Received(checksum);
    for await (const { event } of images.streamGenerate(wish)) received.take(event);
    if (received.result === undefined) throw new Error("the stream ended without a result");
    return [...received.images.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  });
}

/** What a user of plain stubs keeps of a stream. */
class Received {
  readonly images = new Map<number, Uint8Array>();
  result: ImageResult | undefined;
  readonly #checksum: boolean;
  #hash: Hash | undefined;

  constructor(checksum: boolean) {
    this.#checksum = checksum;
  }

  take(event: ImageStreamEvent["event"]): void {
    if (event.case === "complete") {
      this.images.set(event.value.index, new Uint8Array(event.value.image?.sizeBytes ?? 0));
      if (this.#checksum) this.#hash = createHash("sha256");
    } else if (event.case === "chunk" && event.value.previewNumber === 0) {
      this.images.get(event.value.index)?.set(event.value.data, event.value.offset);
      this.#hash?.update(event.value.data);
    } else if (event.case === "result") {
      this.#hash?.digest("hex");
      this.result = event.value;
    }
  }
}
