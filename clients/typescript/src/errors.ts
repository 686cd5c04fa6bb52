import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import type { Attempt, ImageFailure, ImageUsage } from "./gen/imagegen/v1/image_pb.js";
import { GenerationFailureSchema } from "./gen/imagegen/v1/image_pb.js";
import { type BilledWord, bareReason, billedWord, type Reason } from "./reason.js";

const domain = "imagegen";
const reasonTrailer = "imagegen-reason";
const billedTrailer = "imagegen-billed";
/** Initial metadata: the server's id for the generation. */
export const generationIdHeader = "imagegen-generation-id";
/** Initial metadata: the id of the wish. */
export const requestIdHeader = "imagegen-request-id";

// Ends without a word of the server's own that say that the way to it broke.
const breaks: ReadonlySet<Code> = new Set([Code.Unavailable, Code.Internal, Code.Unknown, Code.Canceled]);

/** One thing that is wrong with a request. */
export interface FieldViolation {
  /** Path in the request: "options.size.width". */
  readonly field: string;
  /** What is wrong with it. */
  readonly description: string;
}

/** What an `ImageGenError` knows beside its message. A fact that nobody told is absent. */
export interface ErrorFacts {
  /** The code of the gRPC status. */
  readonly code: Code;
  /** Why. Absent: nobody told. */
  readonly reason?: Reason | undefined;
  /** Whether the call was paid for. "unknown": it may have been. */
  readonly billed: BilledWord;
  /** The provider that failed, by its name in the server's configuration. */
  readonly provider?: string | undefined;
  /** The model, as "provider/model" or as asked for. */
  readonly model?: string | undefined;
  /** Milliseconds to wait before the same call can succeed. Absent: not known, or waiting does not help. */
  readonly retryDelayMs?: number | undefined;
  /** What is wrong with the request, field by field. */
  readonly violations?: readonly FieldViolation[];
  /** One for each image that did not come, once a provider was called. */
  readonly failures?: readonly ImageFailure[];
  /** The provider calls made, oldest first. */
  readonly attempts?: readonly Attempt[];
  /** What is known of use. */
  readonly usage?: ImageUsage | undefined;
  /** Such as stage, http_status, provider_code, provider_request_id. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The server's id for the generation, for support. */
  readonly generationId?: string | undefined;
  /** The name of the wish. */
  readonly requestId?: string | undefined;
}

/**
 * A call failed: what the server, a provider, the network or this client has to say of it.
 *
 * Only what is seen to be wrong before anything is sent is another error: a TypeError or a RangeError. `cause` is the
 * error of the transport, if there was one.
 */
export class ImageGenError extends Error implements ErrorFacts {
  /** As with every Error. */
  override readonly name = "ImageGenError";
  readonly code: Code;
  readonly reason: Reason | undefined;
  readonly billed: BilledWord;
  readonly provider: string | undefined;
  readonly model: string | undefined;
  readonly retryDelayMs: number | undefined;
  readonly violations: readonly FieldViolation[];
  readonly failures: readonly ImageFailure[];
  readonly attempts: readonly Attempt[];
  readonly usage: ImageUsage | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly generationId: string | undefined;
  readonly requestId: string | undefined;

  /** The `message` is for people, and holds no prompt and no key. */
  constructor(message: string, facts: ErrorFacts, options?: { cause?: unknown }) {
    super(message, options);
    this.code = facts.code;
    this.reason = facts.reason;
    this.billed = facts.billed;
    this.provider = facts.provider;
    this.model = facts.model;
    this.retryDelayMs = facts.retryDelayMs;
    this.violations = facts.violations ?? [];
    this.failures = facts.failures ?? [];
    this.attempts = facts.attempts ?? [];
    this.usage = facts.usage;
    this.metadata = facts.metadata ?? {};
    this.generationId = facts.generationId;
    this.requestId = facts.requestId;
  }

  /** Reason, message, and what is wrong by field unless the message has said it, on one line. */
  override toString(): string {
    const fields = this.violations
      .filter(({ description }) => !this.message.includes(description))
      .map(({ field, description }) => `${field}: ${description}`);
    const text = [this.name, this.reason, this.message].filter((part) => part).join(": ");
    return fields.length > 0 ? `${text} (${fields.join("; ")})` : text;
  }
}

/** There never was a connection, so no request can have left. */
export class NeverConnected extends Error {
  override readonly name = "NeverConnected";
}

/**
 * The server's answer does not keep what the API promises. What became of the money is not known, unless it answers a
 * method that is `free`.
 */
export function invalidResponse(message: string, { free = false } = {}): ImageGenError {
  return new ImageGenError(message, {
    code: Code.Internal,
    reason: "ERROR_REASON_INVALID_RESPONSE",
    billed: free ? "no" : "unknown",
  });
}

/** The call was stopped on this side. */
export function cancelled(message: string, billed: BilledWord = "unknown", cause?: unknown): ImageGenError {
  const facts: ErrorFacts = { code: Code.Canceled, reason: "ERROR_REASON_CANCELLED", billed };
  return new ImageGenError(message, facts, cause === undefined ? undefined : { cause });
}

/**
 * Read all that the end of a call tells. Never throws.
 *
 * `free`: the method never costs anything, so a status that says nothing about money means "no". `header`: the initial
 * metadata, if it was received.
 */
export function errorFromCall(cause: unknown, call: { free?: boolean; header?: Headers | undefined }): ImageGenError {
  if (cause instanceof ImageGenError) return cause;
  const status = ConnectError.from(cause);
  const code = statusCode(status);
  const told = ownInfo(status)?.metadata ?? {};
  const [failure] = status.findDetails(GenerationFailureSchema);
  const neverBilled = call.free || status.cause instanceof NeverConnected;
  return new ImageGenError(
    status.rawMessage,
    {
      code,
      reason: toldReason(status) ?? bareReason(code),
      billed: toldBilled(status) ?? (neverBilled ? "no" : "unknown"),
      provider: told.provider || undefined,
      model: told.model || undefined,
      retryDelayMs: retryDelayMs(status),
      violations: violations(status),
      failures: failure?.failures ?? [],
      attempts: failure?.attempts ?? [],
      usage: failure?.usage,
      metadata: { ...told },
      generationId: failure?.generationId || told.generation_id || initial(call.header, status, generationIdHeader),
      requestId: failure?.requestId || told.request_id || initial(call.header, status, requestIdHeader),
    },
    { cause: status },
  );
}

/** `error` with the ids that it does not have yet. */
export function withIds(error: ImageGenError, generationId: string, requestId: string): ImageGenError {
  const [generation, request] = [error.generationId || generationId, error.requestId || requestId];
  if (generation === (error.generationId ?? "") && request === (error.requestId ?? "")) return error;
  const named = new ImageGenError(
    error.message,
    { ...error, generationId: generation || undefined, requestId: request || undefined },
    error.cause === undefined ? undefined : { cause: error.cause },
  );
  if (error.stack !== undefined) named.stack = error.stack;
  return named;
}

/** Whether the imagegen server itself said why, rather than a proxy, the transport or this client. */
export function fromServer(error: ImageGenError): boolean {
  const { cause } = error;
  return cause instanceof ConnectError && (ownInfo(cause) !== undefined || cause.metadata.has(reasonTrailer));
}

/** Whether the transport or a proxy ended the call on its way, so that the server may know better how it went. */
export function connectionBroke(error: ImageGenError): boolean {
  return error.cause instanceof ConnectError && !fromServer(error) && breaks.has(error.code);
}

/** The code as gRPC has it: connect has its own for what no status came of. */
export function statusCode(status: ConnectError): Code {
  if (!status.metadata.has("grpc-status")) {
    if (status.code === Code.Aborted) return Code.Unavailable; // the connection was reset
    if (status.code === Code.InvalidArgument) return Code.Internal; // it ended in the middle of a message
  }
  return status.code;
}

function ownInfo(status: ConnectError) {
  return status.findDetails(ErrorInfoSchema).find((info) => info.domain === domain);
}

function toldReason(status: ConnectError): Reason | undefined {
  return ownInfo(status)?.reason || first(status.metadata, reasonTrailer);
}

function toldBilled(status: ConnectError): BilledWord | undefined {
  return billedWord(ownInfo(status)?.metadata.billed) ?? billedWord(first(status.metadata, billedTrailer));
}

function retryDelayMs(status: ConnectError): number | undefined {
  const [retry] = status.findDetails(RetryInfoSchema);
  return retry?.retryDelay && durationMs(retry.retryDelay);
}

function violations(status: ConnectError): FieldViolation[] {
  const [bad] = status.findDetails(BadRequestSchema);
  return bad?.fieldViolations.map(({ field, description }) => ({ field, description })) ?? [];
}

function initial(header: Headers | undefined, status: ConnectError, name: string): string | undefined {
  return (header && first(header, name)) ?? first(status.metadata, name);
}

/** The first value of a name: Headers joins several. */
function first(headers: Headers, name: string): string | undefined {
  return headers.get(name)?.split(",")[0]?.trim() || undefined;
}
