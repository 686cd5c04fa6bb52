import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorReason } from "@imagegen/client/v1/error_reason_pb.js";
import { OnDisconnect } from "@imagegen/client/v1/image_pb.js";
import { EditRequestSchema, ImageService } from "@imagegen/client/v1/image_service_pb.js";
import { ImageStreamEventSchema } from "@imagegen/client/v1/image_stream_pb.js";
import { ModelService } from "@imagegen/client/v1/model_service_pb.js";

const first = <T>(stream: AsyncIterable<T>) => stream[Symbol.asyncIterator]().next();

test("every method can be called; on a port where nobody listens the answer is Unavailable", async () => {
  const transport = createGrpcTransport({ baseUrl: "http://127.0.0.1:1" });
  const images = createClient(ImageService, transport);
  const models = createClient(ModelService, transport);
  const draw = { model: "sandbox/scene", input: { prompt: "a cat" }, onDisconnect: OnDisconnect.DETACH };
  const change = create(EditRequestSchema, { input: { images: [{ source: { case: "imageId", value: "i" } }] } });
  const calls = [
    () => images.generate(draw),
    () => first(images.streamGenerate(draw)),
    () => images.edit(change),
    () => first(images.streamEdit(change)),
    () => first(images.resume({ generation: { case: "requestId", value: "r" } })),
    () => images.cancel({ generation: { case: "generationId", value: "g" } }),
    () => first(images.readImage({ imageId: "i" })),
    () => images.uploadImage({ sha256: "00" }),
    () => images.explain({ request: { case: "edit", value: change } }),
    () => models.listModels({}),
    () => models.getModel({ model: "draft" }),
  ];
  for (const call of calls)
    await assert.rejects(call, (error) => error instanceof ConnectError && error.code === Code.Unavailable);
  const event = create(ImageStreamEventSchema, { event: { case: "failure", value: { reason: ErrorReason.TIMEOUT } } });
  assert.equal(event.event.case === "failure" && event.event.value.reason, ErrorReason.TIMEOUT);
});
