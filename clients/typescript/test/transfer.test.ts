// Bytes that are fetched and given by their id.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Image, type ImageGenError } from "@imagegen/client";
import type { UploadImageRequest } from "@imagegen/client/v1/image_service_pb.js";
import { facts, opening, picture, result, sha256, started } from "./support/events.js";
import { FakeServer, play, worded } from "./support/server.js";
import { failureOf, withoutWaiting } from "./support/waiting.js";

before(withoutWaiting);
const data = picture(2_000_000);
const broke = () => new ConnectError("broke", Code.Internal);

/** A server that hands out `data`, and breaks before each of the given offsets once. */
async function reading(...breaks: number[]): Promise<{ server: FakeServer; offsets: number[] }> {
  const server = await FakeServer.start();
  const offsets: number[] = [];
  server.images.readImage = async function* read({ offset }) {
    offsets.push(offset);
    for (let at = offset; at < data.length; at += 196_608) {
      if (breaks[0] !== undefined && at >= breaks[0]) {
        breaks.shift();
        throw broke();
      }
      const piece = data.subarray(at, at + 196_608);
      yield at === offset ? { image: facts(data), offset: at, data: piece } : { offset: at, data: piece };
    }
  };
  return { server, offsets };
}

test("read fetches the bytes of an image that came by reference, with what is known of it", async () => {
  const { server } = await reading();
  await using _ = server;
  server.stream = play(started(), opening(data), result(data));
  await using client = server.connect();
  const { image } = await client.generate("m", "a cat", { delivery: "reference" });
  const read = await client.read(image);
  assert.deepEqual(Buffer.compare(read.bytes, data), 0);
  assert.deepEqual([read.index, read.seed, read.metadata, read.width], [0, 7n, image.metadata, 640]);
  assert.equal(await client.read(read), read);
  assert.equal((await client.read(Image.fromId("img"))).sha256, sha256(data));
});

test("a read that breaks goes on once where it broke", async () => {
  const once = await reading(400_000);
  await using _ = once.server;
  await using client = once.server.connect();
  assert.equal(Buffer.compare((await client.read(Image.fromId("img"))).bytes, data), 0);
  assert.deepEqual(once.offsets, [0, 589_824]);
  const twice = await reading(400_000, 800_000);
  await using __ = twice.server;
  await using other = twice.server.connect();
  assert.equal((await failureOf(other.read(Image.fromId("img")))).message, "broke");
  assert.equal(twice.offsets.length, 2);
});

test("bytes that are not the ones that were told of are INVALID_RESPONSE; without id there is nothing to read", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const answers = [
    [{ image: facts(data), data: picture(2_000_000, 1) }],
    [{ image: facts(data), data: data.subarray(0, 10) }],
    [{ image: facts(data), offset: 5, data }],
    [{ data }],
    [],
    [
      { image: facts(data), data: data.subarray(0, 10) },
      { image: facts(picture(5)), offset: 10, data: data.subarray(10) },
    ],
  ];
  for (const pieces of answers) {
    server.images.readImage = async function* read() {
      yield* pieces;
    };
    assert.deepEqual(reasonAndBilled(await failureOf(client.read(Image.fromId("img")))), [
      "ERROR_REASON_INVALID_RESPONSE",
      "no",
    ]);
  }
  server.images.readImage = async function* read() {
    yield { image: facts(data), data };
  };
  const other = new Image({ imageId: "img", sha256: sha256(picture(3)) });
  assert.deepEqual(reasonAndBilled(await failureOf(client.read(other))), ["ERROR_REASON_INVALID_RESPONSE", "no"]);
  await assert.rejects(client.read(Image.fromUrl("https://example.com/a.png")), TypeError);
});

function reasonAndBilled({ reason, billed }: ImageGenError): unknown[] {
  return [reason, billed];
}

/** A server that keeps what is uploaded. `script` may do something else with a piece. */
async function uploading(script?: (request: UploadImageRequest, call: number) => void): Promise<FakeServer> {
  const server = await FakeServer.start();
  const kept: Buffer[] = [];
  server.images.uploadImage = (request) => {
    script?.(request, server.called("uploadImage").length);
    const have = Buffer.concat(kept).length;
    if (request.offset === have) kept.push(Buffer.from(request.data));
    const all = Buffer.concat(kept);
    const whole = all.length === request.sizeBytes && sha256(all) === request.sha256;
    return { committedBytes: all.length, ...(whole && { image: facts(all) }) };
  };
  return server;
}

test("upload asks what is there, sends the rest in pieces, and answers a reference", async () => {
  await using server = await uploading();
  await using client = server.connect();
  const reference = await client.upload(Image.fromBytes(data));
  assert.deepEqual(
    server.called<UploadImageRequest>("uploadImage").map((request) => [request.offset, request.data.length]),
    [
      [0, 0],
      [0, 786_432],
      [786_432, 786_432],
      [1_572_864, 427_136],
    ],
  );
  assert.deepEqual([reference.imageId, reference.hasBytes, reference.width], [facts(data).imageId, false, 640]);
  const again = await client.upload(Image.fromBytes(data));
  assert.deepEqual([again.imageId, server.called("uploadImage").length], [reference.imageId, 5]);
});

test("where the line breaks, upload asks again and goes on from there", async () => {
  await using server = await uploading((_, call) => {
    if ([1, 3, 4].includes(call)) throw broke();
  });
  await using client = server.connect();
  assert.equal((await client.upload(Image.fromBytes(data))).sha256, sha256(data));
  const empty = server.called<UploadImageRequest>("uploadImage").filter((request) => request.data.length === 0);
  assert.equal(empty.length, 4);
});

test("upload ends with the eighth break in a row, with what the server words at once, and with a wrong image", async () => {
  await using down = await uploading(() => {
    throw broke();
  });
  await using client = down.connect();
  assert.equal((await failureOf(client.upload(Image.fromBytes(data)))).message, "broke");
  assert.equal(down.called("uploadImage").length, 8);

  await using server = await FakeServer.start();
  await using other = server.connect();
  server.images.uploadImage = () => {
    throw worded(Code.InvalidArgument, "INVALID_REQUEST");
  };
  assert.equal((await failureOf(other.upload(Image.fromBytes(data)))).reason, "ERROR_REASON_INVALID_REQUEST");
  for (const answer of [{ image: facts(picture(5)) }, { committedBytes: data.length }, { committedBytes: 0 }]) {
    server.images.uploadImage = () => answer;
    assert.deepEqual(reasonAndBilled(await failureOf(other.upload(Image.fromBytes(data)))), [
      "ERROR_REASON_INVALID_RESPONSE",
      "no",
    ]);
  }
  await assert.rejects(other.upload(Image.fromId("img")), TypeError);
});
