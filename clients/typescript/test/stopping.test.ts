// Who stops a generation, and who only stops reading it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as later } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallSettings, Client, ImageStream } from "@imagegen/client";
import type { CancelRequest } from "@imagegen/client/v1/image_service_pb.js";
import { started } from "./support/events.js";
import { FakeServer, playAndFail, playAndHang, worded } from "./support/server.js";
import { failureOf, withoutWaiting } from "./support/waiting.js";

const model = "sandbox/scene";
const owned: CallSettings = { resumable: true };
const named: CallSettings = { requestId: "mine" };
const detached: CallSettings = { onDisconnect: "detach" };

/** Generations start and then wait. */
async function hanging(): Promise<FakeServer> {
  const server = await FakeServer.start();
  server.stream = server.resume = playAndHang(started());
  return server;
}

async function begun(stream: ImageStream): Promise<ImageStream> {
  const { value } = await stream[Symbol.asyncIterator]().next();
  assert.equal(value?.type, "started");
  return stream;
}

/** The generations that were cancelled, once everything that is on its way has arrived. */
async function cancels(server: FakeServer, client: Client): Promise<(string | undefined)[]> {
  await client.close();
  return server.called<CancelRequest>("cancel").map(({ generation }) => generation.value);
}

test("abort cancels what may run on without this reader, once, and ends the call", async () => {
  const shared = [
    owned,
    named,
    detached,
    { ...named, ...owned },
    { ...detached, ...owned },
    { ...named, onDisconnect: "cancel" },
  ];
  for (const settings of shared as CallSettings[]) {
    await using server = await hanging();
    await using client = server.connect();
    const stream = await begun(client.stream(model, "a cat", settings));
    await stream.abort();
    await stream.abort();
    assert.deepEqual(await cancels(server, client), ["gen_1"]);
    await server.sawCancelOf("streamGenerate");
    assert.equal((await failureOf(stream.result())).reason, "ERROR_REASON_CANCELLED");
  }
});

test("abort before the server told its id goes by the id of the request, which such a call always has", async () => {
  for (const settings of [owned, detached]) {
    await using server = await FakeServer.start();
    server.stream = playAndHang();
    await using client = server.connect();
    const stream = client.stream(model, "a cat", settings);
    const { request } = await server.saw("streamGenerate");
    await stream.abort();
    assert.equal(stream.requestId.length, 36);
    assert.equal((request as { requestId: string }).requestId, stream.requestId);
    assert.deepEqual(await cancels(server, client), [stream.requestId]);
  }
});

test("abort of a plain stream is the end of its call", async () => {
  await using server = await hanging();
  await using client = server.connect();
  const stream = await begun(client.stream(model, "a cat"));
  await stream.abort();
  await server.sawCancelOf("streamGenerate");
  assert.deepEqual(await cancels(server, client), []);
});

test("abort fails if the server could not be told; that it has no such generation is no failure", async () => {
  await using server = await hanging();
  await using client = server.connect();
  server.cancel = () => {
    throw worded(Code.Internal, "INTERNAL_ERROR");
  };
  const untold = await begun(client.stream(model, "a cat", named));
  assert.equal((await failureOf(untold.abort())).reason, "ERROR_REASON_INTERNAL_ERROR");
  server.cancel = () => {
    throw worded(Code.NotFound, "GENERATION_NOT_FOUND");
  };
  await (await begun(client.stream(model, "a cat", named))).abort();
});

const ways: Record<string, (client: Client, settings: CallSettings, server: FakeServer) => Promise<void>> = {
  "close()": async (client, settings) => (await begun(client.stream(model, "a cat", settings))).close(),
  "the end of its block": async (client, settings) => {
    await using stream = client.stream(model, "a cat", settings);
    await begun(stream);
  },
  "breaking out of the loop": async (client, settings) => {
    for await (const event of client.stream(model, "a cat", settings)) if (event.type === "started") break;
  },
  "its signal": async (client, settings, server) => {
    const controller = new AbortController();
    const stream = await begun(client.stream(model, "a cat", { ...settings, signal: controller.signal }));
    const waiting = failureOf(stream.result());
    controller.abort(new Error("enough"));
    const error = await waiting;
    assert.deepEqual([error.reason, (error.cause as Error).message], ["ERROR_REASON_CANCELLED", "enough"]);
    await server.sawCancelOf("streamGenerate");
  },
  "the signal of generate()": async (client, settings, server) => {
    const controller = new AbortController();
    const waiting = failureOf(client.generate(model, "a cat", { ...settings, signal: controller.signal }));
    await server.saw("streamGenerate");
    await later(); // the answer may be on its way
    controller.abort();
    assert.equal((await waiting).reason, "ERROR_REASON_CANCELLED");
  },
  "closing the client": async (client, settings) => {
    await begun(client.stream(model, "a cat", settings));
    await client.close();
  },
  "dropping it": async (client, settings, server) => {
    await (async () => void (await begun(client.stream(model, "a cat", settings))))();
    const { signal } = (await server.saw("streamGenerate")).context;
    while (!signal.aborted) {
      globalThis.gc?.();
      await later();
    }
  },
};

for (const [way, leave] of Object.entries(ways)) {
  test(`leaving by ${way} stops what nobody else can name, and leaves alone what was to go on`, async () => {
    for (const [settings, stopped] of [
      [{}, false],
      [owned, true],
      [named, false],
      [{ ...named, ...owned }, false],
      [detached, false],
      [{ ...detached, ...owned }, false],
    ] as const) {
      await using server = await hanging();
      await using client = server.connect();
      await leave(client, settings, server);
      await server.sawCancelOf("streamGenerate");
      const cancelled = await cancels(server, client);
      assert.equal(cancelled.length, stopped ? 1 : 0, JSON.stringify(settings));
    }
  });
}

test("with its time a plain call ends, a resumable one is cancelled even if nobody reads it, a named one goes on", async () => {
  await using server = await hanging();
  await using client = server.connect();
  for (const settings of [owned, named]) {
    const error = await failureOf(client.image(model, { timeoutMs: 200 }).generate("a cat", settings));
    assert.equal(error.reason, "ERROR_REASON_TIMEOUT");
  }
  client.stream(model, "a cat", { ...owned, timeoutMs: 200 });
  while (server.called("cancel").length < 2) await later();
  assert.deepEqual(await cancels(server, client), ["gen_1", server.called("streamGenerate")[2]?.requestId]);
});

test("a stream between two tries is aborted at once, and whoever waits for it is told", async () => {
  await using server = await hanging();
  await using client = server.connect();
  server.stream = playAndFail(new ConnectError("broke", Code.Unavailable), started());
  server.resume = playAndFail(new ConnectError("broke", Code.Internal));
  const stream = await begun(client.stream(model, "a cat", owned));
  const waiting = failureOf(stream.result());
  await server.saw("resume");
  await stream.abort();
  assert.equal((await waiting).reason, "ERROR_REASON_CANCELLED");
  assert.deepEqual(await cancels(server, client), ["gen_1"]);
});

test("who resumes by id may leave without harm, and may stop it", async () => {
  await using server = await hanging();
  await using client = server.connect();
  await (await begun(client.resume({ generationId: "gen_1" }))).close();
  assert.deepEqual(server.called("cancel"), []);
  await (await begun(client.resume({ requestId: "mine" }))).abort();
  assert.deepEqual(await cancels(server, client), ["gen_1"]);
});

test("what the server has told the end of is not cancelled", async () => {
  await using server = await hanging();
  await using client = server.connect();
  server.stream = playAndFail(worded(Code.InvalidArgument, "CONTENT_FILTERED"), started());
  const stream = client.stream(model, "a cat", owned);
  await failureOf(stream.result());
  await stream.abort();
  assert.deepEqual(await cancels(server, client), []);
});

test("a signal that is aborted already sends nothing, and nothing was paid", async () => {
  await using server = await hanging();
  await using client = server.connect();
  const error = await failureOf(client.generate(model, "a cat", { signal: AbortSignal.abort() }));
  assert.deepEqual([error.reason, error.billed], ["ERROR_REASON_CANCELLED", "no"]);
  assert.deepEqual(server.calls, []);
});

test("cancel tells whether the generation was running, by either id and by exactly one", async () => {
  await using server = await hanging();
  await using client = server.connect();
  server.cancel = ({ generation }) => ({ stopped: generation.case === "requestId" });
  assert.equal(await client.cancel({ requestId: "mine" }), true);
  assert.equal(await client.cancel({ generationId: "gen_1" }), false);
  await assert.rejects(client.cancel({}), TypeError);
  await assert.rejects(client.cancel({ generationId: "g", requestId: "r" }), TypeError);
  assert.throws(() => client.resume({}), TypeError);
});

test("a server that refuses the same request again does not tell of the first one, which is stopped all the same", async () => {
  withoutWaiting();
  await using server = await hanging();
  await using client = server.connect();
  let sent = 0;
  server.stream = async function* refuseAgain() {
    sent += 1;
    yield* [];
    throw sent === 1
      ? new ConnectError("broke", Code.Unavailable)
      : worded(Code.ResourceExhausted, "CALLER_LIMIT_EXCEEDED");
  };
  const stream = client.stream(model, "a cat", owned);
  assert.equal((await failureOf(stream.result())).reason, "ERROR_REASON_CALLER_LIMIT_EXCEEDED");
  await stream.abort();
  assert.deepEqual(await cancels(server, client), [stream.requestId]);
});
