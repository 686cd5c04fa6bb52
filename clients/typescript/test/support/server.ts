// An imagegen server whose answers are set by the test: connect over HTTP/2 on a free port.

import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type Client, type ConnectOptions, connect } from "@imagegen/client";
import { type CancelRequest, ImageService, type ResumeRequest } from "@imagegen/client/v1/image_service_pb.js";
import type { ImageStreamEvent } from "@imagegen/client/v1/image_stream_pb.js";
import { ModelService } from "@imagegen/client/v1/model_service_pb.js";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { picture, wholeStream } from "./events.js";

export type Script = (
  request: { requestId?: string; model?: string; generation?: object },
  context: HandlerContext,
) => AsyncIterable<ImageStreamEvent>;

/** One call as the server saw it. */
export interface Call {
  readonly method: string;
  readonly request: unknown;
  readonly header: Headers;
  readonly context: HandlerContext;
}

export class FakeServer implements AsyncDisposable {
  /** What StreamGenerate and StreamEdit do. */
  stream: Script = play(...wholeStream(picture()));
  resume: (request: ResumeRequest, context: HandlerContext) => AsyncIterable<ImageStreamEvent> = hang;
  /** Unset: every generation is stopped. */
  cancel: ((request: CancelRequest) => Promise<{ stopped: boolean }> | { stopped: boolean }) | undefined;
  /** The other methods. */
  images: Partial<ServiceImpl<typeof ImageService>> = {};
  models: Partial<ServiceImpl<typeof ModelService>> = {};
  readonly calls: Call[] = [];
  readonly sockets = new Set<Socket>();
  readonly streams = new Set<ServerHttp2Stream>();
  readonly sessions = new Set<ServerHttp2Session>();
  accepted = 0;
  address = "";
  readonly #server: Http2Server;
  #watchers: (() => void)[] = [];

  private constructor() {
    this.#server = createServer(
      connectNodeAdapter({ routes: (router) => this.#routes(router), readMaxBytes: 80_000_000 }),
    );
    this.#server.on("connection", (socket: Socket) => {
      this.accepted += 1;
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    this.#server.on("session", (session) => {
      this.sessions.add(session);
      session.on("close", () => this.sessions.delete(session));
    });
    this.#server.on("stream", (stream) => {
      this.streams.add(stream);
      stream.on("error", () => {});
      stream.on("close", () => this.streams.delete(stream));
    });
    this.#server.on("sessionError", () => {});
  }

  static async start(where: { path: string } | { port: number; host: string } = { port: 0, host: "127.0.0.1" }) {
    const server = new FakeServer();
    await new Promise<void>((listening) => server.#server.listen(where, listening));
    const told = server.#server.address();
    server.address = typeof told === "string" ? `unix:${told}` : `127.0.0.1:${told?.port}`;
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((done) => this.#server.close(done));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** A client of this server. */
  connect(options: ConnectOptions = {}): Client {
    return connect(this.address, { timeoutMs: 20_000, ...options });
  }

  /** The requests of a method so far. */
  called<T = { requestId: string }>(method: string): T[] {
    return this.calls.filter((call) => call.method === method).map((call) => call.request as T);
  }

  /** The first call of a method, which comes soon. */
  async saw(method: string): Promise<Call> {
    for (;;) {
      const call = this.calls.find((each) => each.method === method);
      if (call !== undefined) return call;
      await new Promise<void>((seen) => this.#watchers.push(seen));
    }
  }

  /** Resolves when the first call of a method was cancelled. */
  async sawCancelOf(method: string): Promise<void> {
    const { signal } = (await this.saw(method)).context;
    if (!signal.aborted) await new Promise((aborted) => signal.addEventListener("abort", aborted));
  }

  /** Reset every connection. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  #routes(router: ConnectRouter): void {
    router.service(
      ImageService,
      noting(this, {
        streamGenerate: (request, context) => this.stream(request, context),
        streamEdit: (request, context) => this.stream(request, context),
        resume: (request, context) => this.resume(request, context),
        cancel: (request) => this.cancel?.(request) ?? { stopped: true },
        readImage: (request, context) => this.images.readImage?.(request, context) ?? hang(request, context),
        uploadImage: (request, context) => this.images.uploadImage?.(request, context) ?? unscripted(),
        explain: (request, context) => this.images.explain?.(request, context) ?? unscripted(),
      } satisfies Partial<ServiceImpl<typeof ImageService>>),
    );
    router.service(
      ModelService,
      noting(this, {
        listModels: (request, context) => this.models.listModels?.(request, context) ?? unscripted(),
        getModel: (request, context) => this.models.getModel?.(request, context) ?? unscripted(),
      } satisfies Partial<ServiceImpl<typeof ModelService>>),
    );
  }

  note(call: Call): void {
    this.calls.push(call);
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}

function noting<T extends object>(server: FakeServer, methods: T): T {
  const noted = Object.entries(methods).map(([method, handle]) => [
    method,
    (request: unknown, context: HandlerContext) => {
      server.note({ method, request, header: context.requestHeader, context });
      return handle(request, context);
    },
  ]);
  return Object.fromEntries(noted);
}

function unscripted(): never {
  throw new ConnectError("not scripted", Code.Unimplemented);
}

/** A script that sends events and ends well. */
export function play(...events: ImageStreamEvent[]): Script {
  return async function* script() {
    yield* events;
  };
}

/** A script that sends events and then says nothing more. */
export function playAndHang(...events: ImageStreamEvent[]): Script {
  return async function* script(request, context) {
    yield* events;
    yield* hang(request, context);
  };
}

/** A script that sends events and fails. */
export function playAndFail(error: ConnectError, ...events: ImageStreamEvent[]): Script {
  return async function* script() {
    yield* events;
    throw error;
  };
}

/** Says nothing until the call is gone. */
export async function* hang(_request: unknown, context: HandlerContext): AsyncGenerator<never> {
  await gone(context);
  yield* [];
}

/** Rejects when the call is gone. */
export function gone({ signal }: HandlerContext): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

/** A failure that the server words. */
export function worded(
  code: Code,
  reason: string,
  metadata: Record<string, string> = {},
  message = "no",
): ConnectError {
  const info = { domain: "imagegen", reason: `ERROR_REASON_${reason}`, metadata };
  return withDetails(new ConnectError(message, code), ErrorInfoSchema, info);
}

/** `error` with one more detail. */
export function withDetails<D extends DescMessage>(
  error: ConnectError,
  desc: D,
  value: MessageInitShape<D>,
): ConnectError {
  error.details = [...error.details, { desc, value: value as never }];
  return error;
}
