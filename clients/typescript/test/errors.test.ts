import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, encodeBinaryHeader } from "@connectrpc/connect";
import { connect, ImageGenError, reasonName } from "@imagegen/client";
import { ErrorReason } from "@imagegen/client/v1/error_reason_pb.js";
import { AttemptOutcome, Billed, GenerationFailureSchema } from "@imagegen/client/v1/image_pb.js";
import { errorFromCall } from "../src/errors.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../src/gen/google/rpc/status_pb.js";
import { failure, started } from "./support/events.js";
import { FakeServer, playAndFail, playAndHang, withDetails, worded } from "./support/server.js";
import { failureOf } from "./support/waiting.js";

/** The error that a call ends in after it had begun. */
async function failed(error: ConnectError): Promise<ImageGenError> {
  await using server = await FakeServer.start();
  server.stream = playAndFail(error, started());
  await using client = server.connect();
  return await failureOf(client.generate("sandbox/scene", "a cat"));
}

test("all that the server tells of a failure can be read", async () => {
  const error = worded(
    Code.ResourceExhausted,
    "RATE_LIMITED",
    { provider: "openai", model: "openai/x", billed: "no", http_status: "429" },
    "too fast",
  );
  withDetails(error, RetryInfoSchema, { retryDelay: { seconds: 12n, nanos: 500_000_000 } });
  withDetails(error, BadRequestSchema, { fieldViolations: [{ field: "options.seed", description: "is odd" }] });
  withDetails(error, GenerationFailureSchema, {
    ...{ generationId: "gen_9", requestId: "req_9", failures: [failure(0)] },
    attempts: [{ provider: "openai", outcome: AttemptOutcome.REJECTED, billed: Billed.NO, httpStatus: 429 }],
    usage: { inputTokens: 5, cost: { amount: 0.5, currency: "USD", estimated: true } },
  });
  const read = await failed(error);
  assert.deepEqual([read.reason, read.code, read.message], ["ERROR_REASON_RATE_LIMITED", 8, "too fast"]);
  assert.deepEqual([read.provider, read.model, read.billed], ["openai", "openai/x", "no"]);
  assert.equal(read.retryDelayMs, 12_500);
  assert.deepEqual(read.violations, [{ field: "options.seed", description: "is odd" }]);
  assert.equal(read.failures[0]?.reason, ErrorReason.CONTENT_FILTERED);
  assert.equal(read.attempts[0]?.httpStatus, 429);
  assert.deepEqual([read.usage?.inputTokens, read.usage?.outputTokens, read.usage?.cost?.amount], [5, undefined, 0.5]);
  assert.equal(read.metadata.http_status, "429");
  assert.deepEqual([read.generationId, read.requestId], ["gen_9", "req_9"]);
  assert.ok(read.cause instanceof ConnectError);
  assert.equal(String(read), "ImageGenError: ERROR_REASON_RATE_LIMITED: too fast (options.seed: is odd)");
});

test("where a proxy took the details away, reason and money are told by the plain trailers", async () => {
  const plain = { "imagegen-reason": "ERROR_REASON_CONTENT_FILTERED", "imagegen-billed": "yes" };
  const read = await failed(new ConnectError("refused", Code.InvalidArgument, plain));
  assert.deepEqual([read.reason, read.billed, read.message], ["ERROR_REASON_CONTENT_FILTERED", "yes", "refused"]);
});

test("details that are garbled, empty or of another failure do not hide the one at hand", async () => {
  const other = create(StatusSchema, { code: Code.NotFound, message: "other" });
  const success = create(StatusSchema, { code: 0 });
  for (const details of [
    "%%%",
    "////",
    "",
    encodeBinaryHeader(toBinary(StatusSchema, other)),
    encodeBinaryHeader(toBinary(StatusSchema, success)),
  ]) {
    const plain = {
      "grpc-status-details-bin": details,
      "imagegen-reason": "ERROR_REASON_PROVIDER_UNAVAILABLE",
      "imagegen-billed": "no",
    };
    const read = await failed(new ConnectError("down", Code.Unavailable, plain));
    assert.deepEqual(
      [read.reason, read.code, read.billed, read.message, read.retryDelayMs],
      ["ERROR_REASON_PROVIDER_UNAVAILABLE", 14, "no", "down", undefined],
    );
  }
});

test("an ErrorInfo of another domain gives neither a reason nor a word about money", async () => {
  const foreign = { domain: "example.com", reason: "NOPE", metadata: { billed: "no" } };
  const read = await failed(withDetails(new ConnectError("x", Code.Internal), ErrorInfoSchema, foreign));
  assert.deepEqual([read.reason, read.billed, read.metadata], [undefined, "unknown", {}]);
});

test("a reason that is newer than the client is kept by its name", async () => {
  assert.equal((await failed(worded(Code.Internal, "SOLAR_FLARE"))).reason, "ERROR_REASON_SOLAR_FLARE");
  assert.equal(reasonName(ErrorReason.TIMEOUT), "ERROR_REASON_TIMEOUT");
  assert.equal(reasonName(999 as ErrorReason), "ERROR_REASON_999");
});

test("a status that no imagegen server made says what its code says, and that money may have been spent", async () => {
  const reasons: [Code, string | undefined][] = [
    [Code.Unavailable, "ERROR_REASON_NETWORK_ERROR"],
    [Code.DeadlineExceeded, "ERROR_REASON_TIMEOUT"],
    [Code.Canceled, "ERROR_REASON_CANCELLED"],
    [Code.Unauthenticated, "ERROR_REASON_CALLER_UNAUTHENTICATED"],
    [Code.PermissionDenied, "ERROR_REASON_CALLER_NOT_ALLOWED"],
    [Code.ResourceExhausted, undefined],
    [Code.Unimplemented, undefined],
  ];
  for (const [code, reason] of reasons) {
    const read = await failed(new ConnectError("bare", code));
    assert.deepEqual([read.reason, read.code, read.billed, read.message], [reason, code, "unknown", "bare"]);
  }
});

test("a call that died without details still leaves its ids, from the initial metadata", async () => {
  await using server = await FakeServer.start();
  server.stream = async function* script(_request, context) {
    context.responseHeader.set("imagegen-generation-id", "gen_7");
    context.responseHeader.set("imagegen-request-id", "req_7");
    yield* [];
    throw new ConnectError("gone", Code.Internal);
  };
  await using client = server.connect();
  const read = await failureOf(client.generate("sandbox/scene", "a cat"));
  assert.deepEqual([read.generationId, read.requestId], ["gen_7", "req_7"]);
});

test("where there never was a connection nothing was paid", async () => {
  for (const address of ["127.0.0.1:1", "[::1]:1", "no-such-host.invalid:50051", "unix:/no/such/socket"]) {
    await using client = connect(address, { timeoutMs: 20_000 });
    const read = await failureOf(client.generate("sandbox/scene", "a cat"));
    assert.deepEqual([read.reason, read.code, read.billed], ["ERROR_REASON_NETWORK_ERROR", 14, "no"], address);
  }
});

test("a connection that is lost is NETWORK_ERROR however it was lost", async () => {
  const ways: ((server: FakeServer) => void)[] = [
    (server) => server.cut(),
    (server) => void [...server.sockets].map((socket) => socket.end()),
    (server) => void [...server.sockets].map((socket) => socket.destroy()),
  ];
  for (const lose of ways) {
    await using server = await FakeServer.start();
    server.stream = playAndHang(started());
    await using client = server.connect();
    const stream = client.stream("sandbox/scene", "a cat");
    await stream[Symbol.asyncIterator]().next();
    lose(server);
    const read = await failureOf(stream.result());
    assert.deepEqual(
      [read.reason, read.code, read.billed, read.generationId, read.requestId],
      ["ERROR_REASON_NETWORK_ERROR", 14, "unknown", "gen_1", "req_1"],
    );
  }
});

test("a stream that is reset as cancelled, by a proxy, is CANCELLED", async () => {
  await using server = await FakeServer.start();
  server.stream = playAndHang(started());
  await using client = server.connect();
  const stream = client.stream("sandbox/scene", "a cat");
  await stream[Symbol.asyncIterator]().next();
  for (const each of server.streams) each.close(8);
  const read = await failureOf(stream.result());
  assert.deepEqual([read.reason, read.code, read.billed], ["ERROR_REASON_CANCELLED", 1, "unknown"]);
});

test("a call that takes longer than it may is a TIMEOUT that may have cost money, and the server is told", async () => {
  await using server = await FakeServer.start();
  server.stream = playAndHang(started());
  await using client = server.connect();
  const read = await failureOf(client.generate("sandbox/scene", "a cat", { timeoutMs: 200 }));
  assert.deepEqual(
    [read.reason, read.code, read.billed, read.generationId],
    ["ERROR_REASON_TIMEOUT", 4, "unknown", "gen_1"],
  );
  await server.sawCancelOf("streamGenerate");
});

test("what is free is not billed where nobody tells", async () => {
  await using server = await FakeServer.start();
  server.models.getModel = () => {
    throw new ConnectError("bare", Code.Internal);
  };
  await using client = server.connect();
  assert.equal((await failureOf(client.model("sandbox/scene"))).billed, "no");
});

test("reading an error never fails, whatever is thrown", () => {
  const strange = [undefined, null, "text", 7, new Error("x"), new ConnectError("", 99 as Code), { a: 1 }, Symbol("s")];
  for (const cause of strange) {
    const read = errorFromCall(cause, {});
    assert.ok(read instanceof ImageGenError);
    assert.equal(read.billed, "unknown");
  }
});
