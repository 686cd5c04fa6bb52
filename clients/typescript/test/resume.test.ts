// Streams that break and are read on: nothing is lost, nothing is bought twice.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ImageResult, ImageStream } from "@imagegen/client";
import { DeliveryMode } from "@imagegen/client/v1/image_pb.js";
import type { ResumeRequest } from "@imagegen/client/v1/image_service_pb.js";
import { chunk, complete, numbered, opening, result, started } from "./support/events.js";
import { bare, FakeLog, large, longLog, small } from "./support/log.js";
import { FakeServer, gone, hang, playAndFail, worded } from "./support/server.js";
import { failureOf, until, withoutWaiting } from "./support/waiting.js";

const model = "sandbox/scene";
before(withoutWaiting);

/** What a reader saw, news apart, and the result. */
async function watched(stream: ImageStream): Promise<{ types: string[]; whole: ImageResult }> {
  const types: string[] = [];
  for await (const event of stream) if (event.type !== "progress") types.push(event.type);
  return { types, whole: await stream.result() };
}

function check({ types, whole }: { types: string[]; whole: ImageResult }): void {
  assert.deepEqual(types, ["started", "preview", "preview", "complete", "complete", "failed"]);
  assert.deepEqual(
    whole.images.map((image) => image.bytes),
    [large, small],
  );
}

for (const [name, end] of [
  ["UNAVAILABLE", bare(Code.Unavailable)],
  ["INTERNAL", bare(Code.Internal)],
  ["CANCELLED", bare(Code.Canceled)],
  ["UNKNOWN", bare(Code.Unknown)],
  ["an end without a result", () => {}],
] as const) {
  test(`wherever a stream breaks by ${name}, the reader gets the same, and it is bought once`, async () => {
    await using server = await FakeServer.start();
    await using client = server.connect();
    const events = longLog();
    for (let at = 0; at < events.length; at++) {
      const log = new FakeLog(server, events, [at], end);
      check(await watched(client.stream(model, "a cat", { resumable: true })));
      assert.equal(log.purchases, 1);
      // Nothing received: the same request again. Else on from the last sequence.
      assert.deepEqual(log.resumedAfter, at === 0 ? [] : [events[at - 1]?.sequence]);
    }
  });
}

test("the same with a TCP connection that is reset under the stream", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  for (let at = 0; at < longLog().length; at++) {
    const log = new FakeLog(server, longLog(), [at], async (context) => {
      server.cut();
      await gone(context);
    });
    check(await watched(client.stream(model, "a cat", { resumable: true })));
    assert.equal(log.purchases, 1);
  }
  assert.ok(server.accepted > longLog().length);
});

test("a line that carries one event at a time is slow, and no more: each event renews the tries", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const events = longLog().filter(({ event }) => event.case !== "progress");
  const log = new FakeLog(server, events, events.map((_, at) => at + 1).slice(0, -1));
  check(await watched(client.stream(model, "a cat", { resumable: true })));
  assert.equal(log.purchases, 1);
  assert.equal(log.resumedAfter.length, events.length - 1);
});

test("generate and edit survive a break too, with the same delivery as before", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  new FakeLog(server, longLog(), [6]);
  assert.deepEqual((await client.generate(model, "a cat", { resumable: true })).image.bytes, large);
  const log = new FakeLog(server, numbered([started(), opening(large), result(large)]), [2]);
  const { image } = await client.edit(model, "a cat", { resumable: true, delivery: "reference" });
  assert.deepEqual([image.hasBytes, image.sizeBytes, log.resumedAfter], [false, large.length, [2]]);
  const resumed = server.called<ResumeRequest>("resume").at(-1);
  assert.equal(resumed?.delivery?.mode, DeliveryMode.REFERENCE);
  assert.deepEqual(resumed?.generation, { case: "generationId", value: "gen_1" });
});

test("an image that is put together from two connections has its SHA-256 checked", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const events = numbered([started(), ...complete(large), result(large)]);
  events[3] = chunk(new Uint8Array(400), 400);
  events[3].sequence = 4;
  new FakeLog(server, events, [3]);
  const error = await failureOf(client.generate(model, "a cat", { resumable: true }));
  assert.match(error.message, /SHA-256/);
  await server.saw("cancel"); // nobody shall pay for more of them
});

test("without resumable a break is an error that has the ids", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const log = new FakeLog(server, longLog(), [4]);
  const error = await failureOf(client.generate(model, "a cat", { requestId: "mine" }));
  assert.deepEqual(
    [error.reason, error.generationId, error.requestId],
    ["ERROR_REASON_NETWORK_ERROR", "gen_1", "req_1"],
  );
  assert.deepEqual([log.calls, log.resumedAfter, server.called("cancel")], [1, [], []]);
});

test("what the server says is final, to a start as to a resume", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  for (const [code, reason] of [
    [Code.NotFound, "GENERATION_NOT_FOUND"],
    [Code.Internal, "PROVIDER_ERROR"],
    [Code.Unavailable, "SHUTTING_DOWN"],
  ] as const) {
    const log = new FakeLog(server, longLog(), [4], () => {
      throw worded(code, reason);
    });
    const error = await failureOf(client.generate(model, "a cat", { resumable: true }));
    assert.equal(error.reason, `ERROR_REASON_${reason}`);
    assert.deepEqual(log.resumedAfter, []);
  }
});

test("while it resumes, a server that is busy is asked again", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const log = new FakeLog(server, longLog(), [4]);
  const { resume } = server;
  let busy = 3;
  server.resume = (request, context) => {
    if (busy-- > 0) throw worded(Code.ResourceExhausted, "SERVER_BUSY");
    return resume(request, context);
  };
  check(await watched(client.stream(model, "a cat", { resumable: true })));
  assert.equal(log.purchases, 1);
});

test("after seven tries in vain the break is the error, and the generation is left for whoever knows its name", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  server.stream = playAndFail(new ConnectError("broke", Code.Internal), started());
  server.resume = playAndFail(new ConnectError("broke again", Code.Internal));
  const error = await failureOf(client.generate(model, "a cat", { resumable: true }));
  assert.deepEqual([error.message, error.generationId], ["broke again", "gen_1"]);
  assert.equal(server.called("resume").length, 7);
  await client.close();
  assert.deepEqual(server.called("cancel"), []);
});

test("client.resume is read on where it breaks, by the name that was given", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const log = new FakeLog(server, longLog(), [0, 6]);
  check(await watched(client.resume({ requestId: "mine" })));
  const names = server.called<ResumeRequest>("resume").map(({ generation }) => generation.value);
  assert.deepEqual([names, log.resumedAfter.length], [["mine", "mine", "gen_1"], 3]);
});

test("client.resume behind the start leaves images that it has not seen open without bytes", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const events = longLog();
  const inLarge = events.findIndex(({ event }) => event.case === "complete") + 1;
  new FakeLog(server, events, []);
  const stream = client.resume({ generationId: "gen_1" }, { afterSequence: events[inLarge]?.sequence ?? 0 });
  const whole = await stream.result();
  assert.deepEqual(
    whole.images.map((image) => image.hasBytes),
    [false, true],
  );
  assert.equal(stream.lastSequence, events.at(-1)?.sequence);
});

test("a result stands when the line breaks behind it", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const log = new FakeLog(server, longLog(), [longLog().length]);
  check(await watched(client.stream(model, "a cat", { resumable: true })));
  assert.deepEqual(log.resumedAfter, []);
});

test("the time limit holds over all tries", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  server.stream = playAndFail(new ConnectError("broke", Code.Internal), started());
  server.resume = hang;
  const error = await failureOf(client.generate(model, "a cat", { resumable: true, timeoutMs: 200 }));
  assert.equal(error.reason, "ERROR_REASON_TIMEOUT");
  await client.close();
  await until(() => server.called("cancel").length === 1); // nobody else can name it
});
