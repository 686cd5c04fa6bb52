import { create } from "@bufbuild/protobuf";
import { Backoff, pause } from "./backoff.js";
import type { Connection, Deadline, Limits } from "./connection.js";
import {
  cancelled,
  connectionBroke,
  errorFromCall,
  fromServer,
  generationIdHeader,
  type ImageGenError,
  invalidResponse,
  withIds,
} from "./errors.js";
import {
  type CancelRequest,
  CancelRequestSchema,
  type EditRequest,
  type GenerateRequest,
  type ResumeRequest,
  ResumeRequestSchema,
} from "./gen/imagegen/v1/image_service_pb.js";
import type { ImageStreamEvent } from "./gen/imagegen/v1/image_stream_pb.js";
import type { Lifetime } from "./request.js";
import { Rpc } from "./rpc.js";

/** What a stream is asked for with. */
export type StreamRequest = GenerateRequest | EditRequest | ResumeRequest;

// A Cancel that the server does not answer in this time is given up.
const cancelMs = 10_000;
// A closing reader is held up for no longer than this; the Cancel goes on without it.
const holdUpMs = 1000;

/** Reads a generation's events, over one RPC or, when that breaks and may be resumed, over several; and stops it. */
export class Generation {
  /** The server's id. Empty until it is known. */
  generationId = "";
  /** The id of the wish, as sent or as told by the server. */
  requestId = "";
  /** The last sequence that was received. */
  sequence = 0;
  readonly #connection: Connection;
  readonly #request: StreamRequest;
  readonly #lifetime: Lifetime;
  readonly #deadline: Deadline;
  readonly #backoff = new Backoff();
  readonly #untrack: () => void;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #rpc: Rpc<ImageStreamEvent>;
  #known: boolean; // the server has it: it is resumed, not asked for again
  #resuming = false;
  #repeated = false; // the request was sent more than once, and the server may have had it the first time
  #left = false; // nobody reads on
  #waiting: AbortController | undefined; // ends the pause before the next try
  #ended = false; // the server told the end, so there is nothing to stop
  #lost = false; // the connection broke for good, and who knows the generation's name may come back to it
  #cancelling: Promise<unknown> | undefined;

  /** Send `request`. */
  constructor(connection: Connection, request: StreamRequest, limits: Limits, lifetime: Lifetime) {
    this.#connection = connection;
    this.#request = request;
    this.#lifetime = lifetime;
    this.#deadline = connection.deadline(limits);
    this.#known = request.$typeName === "imagegen.v1.ResumeRequest";
    if (request.$typeName === "imagegen.v1.ResumeRequest") {
      this.sequence = request.afterSequence;
      if (request.generation.case === "generationId") this.generationId = request.generation.value;
      if (request.generation.case === "requestId") this.requestId = request.generation.value;
    } else {
      this.requestId = request.requestId;
    }
    this.#rpc = this.#begin(request);
    this.#untrack = connection.track(this);
    this.#watchDeadline();
  }

  /** The next event. Rejects with an ImageGenError when the generation failed or the connection broke for good. */
  async receive(): Promise<ImageStreamEvent> {
    for (;;) {
      try {
        const event = await this.#rpc.receive();
        if (event === undefined) throw invalidResponse("the stream ended without a result");
        this.#note(event);
        return event;
      } catch (cause) {
        const error = this.#failed(cause);
        if (!(await this.#again(error))) {
          this.#lost = connectionBroke(error);
          throw error;
        }
      }
    }
  }

  #note(event: ImageStreamEvent): void {
    this.#backoff.renew();
    this.sequence = Math.max(this.sequence, event.sequence);
    if (event.event.case === "started") {
      this.requestId = event.event.value.requestId || this.requestId;
      this.#name(event.event.value.generationId);
    } else if (event.event.case === "result") {
      this.#ended = true;
      this.#rpc.finish();
      this.#settle();
    }
    if (this.#rpc.fresh && this.generationId === "") this.#name(this.#rpc.header?.get(generationIdHeader) ?? "");
    this.#rpc.fresh = false;
  }

  #failed(cause: unknown): ImageGenError {
    if (this.#left) return cancelled("the call was stopped on this side");
    const error = errorFromCall(cause, { header: this.#rpc.header });
    // What a Resume, or the same request again, is refused for says nothing of the generation, and CANCELLED may be said
    // to this reader alone, who took nothing for too long. To stop what has ended does no harm.
    const toldEnd = fromServer(error) && error.reason !== "ERROR_REASON_CANCELLED";
    if (toldEnd && !this.#resuming && !this.#repeated) this.#ended = true;
    this.#name(error.generationId ?? "");
    return withIds(error, this.generationId, this.requestId);
  }

  /** Begin anew where the stream broke with `error`; false if that is not to be. */
  async #again(error: ImageGenError): Promise<boolean> {
    // A server that is busy has no place for another reader right now; the generation goes on all the same.
    const busy = this.#resuming && error.reason === "ERROR_REASON_SERVER_BUSY";
    if (this.#ended || this.#left || !this.#lifetime.resumable || !(busy || isBreak(error))) return false;
    const delayMs = this.#backoff.next();
    if (delayMs === undefined) return false;
    this.#waiting = new AbortController();
    await pause(this.#deadline.within(delayMs), this.#waiting.signal);
    if (this.#left) throw cancelled("the call was stopped on this side");
    this.#repeated = true;
    this.#rpc = this.#begin(this.#continuation());
    return true;
  }

  /** What reads on: the generation from where it broke or, if the server may not have it, the wish itself. */
  #continuation(): StreamRequest {
    if (!this.#known) return this.#request;
    const rest = create(ResumeRequestSchema, { generation: this.#handle(), afterSequence: this.sequence });
    if (this.#request.delivery !== undefined) rest.delivery = this.#request.delivery;
    return rest;
  }

  #handle(): CancelRequest["generation"] {
    return this.generationId !== ""
      ? { case: "generationId", value: this.generationId }
      : { case: "requestId", value: this.requestId };
  }

  /** Go away. What nobody else can know of is stopped at the server: that is the promise returned. */
  leave(): Promise<unknown> | undefined {
    this.#settle();
    this.#left = true;
    this.#waiting?.abort();
    // What was told to its end is just about to end by itself.
    if (!this.#ended) this.#rpc.cancel();
    if (this.#lifetime.owned && !this.#ended && !this.#lost) return this.#cancel();
    return undefined;
  }

  /** As `leave`, waiting a moment for the server to have heard of it. */
  async leaveAndWait(): Promise<void> {
    const told = this.leave();
    if (this.#ended) return; // the server has nothing to hear
    await this.#connection.flush();
    if (told === undefined) return;
    const done = new AbortController();
    const seen = told.catch(() => {}).then(() => done.abort());
    await Promise.race([seen, pause(holdUpMs, done.signal)]);
  }

  /** Go away, and stop the generation also where it would run on. Rejects if the server could not be told. */
  async stop(): Promise<void> {
    this.leave();
    await this.#connection.flush();
    if (this.#lifetime.shared && !this.#ended) await this.#cancel();
  }

  #cancel(): Promise<unknown> {
    const request = create(CancelRequestSchema, { generation: this.#handle() });
    this.#cancelling ??= this.#connection.inBackground(stopIfThere(this.#connection, request));
    return this.#cancelling;
  }

  /** Time runs out also for a stream that nobody reads. */
  #watchDeadline(): void {
    const { leftMs } = this.#deadline;
    if (leftMs === undefined || !this.#lifetime.owned) return;
    this.#watch = setTimeout(() => {
      if (!this.#ended && !this.#lost) this.#cancel().catch(() => {});
    }, leftMs);
  }

  #settle(): void {
    this.#untrack();
    clearTimeout(this.#watch);
  }

  #begin(request: StreamRequest): Rpc<ImageStreamEvent> {
    const { images } = this.#connection;
    this.#resuming = request.$typeName === "imagegen.v1.ResumeRequest";
    return new Rpc((options) => {
      switch (request.$typeName) {
        case "imagegen.v1.GenerateRequest":
          return images.streamGenerate(request, options);
        case "imagegen.v1.EditRequest":
          return images.streamEdit(request, options);
        case "imagegen.v1.ResumeRequest":
          return images.resume(request, options);
      }
    }, this.#deadline);
  }

  #name(generationId: string): void {
    if (generationId === "") return;
    this.generationId = generationId;
    this.#known = true;
  }
}

async function stopIfThere(connection: Connection, request: CancelRequest): Promise<void> {
  try {
    await connection.ask((options) => connection.images.cancel(request, options), { timeoutMs: cancelMs });
  } catch (error) {
    if ((error as ImageGenError).reason !== "ERROR_REASON_GENERATION_NOT_FOUND") throw error;
  }
}

/** Whether the stream broke on its way; an end in good order that brought no result is a proxy's doing too. */
function isBreak(error: ImageGenError): boolean {
  return connectionBroke(error) || (error.reason === "ERROR_REASON_INVALID_RESPONSE" && error.cause === undefined);
}
