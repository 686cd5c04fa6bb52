// The events that a scripted server sends.

import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ErrorReason } from "@imagegen/client/v1/error_reason_pb.js";
import {
  Billed,
  type GeneratedImageSchema,
  type ImageFailureSchema,
  type ImageSchema,
} from "@imagegen/client/v1/image_pb.js";
import { type ImageStreamEvent, ImageStreamEventSchema } from "@imagegen/client/v1/image_stream_pb.js";

type Init<T extends MessageInitShape<typeof ImageStreamEventSchema> = MessageInitShape<typeof ImageStreamEventSchema>> =
  T;

export const event = (init: Init): ImageStreamEvent => create(ImageStreamEventSchema, init);

/** Bytes that stand for an image; which ones depends on size and salt. */
export function picture(size = 1000, salt = 0): Uint8Array {
  const block = createHash("sha256").update(Uint8Array.of(salt)).digest();
  return Uint8Array.from({ length: size }, (_, at) => block[at % block.length] ?? 0);
}

export function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** What the server tells of finished bytes. */
export function facts(data: Uint8Array): MessageInitShape<typeof ImageSchema> {
  const digest = sha256(data);
  const imageId = `img_${digest.slice(0, 8)}`;
  return { imageId, mediaType: "image/png", width: 640, height: 480, sizeBytes: data.length, sha256: digest };
}

export function made(data: Uint8Array, index = 0): MessageInitShape<typeof GeneratedImageSchema> {
  return { index, image: facts(data), revisedPrompt: "a harbour", seed: 7n, metadata: { sandbox: { id: "x" } } };
}

export function started(generationId = "gen_1", requestId = "req_1"): ImageStreamEvent {
  return event({ sequence: 1, event: { case: "started", value: { generationId, requestId, model: "sandbox/scene" } } });
}

export function progress(): ImageStreamEvent {
  return event({ event: { case: "progress", value: { fraction: 0.5 } } });
}

export function openingOfPreview(sizeBytes: number, index = 0, number = 1): ImageStreamEvent {
  const image = { mediaType: "image/png", sizeBytes };
  return event({ event: { case: "preview", value: { index, number, image } } });
}

export function opening(data: Uint8Array, index = 0): ImageStreamEvent {
  return event({ event: { case: "complete", value: made(data, index) } });
}

export function chunk(data: Uint8Array, offset: number, index = 0, previewNumber = 0): ImageStreamEvent {
  return event({ event: { case: "chunk", value: { index, previewNumber, offset, data } } });
}

export function chunks(data: Uint8Array, size = 400, index = 0, previewNumber = 0): ImageStreamEvent[] {
  const pieces: ImageStreamEvent[] = [];
  for (let at = 0; at < data.length; at += size)
    pieces.push(chunk(data.subarray(at, at + size), at, index, previewNumber));
  return pieces;
}

export function preview(data: Uint8Array, index = 0, number = 1): ImageStreamEvent[] {
  return [openingOfPreview(data.length, index, number), ...chunks(data, 400, index, number)];
}

export function complete(data: Uint8Array, index = 0, size = 400): ImageStreamEvent[] {
  return [opening(data, index), ...chunks(data, size, index)];
}

export function failure(index: number): MessageInitShape<typeof ImageFailureSchema> {
  return { index, reason: ErrorReason.CONTENT_FILTERED, message: "refused", billed: Billed.NO };
}

export function result(...images: Uint8Array[]): ImageStreamEvent {
  const value = {
    ...{ generationId: "gen_1", requestId: "req_1", model: "sandbox/scene" },
    images: images.map((data, index) => made(data, index)),
    usage: { imagesGenerated: images.length },
  };
  return event({ event: { case: "result", value } });
}

/** A stream as it should be, without previews. */
export function wholeStream(...images: Uint8Array[]): ImageStreamEvent[] {
  return [started(), ...images.flatMap((data, index) => complete(data, index)), result(...images)];
}

/** The events with the numbers of a log. News repeat the last one. */
export function numbered(events: ImageStreamEvent[]): ImageStreamEvent[] {
  let sequence = 0;
  for (const each of events) {
    if (each.event.case !== "progress") sequence += 1;
    each.sequence = sequence;
  }
  return events;
}
