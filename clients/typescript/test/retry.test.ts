// Only what is free is tried again.

import assert from "node:assert/strict";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Client, connect, Image } from "@imagegen/client";
import { FakeServer, gone, type Script, worded } from "./support/server.js";
import { failureOf } from "./support/waiting.js";

async function failing(fail: () => never): Promise<FakeServer> {
  const server = await FakeServer.start();
  server.stream = server.resume = fail as unknown as Script;
  server.cancel = fail;
  server.images = { readImage: fail, uploadImage: fail, explain: fail };
  server.models = { listModels: fail, getModel: fail };
  return server;
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

const free: Record<string, (client: Client) => Promise<unknown>> = {
  resume: (client) => drain(client.imageService.resume({})),
  cancel: (client) => client.cancel({ requestId: "mine" }),
  readImage: (client) => drain(client.imageService.readImage({ imageId: "img" })),
  uploadImage: (client) => client.imageService.uploadImage({}),
  explain: (client) => client.explain("m", "a cat"),
  listModels: (client) => drain(client.models()),
  getModel: (client) => client.model("m"),
};

/** Answers every call with a status alone, as a gRPC server does that refuses one. Counts the calls by their path. */
async function refusing(): Promise<{ address: string; calls: Map<string, number> } & AsyncDisposable> {
  const calls = new Map<string, number>();
  const server = createServer().on("stream", (stream, { ":path": path = "" }) => {
    calls.set(path, (calls.get(path) ?? 0) + 1);
    const status = { "grpc-status": "14", "grpc-message": "down", "grpc-retry-pushback-ms": "1" };
    stream.respond({ ":status": 200, "content-type": "application/grpc", ...status }, { endStream: true });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => new Promise<void>((closed) => server.close(() => closed()));
  return { address, calls, [Symbol.asyncDispose]: close };
}

for (const [method, call] of Object.entries(free)) {
  test(`${method} is tried four times`, async () => {
    await using server = await refusing();
    await using client = connect(server.address);
    await assert.rejects(call(client), /down/);
    assert.deepEqual([...server.calls.values()], [4]);
  });
}

test("what may cost money is called once, by the helper and by the stubs", async () => {
  const costly: [string, (client: Client) => Promise<unknown>][] = [
    ["streamGenerate", (client) => client.generate("m", "a cat")],
    ["streamEdit", (client) => client.edit("m", "a cat", { image: Image.fromId("img") })],
    ["streamGenerate", (client) => drain(client.imageService.streamGenerate({}))],
    ["streamEdit", (client) => drain(client.imageService.streamEdit({}))],
  ];
  for (const [method, call] of costly) {
    await using server = await refusing();
    await using client = connect(server.address);
    await assert.rejects(call(client), /down/);
    assert.deepEqual([...server.calls.values()], [1], method);
  }
});

test("only UNAVAILABLE is tried again, and not where the server pushes back", async () => {
  const final = [
    new ConnectError("down", Code.Internal),
    new ConnectError("down", Code.ResourceExhausted),
    new ConnectError("down", Code.Unavailable, { "grpc-retry-pushback-ms": "-1" }),
  ];
  for (const error of final) {
    await using server = await failing(() => {
      throw error;
    });
    await using client = server.connect();
    await failureOf(client.model("m"));
    assert.equal(server.called("getModel").length, 1);
  }
});

test("the waits begin with 0.2 s and double", async () => {
  await using server = await failing(() => {
    throw worded(Code.Unavailable, "SHUTTING_DOWN");
  });
  await using client = server.connect();
  const begin = performance.now();
  const error = await failureOf(client.model("m"));
  const seconds = (performance.now() - begin) / 1000;
  assert.equal(error.reason, "ERROR_REASON_SHUTTING_DOWN");
  assert.ok(seconds > 1.1 && seconds < 4, `${seconds} s`); // 1.4 s, each give or take a fifth
});

test("a call that is given up while it waits ends at once", async () => {
  await using server = await failing(() => {
    throw new ConnectError("down", Code.Unavailable, { "grpc-retry-pushback-ms": "60000" });
  });
  await using client = server.connect();
  const controller = new AbortController();
  const waiting = failureOf(client.model("m", { signal: controller.signal }));
  await server.saw("getModel");
  controller.abort();
  assert.equal((await waiting).reason, "ERROR_REASON_CANCELLED");
});

test("a connection that is reset is tried again where that is free", async () => {
  await using server = await FakeServer.start();
  server.models.getModel = async (_request, context) => {
    if (server.called("getModel").length > 1) return { model: { name: "m" } };
    server.cut();
    return await gone(context);
  };
  await using client = server.connect();
  assert.equal((await client.model("m")).name, "m");
});
