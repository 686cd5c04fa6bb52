// Lines that lead nowhere: nobody waits for ever.

import assert from "node:assert/strict";
import type { ServerHttp2Session } from "node:http2";
import { createServer, type Server, type Socket, connect as toSocket } from "node:net";
import { type TestContext, test } from "node:test";
import { connect } from "@imagegen/client";
import { Sockets } from "../src/sockets.js";
import { complete, picture, result, started } from "./support/events.js";
import { FakeServer, playAndHang } from "./support/server.js";
import { failureOf, until } from "./support/waiting.js";

async function listening(context: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => {})));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const told = server.address();
  return `127.0.0.1:${typeof told === "object" ? told?.port : told}`;
}

test("a server that never answers a TLS handshake is given up, and nothing was paid", async (context) => {
  const { connectMs } = Sockets;
  context.after(() => {
    Sockets.connectMs = connectMs;
  });
  Sockets.connectMs = 50;
  const address = await listening(
    context,
    createServer(() => {}),
  );
  await using client = connect(address, { tls: true });
  const error = await failureOf(client.generate("m", "a cat"));
  assert.deepEqual([error.reason, error.billed], ["ERROR_REASON_NETWORK_ERROR", "no"]);
});

test("close ends also where the server said goodbye and then the line went dead", async (context) => {
  await using server = await FakeServer.start();
  server.stream = playAndHang(started());
  let dead = false;
  const line = createServer({ allowHalfOpen: true }, (near) => {
    const far = toSocket({ port: Number(server.address.split(":")[1]), allowHalfOpen: true });
    near.on("data", (data) => dead || far.write(data));
    far.on("data", (data) => dead || near.write(data));
    far.on("error", () => {});
    near.on("close", () => far.destroy());
  });
  const client = connect(await listening(context, line));
  const stream = client.stream("m", "a cat");
  for await (const _ of stream) {
    for (const each of server.streams) each.session?.goaway(0);
    await new Promise((later) => setTimeout(later, 100)); // for the goodbye to come
    dead = true;
    await client.close();
    return;
  }
});

test("calls that begin while the server says goodbye to an idle connection do no harm", async () => {
  await using server = await FakeServer.start();
  server.models.getModel = () => ({ model: { name: "m" } });
  await using client = server.connect();
  for (let round = 0; round < 2; round++) {
    await client.model("m");
    for (const session of server.sessions) session.goaway(0);
    const calls: Promise<unknown>[] = [];
    for (let turn = 0; turn < 20; turn++) {
      await new Promise((later) => setImmediate(later));
      calls.push(client.model("m"));
    }
    await Promise.all(calls);
  }
});

test("close does no harm while the server says goodbye to the connection", async () => {
  await using server = await FakeServer.start();
  server.models.getModel = () => ({ model: { name: "m" } });
  for (let turns = 0; turns < 25; turns++) {
    const client = server.connect();
    await client.model("m");
    for (const session of server.sessions) session.goaway(0);
    for (let turn = 0; turn < turns; turn++) await new Promise((later) => setImmediate(later));
    await client.close();
  }
});

for (const [how, leave] of Object.entries({
  "closes the connection": (session: ServerHttp2Session) => session.destroy(),
  "resets the connection": (session: ServerHttp2Session) => (session.socket as Socket).resetAndDestroy(),
})) {
  test(`an answer that came whole is read to its end also after the server ${how}`, async () => {
    await using server = await FakeServer.start();
    const data = picture(600_000);
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    server.stream = async function* script() {
      yield started();
      await begun;
      yield* [...complete(data, 0, 100_000), result(data)];
    };
    await using client = server.connect();
    const stream = client.stream("m", "a cat");
    for await (const { type } of stream) {
      if (type !== "started") continue;
      begin();
      await until(() => server.streams.size === 0);
      await pause(); // for the answer to come
      for (const session of server.sessions) leave(session);
      await pause(); // for the end to come
    }
    assert.deepEqual((await stream.result()).image.bytes, data);
    assert.deepEqual((await client.generate("m", "a cat")).image.bytes, data);
    assert.equal(server.accepted, 2);
  });
}

async function pause(): Promise<void> {
  await new Promise((later) => setTimeout(later, 100));
}
