import assert from "node:assert/strict";
import { test } from "node:test";
import { ImageGenError } from "@imagegen/client";
import type { ImageStreamEvent } from "@imagegen/client/v1/image_stream_pb.js";
import { Assembler } from "../src/assembly.js";
import type { ImageEvent } from "../src/events.js";
import * as e from "./support/events.js";

const data = e.picture();

function assemble(events: ImageStreamEvent[], how: Partial<{ chunked: boolean; whole: boolean }> = {}) {
  const assembler = new Assembler({ chunked: true, whole: true, ...how });
  const handed = events.map((event) => assembler.feed(event)).filter((event) => event !== undefined);
  return { handed, types: handed.map(({ type }) => type), result: assembler.result };
}

function first<T extends ImageEvent["type"]>(handed: ImageEvent[], type: T) {
  return handed.find((event): event is Extract<ImageEvent, { type: T }> => event.type === type) ?? assert.fail(type);
}

test("a whole stream becomes whole images and a result with bytes", () => {
  const second = e.picture(777, 1);
  const events = [
    ...[e.started(), e.progress(), ...e.preview(e.picture(500, 2)), ...e.complete(data), ...e.complete(second, 1)],
    ...[e.event({ event: { case: "failure", value: e.failure(2) } }), e.result(data, second)],
  ];
  const { types, handed, result } = assemble(events);
  assert.deepEqual(types, ["started", "progress", "preview", "complete", "complete", "failed"]);
  assert.deepEqual(first(handed, "preview").image.bytes, e.picture(500, 2));
  assert.equal(first(handed, "preview").image.sha256, undefined);
  assert.deepEqual(first(handed, "complete").image.bytes, data);
  assert.deepEqual(
    result?.images.map((image) => image.bytes),
    [data, second],
  );
  assert.deepEqual(
    [result?.image.index, result?.image.seed, result?.image.metadata],
    [0, 7n, { sandbox: { id: "x" } }],
  );
  assert.equal(result?.usage?.imagesGenerated, 2);
});

test("chunks of any length are taken", () => {
  for (const size of [1, 999, 1000, 5000]) {
    assert.deepEqual(assemble([e.started(), ...e.complete(data, 0, size), e.result(data)]).result?.image.bytes, data);
  }
});

test("what is not the promised image is INVALID_RESPONSE with the code INTERNAL", () => {
  const [opening, one, two, three] = e.complete(data);
  assert.ok(opening && one && two && three);
  const flipped = e.chunk(e.picture(200, 9), 800);
  const broken: Record<string, ImageStreamEvent[]> = {
    "a gap": [opening, one, three],
    "a piece twice": [opening, one, one],
    "too long": [opening, one, two, e.chunk(e.picture(201), 800)],
    "another SHA-256": [opening, one, two, flipped],
    "cut short by an opening": [opening, one, e.opening(data, 1)],
    "cut short by a preview": [opening, one, e.openingOfPreview(10)],
    "cut short by the result": [opening, one, e.result(data)],
    "bytes without an opening": [e.started(), one],
    "bytes of another image": [opening, e.chunk(data, 0, 1)],
    "bytes behind the end": [opening, one, two, three, e.chunk(data, 1000)],
    "no images": [e.result()],
    "an image that never came": [e.result(data)],
    "no size": [e.event({ event: { case: "complete", value: { image: { sizeBytes: 0 } } } })],
    "no facts": [e.event({ event: { case: "complete", value: {} } })],
    "more than 64 MiB": [
      e.event({ event: { case: "complete", value: { image: { sizeBytes: 64 * 1024 * 1024 + 1 } } } }),
    ],
  };
  for (const [name, events] of Object.entries(broken)) {
    assert.throws(
      () => assemble(events),
      (error) =>
        error instanceof ImageGenError &&
        error.reason === "ERROR_REASON_INVALID_RESPONSE" &&
        error.code === 13 &&
        error.billed === "unknown",
      name,
    );
  }
});

test("a damaged or unfinished preview is left out, and the image still comes", () => {
  const early = e.picture(900, 3);
  const damaged = [
    [e.openingOfPreview(900), e.chunk(early.subarray(0, 400), 0, 0, 1)],
    [e.openingOfPreview(900), e.chunk(early, 5, 0, 1), e.chunk(early, 0, 0, 1)],
    [e.openingOfPreview(100), e.chunk(early, 0, 0, 1)],
    [e.openingOfPreview(0), e.chunk(early, 0, 0, 1)],
    [e.chunk(early, 0, 0, 7)],
  ];
  for (const before of damaged) {
    const { types, result } = assemble([e.started(), ...before, ...e.complete(data), e.result(data)]);
    assert.deepEqual(types, ["started", "complete"]);
    assert.deepEqual(result?.image.bytes, data);
  }
});

test("an event that is newer than the client is ignored, and so is what follows the result", () => {
  const { types } = assemble([
    e.started(),
    e.event({ sequence: 9 }),
    ...e.complete(data),
    e.result(data),
    e.progress(),
  ]);
  assert.deepEqual(types, ["started", "complete"]);
});

test("by reference images are facts and ids", () => {
  const events = [e.started(), e.openingOfPreview(100), e.opening(data), e.result(data)];
  const { types, result } = assemble(events, { chunked: false });
  assert.deepEqual(types, ["started", "preview", "complete"]);
  assert.deepEqual([result?.image.hasBytes, result?.image.imageId], [false, e.facts(data).imageId]);
  assert.throws(() => result?.image.bytes, /client\.read\(image\)/);
});

test("a stream from the middle leaves images whose opening was before it without bytes", () => {
  const second = e.picture(300, 4);
  const [, , ...rest] = e.complete(data);
  const { types, result } = assemble([...rest, ...e.complete(second, 1), e.result(data, second)], { whole: false });
  assert.deepEqual(types, ["complete"]);
  assert.deepEqual(
    result?.images.map((image) => image.hasBytes),
    [false, true],
  );
  assert.throws(
    () => assemble([...e.complete(second, 1), e.chunk(second, 0, 1)], { whole: false }),
    /outside of their place/,
  );
});

test("bytes beside the facts of an image, where nobody has checked them, are not handed out", () => {
  const image = { imageId: "img", mediaType: "image/png", sizeBytes: 3, data: Uint8Array.of(1, 2, 3) };
  const made = { index: 0, image };
  const events = [
    e.event({ event: { case: "preview", value: { index: 0, number: 1, image } } }),
    e.event({ event: { case: "complete", value: made } }),
    e.event({ event: { case: "result", value: { images: [made] } } }),
  ];
  const { handed, result } = assemble(events, { chunked: false });
  const images = handed.flatMap((event) => ("image" in event ? [event.image] : []));
  assert.deepEqual(
    [...images, result?.image].map((each) => each?.hasBytes),
    [false, false, false],
  );
});
