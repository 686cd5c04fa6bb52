import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type CallSettings,
  type Client,
  connect,
  type EditSettings,
  GeneratedImage,
  type GenerationName,
  Image,
  type ImageEvent,
  ImageGenError,
  type ImageResult,
  type ImageStream,
  type Limits,
} from "@imagegen/client";
import { DeliveryMode, GeneratedImageSchema, type ImageSource, OnDisconnect } from "@imagegen/client/v1/image_pb.js";
import type { CancelRequest, EditRequest, GenerateRequest } from "@imagegen/client/v1/image_service_pb.js";
import {
  type Event,
  EventSchema,
  type Failure,
  FailureSchema,
  type Leave,
  Leave_How,
  type Measure,
  type Outcome,
  type Step,
} from "./conformance/v1/driver_pb.js";
import { measured } from "./measure.js";
import { factsOf, picture, pictureOf, resultOf } from "./pictures.js";

/** Does a step with the helper. */
export async function helperStep(step: Step, outcome: Outcome): Promise<void> {
  let client: Client | undefined;
  try {
    client = connect(step.address, {
      token: step.token || undefined,
      tls: step.caFile !== "" && { ca: readFileSync(step.caFile) },
    });
    await operate(client, step, outcome);
  } catch (error) {
    if (error instanceof ImageGenError) outcome.failure = failureOf(error);
    else if (error instanceof TypeError || error instanceof RangeError) outcome.refused = error.message;
    else throw error;
  } finally {
    await client?.close();
  }
}

async function operate(client: Client, step: Step, outcome: Outcome): Promise<void> {
  const { operation } = step;
  const limits: Limits = { timeoutMs: step.timeoutMs || undefined };
  switch (operation.case) {
    case "generate": {
      const request = operation.value;
      const settings = settingsOf(request, step);
      return keep(await client.generate(request.model, request.input?.prompt ?? "", settings), outcome);
    }
    case "stream": {
      const request = operation.value;
      const settings = settingsOf(request, step);
      return follow(client.stream(request.model, request.input?.prompt ?? "", settings), step.leave, outcome);
    }
    case "edit": {
      const request = operation.value;
      return keep(
        await client.edit(request.model, request.input?.prompt ?? "", editSettingsOf(request, step)),
        outcome,
      );
    }
    case "streamEdit": {
      const request = operation.value;
      const stream = client.streamEdit(request.model, request.input?.prompt ?? "", editSettingsOf(request, step));
      return follow(stream, step.leave, outcome);
    }
    case "resume": {
      const { generation, afterSequence, delivery } = operation.value;
      const settings = { ...limits, afterSequence, delivery: deliveryOf(delivery?.mode) };
      return follow(client.resume(nameOf(generation), settings), step.leave, outcome);
    }
    case "cancel":
      outcome.stopped = await client.cancel(nameOf(operation.value.generation), limits);
      return;
    case "read": {
      const read = await client.read(Image.fromId(operation.value.imageId), limits);
      outcome.image = factsOf(read);
      outcome.pictures = [pictureOf(read)];
      return;
    }
    case "uploadFile":
      outcome.image = factsOf(await client.upload(await Image.fromFile(operation.value), limits));
      return;
    case "explain": {
      const { request } = operation.value;
      if (request.case === undefined) throw new TypeError("the step has nothing to explain");
      const prompt = request.value.input?.prompt ?? "";
      const calls =
        request.case === "generate"
          ? await client.explain(request.value.model, prompt, settingsOf(request.value, step))
          : await client.explainEdit(request.value.model, prompt, editSettingsOf(request.value, step));
      outcome.explained = { $typeName: "imagegen.v1.ExplainResponse", calls: [...calls] };
      return;
    }
    case "listModels": {
      const list = client.models(operation.value.provider || undefined, limits);
      for await (const model of list) outcome.models.push(model);
      outcome.unreachable = [...list.unreachable];
      return;
    }
    case "getModel":
      outcome.models = [await client.model(operation.value.model, limits)];
      return;
    case "measure":
      outcome.measured = await measureHelper(client, operation.value);
      return;
    default:
      outcome.unsupported = "the step names no operation";
  }
}

/** What a call is told: an unset field is left to the helper. */
function settingsOf(request: GenerateRequest | EditRequest, step: Step): CallSettings {
  const { retry } = request;
  return {
    options: request.options,
    params: request.params,
    strict: request.strict || undefined,
    delivery: deliveryOf(request.delivery?.mode),
    requestId: request.requestId || undefined,
    onDisconnect: departures[request.onDisconnect],
    fallbackModels: retry?.fallbackModels.length ? retry.fallbackModels : undefined,
    retryAmbiguous: retry?.retryAmbiguous || undefined,
    fallbackOnContentFiltered: retry?.fallbackOnContentFiltered || undefined,
    resumable: step.resumable || undefined,
    timeoutMs: step.timeoutMs || undefined,
  };
}

const departures = {
  [OnDisconnect.UNSPECIFIED]: undefined,
  [OnDisconnect.CANCEL]: "cancel",
  [OnDisconnect.DETACH]: "detach",
} as const;

function deliveryOf(mode: DeliveryMode | undefined): "inline" | "reference" | undefined {
  if (mode === DeliveryMode.REFERENCE) return "reference";
  return mode === DeliveryMode.INLINE ? "inline" : undefined;
}

function editSettingsOf(request: EditRequest, step: Step): EditSettings {
  const { images = [], mask } = request.input ?? {};
  return { ...settingsOf(request, step), images: images.map(imageOf), mask: mask && imageOf(mask) };
}

function imageOf({ source, mediaType, metadata }: ImageSource): Image {
  const hint = mediaType || undefined;
  switch (source.case) {
    case "url":
      return Image.fromUrl(source.value, hint);
    case "imageId":
      return Image.fromId(source.value);
    case "data":
      if (Object.keys(metadata).length === 0) return Image.fromBytes(source.value, hint);
      return new GeneratedImage(create(GeneratedImageSchema, { image: { mediaType }, metadata }), source.value);
    default:
      return new Image({});
  }
}

function nameOf(generation: CancelRequest["generation"]): GenerationName {
  return generation.case === "generationId"
    ? { generationId: generation.value }
    : { requestId: generation.value ?? "" };
}

function keep(result: ImageResult, outcome: Outcome): void {
  outcome.result = resultOf(result);
  outcome.pictures = result.images.filter((image) => image.hasBytes).map((image) => pictureOf(image));
}

async function follow(stream: ImageStream, leave: Leave | undefined, outcome: Outcome): Promise<void> {
  const events = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      if (leave !== undefined && outcome.events.length >= leave.afterEvents) {
        await (leave.how === Leave_How.ABORT ? stream.abort() : stream.close());
        return;
      }
      const { done, value } = await events.next();
      if (done) break;
      if (value.type === "progress") outcome.progressEvents += 1;
      else outcome.events.push(eventOf(value));
    }
    keep(await stream.result(), outcome);
  } finally {
    outcome.lastSequence = stream.lastSequence;
    outcome.generationId = stream.generationId;
    outcome.requestId = stream.requestId;
  }
}

function eventOf(event: ImageEvent): Event {
  switch (event.type) {
    case "started":
      return create(EventSchema, { kind: { case: "started", value: event.started } });
    case "preview": {
      const { index, number: previewNumber, image, metadata } = event;
      const made = { image: factsOf(image), metadata };
      const told = { index, previewNumber, mediaType: image.mediaType ?? "", made };
      return create(EventSchema, { kind: { case: "preview", value: picture(image.data, told) } });
    }
    case "complete":
      return create(EventSchema, { kind: { case: "complete", value: pictureOf(event.image) } });
    case "failed":
      return create(EventSchema, { kind: { case: "failure", value: event.failure } });
    case "progress":
      throw new Error("progress is counted, not kept");
  }
}

function failureOf(error: ImageGenError): Failure {
  return create(FailureSchema, {
    code: error.code,
    reason: error.reason ?? "",
    billed: error.billed,
    message: error.message,
    provider: error.provider ?? "",
    model: error.model ?? "",
    violations: error.violations.map(({ field, description }) => ({ field, description })),
    failures: [...error.failures],
    attempts: [...error.attempts],
    metadata: error.metadata,
    generationId: error.generationId ?? "",
    requestId: error.requestId ?? "",
    ...(error.retryDelayMs !== undefined && { retryDelay: durationFromMs(error.retryDelayMs) }),
    ...(error.usage !== undefined && { usage: error.usage }),
  });
}

async function measureHelper(client: Client, { request, calls, parallel }: Measure) {
  if (request === undefined) throw new TypeError("the step has nothing to measure");
  const { params, requestId } = request;
  const prompt = request.input?.prompt ?? "";
  const model = client.image(request.model, { params, options: { previewCount: request.options?.previewCount } });
  return await measured(calls, parallel, async () => {
    const { images } = await model.generate(prompt, { requestId });
    return images.reduce((sum, image) => sum + (image.data?.length ?? 0), 0);
  });
}
