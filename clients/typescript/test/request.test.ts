// What a call sends, from what its model and the call itself say; and what is refused before anything is sent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { type CallSettings, Image, type ModelSettings, type Params } from "@imagegen/client";
import { DeliveryMode, ImageOptionsSchema, OnDisconnect } from "@imagegen/client/v1/image_pb.js";
import type { EditRequest, ExplainRequest, GenerateRequest } from "@imagegen/client/v1/image_service_pb.js";
import { picture } from "./support/events.js";
import { FakeServer } from "./support/server.js";

test("options are joined field by field, params key by key, and the call's word goes first", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const model = client.image("m", {
    options: { quality: "high", seed: 1n, size: { width: 1, height: 2 } },
    params: { openai: { moderation: "low", user: "a" }, xai: { a: 1 } },
    strict: true,
  });
  await model.generate("a cat", {
    options: create(ImageOptionsSchema, { seed: 0n, size: { width: 3, height: 4 } }),
    params: { openai: { user: "b", list: [1, { deep: null }], gone: undefined } },
    strict: false,
  });
  const [request] = server.called<GenerateRequest>("streamGenerate");
  const { quality, seed, size, previewCount, count } = request?.options ?? {};
  assert.deepEqual([quality, seed, size?.width, size?.height], ["high", 0n, 3, 4]);
  assert.deepEqual([previewCount, count], [0, undefined]); // generate asks for no previews
  assert.deepEqual(request?.params, {
    openai: { moderation: "low", user: "b", list: [1, { deep: null }] },
    xai: { a: 1 },
  });
  assert.deepEqual([request?.model, request?.input?.prompt, request?.strict], ["m", "a cat", false]);
  assert.deepEqual(model.params, { openai: { moderation: "low", user: "a" }, xai: { a: 1 } });
  assert.equal(model.model, "m");
});

test("what is not said is not sent; a stream leaves the number of previews to the server", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  await client.stream("m", "a cat").result();
  await client.generate("m", "a cat", { options: { previewCount: 3 } });
  const [stream, generate] = server.called<GenerateRequest>("streamGenerate");
  assert.equal(stream?.options?.previewCount, undefined);
  assert.deepEqual([stream?.requestId, stream?.onDisconnect, stream?.retry, stream?.strict], ["", 0, undefined, false]);
  assert.equal(generate?.options?.previewCount, 3);
});

test("every setting arrives", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const settings: CallSettings = {
    ...{ delivery: "inline", requestId: "mine", onDisconnect: "cancel", timeoutMs: 5000 },
    ...{ fallbackModels: ["a/b"], retryAmbiguous: true, fallbackOnContentFiltered: true },
  };
  await client.generate("m", "a cat", settings);
  const [request] = server.called<GenerateRequest>("streamGenerate");
  assert.equal(request?.delivery?.mode, DeliveryMode.INLINE);
  assert.deepEqual([request?.requestId, request?.onDisconnect], ["mine", OnDisconnect.CANCEL]);
  const { fallbackModels, retryAmbiguous, fallbackOnContentFiltered } = request?.retry ?? {};
  assert.deepEqual([fallbackModels, retryAmbiguous, fallbackOnContentFiltered], [["a/b"], true, true]);
  assert.match(server.calls[0]?.header.get("grpc-timeout") ?? "", /^(5000|4\d\d\d)m$/);
});

test("the images of an edit are bytes, ids or addresses; one of a result brings its metadata", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const { image } = await client.generate("m", "a cat");
  const mask = Image.fromBytes(picture(5), "image/png");
  const images = [Image.fromId("img"), Image.fromUrl("https://example.com/a.png", "image/png")];
  await client.edit("m", "a boat", { image, images, mask });
  const [request] = server.called<EditRequest>("streamEdit");
  const { input } = request ?? {};
  assert.equal(request?.options?.previewCount, 0);
  assert.deepEqual(
    input?.images.map(({ source }) => source.case),
    ["data", "imageId", "url"],
  );
  assert.deepEqual(input?.images[0]?.source.value, image.bytes);
  assert.deepEqual(
    input?.images.map(({ metadata }) => metadata),
    [{ sandbox: { id: "x" } }, {}, {}],
  );
  assert.deepEqual([input?.mask?.mediaType, input?.mask?.source.value], ["image/png", picture(5)]);
});

test("explain and explainEdit ask with the request that would be sent", async () => {
  await using server = await FakeServer.start();
  server.images.explain = () => ({ calls: [{ model: "a/b", requests: 2 }] });
  await using client = server.connect();
  const model = client.image("m", { options: { count: 4 } });
  assert.equal((await model.explain("a cat"))[0]?.requests, 2);
  await model.explainEdit("a boat", { image: Image.fromId("img") });
  const [generate, edit] = server.called<ExplainRequest>("explain");
  assert.deepEqual([generate?.request.case, generate?.request.value?.options?.count], ["generate", 4]);
  assert.deepEqual([edit?.request.case, edit?.request.value?.options?.previewCount], ["edit", 0]);
});

test("a value that cannot be carried is refused, with its path, and nothing is sent", async () => {
  await using server = await FakeServer.start();
  await using client = server.connect();
  const params: [unknown, RegExp][] = [
    [{ openai: { seed: 2 ** 53 } }, /params\.openai\.seed/],
    [{ openai: { seed: -(2 ** 53) } }, /params\.openai\.seed/],
    [{ openai: { deep: [{ n: Number.NaN }] } }, /params\.openai\.deep\[0\]\.n/],
    [{ openai: { n: Number.NEGATIVE_INFINITY } }, /params\.openai\.n/],
    [{ openai: { n: 1e300 } }, /params\.openai\.n/],
    [{ openai: { n: 7n } }, /params\.openai\.n/],
    [{ openai: { when: new Date() } }, /params\.openai\.when is not a JSON value: Date/],
    [{ openai: { f: () => 1 } }, /params\.openai\.f/],
    [{ openai: 5 }, /params\.openai/],
    [{ openai: [] }, /params\.openai/],
  ];
  for (const [value, message] of params) {
    await assert.rejects(client.generate("m", "a cat", { params: value as Params }), message);
  }
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ options: { count: -1 } }, /ImageOptions\.count/],
    [{ options: { count: 1.5 } }, /ImageOptions\.count/],
    [{ options: { seed: 2n ** 63n } }, /ImageOptions\.seed/],
    [{ options: { quality: 7 } }, /ImageOptions\.quality/],
    [{ options: { qualty: "high" } }, /qualty/],
    [{ delivery: "by mail" }, /delivery/],
    [{ onDisconnect: "stop" }, /onDisconnect/],
    [{ resumable: true, onDisconnect: "cancel" }, /cannot be resumed/],
    [{ fallbackModels: "a/b" }, /fallbackModels/],
    [{ timeoutMs: 0 }, /timeoutMs/],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, /timeoutMs/],
    [{ requestId: 7 }, /requestId|request_id/],
  ];
  for (const [settings, message] of wrong) {
    await assert.rejects(client.generate("m", "a cat", settings as CallSettings), refusal(message), String(message));
  }
  await assert.rejects(client.generate("m", 7 as never), refusal(/prompt/));
  await assert.rejects(client.edit("m", "a cat", { image: new Image({}) }), refusal(/no bytes, no id and no URL/));
  assert.throws(() => client.image("m", { requestId: "mine" } as ModelSettings), refusal(/requestId/));
  assert.throws(
    () => client.resume({ requestId: "r" }, { afterSequence: -1 }),
    refusal(/after_sequence|afterSequence/),
  );
  assert.deepEqual(server.calls, []);
});

function refusal(message: RegExp) {
  return (error: unknown) => (error instanceof TypeError || error instanceof RangeError) && message.test(error.message);
}
