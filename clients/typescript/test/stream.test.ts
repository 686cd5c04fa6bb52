// A stream as its reader sees it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setImmediate as later } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { connect, type ImageEvent } from "@imagegen/client";
import {
  chunk,
  complete,
  event,
  made,
  openingOfPreview,
  picture,
  preview,
  progress,
  result,
  started,
} from "./support/events.js";
import { FakeServer, play, playAndFail, playAndHang, worded } from "./support/server.js";
import { failureOf } from "./support/waiting.js";

const model = "sandbox/scene";
const data = picture();
const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));
after(() => assert.deepEqual(unhandled, []));

async function collect(events: AsyncIterable<ImageEvent>): Promise<ImageEvent["type"][]> {
  const types: ImageEvent["type"][] = [];
  for await (const { type } of events) types.push(type);
  return types;
}

test("events come in order, images whole, and then the result", async () => {
  await using server = await FakeServer.start();
  server.stream = play(started(), progress(), ...preview(picture(500, 1)), ...complete(data), result(data));
  await using client = server.connect();
  const stream = client.stream(model, "a cat");
  assert.deepEqual(await collect(stream), ["started", "progress", "preview", "complete"]);
  const whole = await stream.result();
  assert.deepEqual(whole.image.bytes, data);
  assert.equal(await stream.result(), whole);
  assert.deepEqual([stream.generationId, stream.requestId, stream.lastSequence], ["gen_1", "req_1", 1]);
});

test("events that result() passed by are still there to be read", async () => {
  await using server = await FakeServer.start();
  server.stream = play(started(), ...complete(data), result(data));
  await using client = server.connect();
  const stream = client.stream(model, "a cat");
  await stream.result();
  assert.deepEqual(await collect(stream), ["started", "complete"]);
  assert.deepEqual(await collect(stream), []);
});

test("an iteration and result() may wait at the same time", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const stream = client.stream(model, "a cat");
  const [types, whole] = await Promise.all([collect(stream), stream.result()]);
  assert.deepEqual(types, ["started", "complete"]);
  assert.deepEqual(whole.image.bytes, data);
});

test("a failure is thrown by the iteration and by result(), after the events before it", async () => {
  await using server = await FakeServer.start();
  server.stream = playAndFail(worded(Code.InvalidArgument, "CONTENT_FILTERED"), started(), progress());
  await using client = server.connect();
  const stream = client.stream(model, "a cat");
  const types: string[] = [];
  const error = await failureOf(
    (async () => {
      for await (const { type } of stream) types.push(type);
    })(),
  );
  assert.deepEqual(
    [types, error.reason, error.generationId],
    [["started", "progress"], "ERROR_REASON_CONTENT_FILTERED", "gen_1"],
  );
  assert.equal(await failureOf(stream.result()), error);
});

test("a stream that nobody reads is held back by flow control, and fails without a word to nobody", async () => {
  await using server = await FakeServer.start();
  const piece = picture(196_608);
  let sent = 0;
  server.stream = async function* script() {
    yield started();
    yield openingOfPreview(64 * 1024 * 1024);
    for (; sent < 300; sent += 1) yield chunk(piece, sent * piece.length, 0, 1);
  };
  await using client = server.connect();
  const stream = client.stream(model, "a cat");
  await server.saw("streamGenerate");
  let before = -1;
  for (let same = 0; same < 200; same = sent > 0 && sent === before ? same + 1 : 0) {
    before = sent;
    await later();
  }
  assert.ok(sent > 0 && sent < 60, `${sent} pieces of 192 KiB were sent to nobody`);
  server.models.getModel = () => ({ model: { name: "m" } });
  await client.model("m"); // other calls on the same connection are not held back
  server.cut();
  await server.sawCancelOf("streamGenerate");
  assert.equal((await failureOf(stream.result())).reason, "ERROR_REASON_NETWORK_ERROR");
});

test("a stream that nobody reads and that cannot be made is no unhandled rejection", async () => {
  await using client = connect("127.0.0.1:1");
  client.stream(model, "a cat");
  const stream = client.stream(model, "a cat");
  await failureOf(stream.result()); // the other one has failed by now, too
  await later();
});

test("a result that came is kept, whatever is done to the stream afterwards", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const stream = client.stream(model, "a cat");
  const whole = await stream.result();
  await stream.close();
  await stream.abort();
  assert.equal(await stream.result(), whole);
  assert.deepEqual(server.called("cancel"), []);
});

test("after the result the call ends well at the server", async () => {
  await using server = await FakeServer.start();
  let ended = "";
  server.stream = async function* script() {
    try {
      yield* [started(), ...complete(data), result(data)];
      ended = "well";
    } finally {
      ended ||= "cancelled";
    }
  };
  await using client = server.connect();
  await client.generate(model, "a cat");
  while (server.streams.size > 0) await later();
  assert.equal(ended, "well");
});

test("an image of which the bytes are wrong ends the call: nobody pays for more of them", async () => {
  await using server = await FakeServer.start();
  server.stream = playAndHang(
    started(),
    event({ event: { case: "complete", value: made(data) } }),
    chunk(picture(1000, 5), 0),
  );
  await using client = server.connect();
  const error = await failureOf(client.generate(model, "a cat"));
  assert.deepEqual([error.reason, error.generationId], ["ERROR_REASON_INVALID_RESPONSE", "gen_1"]);
  await server.sawCancelOf("streamGenerate");
});

test("an end without a result is INVALID_RESPONSE", async () => {
  await using server = await FakeServer.start();
  server.stream = play(started(), ...complete(data));
  await using client = server.connect();
  const error = await failureOf(client.generate(model, "a cat"));
  assert.deepEqual(
    [error.reason, error.code, error.requestId],
    ["ERROR_REASON_INVALID_RESPONSE", Code.Internal, "req_1"],
  );
});

test("64 MiB come in one piece", async () => {
  await using server = await FakeServer.start();
  const large = new Uint8Array(64 * 1024 * 1024).fill(7);
  server.stream = play(started(), ...complete(large, 0, 196_608), result(large));
  await using client = server.connect();
  const { image } = await client.generate(model, "a cat");
  assert.equal(Buffer.compare(image.bytes, large), 0);
});
