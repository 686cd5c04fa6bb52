// Which models there are and what they can do.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { ErrorReason } from "@imagegen/client/v1/error_reason_pb.js";
import type { ListModelsRequest } from "@imagegen/client/v1/model_service_pb.js";
import { FakeServer, worded } from "./support/server.js";
import { failureOf } from "./support/waiting.js";

test("models come page by page, with the providers that could not be asked", async () => {
  await using server = await FakeServer.start();
  server.models.listModels = ({ pageToken }) => ({
    models: [{ name: `a/${pageToken || "first"}` }],
    nextPageToken: pageToken === "" ? "second" : "",
    unreachable: [{ provider: "openai", reason: ErrorReason.NETWORK_ERROR }],
  });
  await using client = server.connect();
  const list = client.models("a");
  for (const _ of [1, 2]) {
    const names: string[] = [];
    for await (const model of list) names.push(model.name);
    assert.deepEqual(names, ["a/first", "a/second"]);
  }
  assert.equal(list.unreachable[0]?.provider, "openai");
  assert.deepEqual(
    server.called<ListModelsRequest>("listModels").map((request) => [request.provider, request.pageToken]),
    [
      ["a", ""],
      ["a", "second"],
      ["a", ""],
      ["a", "second"],
    ],
  );
});

test("capabilities are asked for once; a failure is not remembered", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const model = client.image("m");
  server.models.getModel = () => {
    throw worded(Code.NotFound, "MODEL_NOT_FOUND");
  };
  assert.equal((await failureOf(model.capabilities())).reason, "ERROR_REASON_MODEL_NOT_FOUND");
  server.models.getModel = () => ({ model: { name: "m", capabilities: { edit: true } } });
  const [one, two] = await Promise.all([model.capabilities(), model.capabilities()]);
  assert.deepEqual([one.edit, two.edit, one.mask, server.called("getModel").length], [true, true, undefined, 2]);
  one.edit = false;
  assert.equal((await model.capabilities()).edit, true);
});

test("a model of which the server knows nothing has capabilities that say nothing", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  server.models.getModel = () => ({ model: { name: "m" } });
  assert.deepEqual((await client.image("m").capabilities()).options, []);
  server.models.getModel = () => ({});
  assert.equal((await failureOf(client.model("m"))).reason, "ERROR_REASON_INVALID_RESPONSE");
});
