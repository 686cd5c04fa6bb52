// The way to a server: address, token, what is said with each call.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, version } from "@imagegen/client";
import { FakeServer } from "./support/server.js";
import { failureOf } from "./support/waiting.js";

test("an address is host:port or a unix socket; URLs and hosts without a port are refused", () => {
  for (const address of [
    "localhost:50051",
    "[::1]:443",
    "10.0.0.1:1",
    "images.example.com:65535",
    "unix:/run/a.sock",
  ]) {
    assert.equal(connect(address).address, address);
  }
  const wrong = [
    "http://localhost:50051",
    "HTTPS://a:1",
    "localhost",
    "localhost:",
    "[::1]",
    "::1",
    "a:0",
    "a:65536",
    "a:x",
    "[::1]x:1",
    "a b:1",
    "user@host:1",
    "host:1/path",
    "dns:///a:1",
    "unix:",
  ];
  for (const address of wrong) assert.throws(() => connect(address), TypeError, address);
});

test("without an address it is that of the environment, else the usual one", (context) => {
  const before = process.env.IMAGEGEN_ADDRESS;
  context.after(() => {
    if (before === undefined) delete process.env.IMAGEGEN_ADDRESS;
    else process.env.IMAGEGEN_ADDRESS = before;
  });
  delete process.env.IMAGEGEN_ADDRESS;
  assert.equal(connect().address, "127.0.0.1:50051");
  process.env.IMAGEGEN_ADDRESS = "localhost:7";
  assert.equal(connect().address, "localhost:7");
  assert.equal(connect("localhost:8").address, "localhost:8");
});

test("a token goes over TLS or stays on this machine", () => {
  for (const address of ["localhost:1", "127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "unix:/run/a.sock"])
    connect(address, { token: "t" });
  for (const address of [
    "example.com:1",
    "10.0.0.1:1",
    "[2001:db8::1]:1",
    "127.0.0.1.example.com:1",
    "localhost.example.com:1",
  ]) {
    assert.throws(() => connect(address, { token: "t" }), /clear text/, address);
    connect(address, { token: "t", tls: true });
  }
  assert.throws(() => connect("localhost:1", { token: "a\nb" }), TypeError);
});

test("every call says who it is, the raw stubs' too", async () => {
  await using server = await FakeServer.start();
  server.models.getModel = () => ({ model: { name: "m" } });
  await using client = server.connect({ token: "secret" });
  await client.generate("m", "a cat");
  await client.modelService.getModel({ model: "m" });
  for (const { header } of server.calls) {
    assert.equal(header.get("authorization"), "Bearer secret");
    assert.equal(header.get("user-agent"), `imagegen-typescript/${version}`);
  }
  assert.equal(server.calls.length, 2);
  assert.equal(server.accepted, 1);
});

test("the version is that of package.json", async () => {
  const manifest = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  assert.equal(version, manifest.version);
});

test("a unix socket is a way, too", async () => {
  const folder = await mkdtemp(join(tmpdir(), "imagegen-"));
  try {
    await using server = await FakeServer.start({ path: join(folder, "s") });
    await using client = server.connect({ token: "secret" });
    assert.equal((await client.generate("m", "a cat")).images.length, 1);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a lost connection is made again", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  await client.generate("m", "a cat");
  server.cut();
  await failureOf(client.generate("m", "a cat")).catch(() => {}); // it may not know yet
  await client.generate("m", "a cat");
  assert.equal(server.accepted, 2);
});

test("a closed client sends nothing more", async () => {
  await using server = await FakeServer.start();
  const client = server.connect();
  await client.close();
  await client.close();
  const error = await failureOf(client.generate("m", "a cat"));
  assert.deepEqual([error.reason, error.billed], ["ERROR_REASON_CANCELLED", "no"]);
  assert.equal((await failureOf(client.model("m"))).reason, "ERROR_REASON_CANCELLED");
  assert.deepEqual(server.calls, []);
});
