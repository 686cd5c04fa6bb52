import { createClient, type Client as Stub, type Transport } from "@connectrpc/connect";
import { pause } from "./backoff.js";
import { errorFromCall } from "./errors.js";
import { ImageService } from "./gen/imagegen/v1/image_service_pb.js";
import { ModelService } from "./gen/imagegen/v1/model_service_pb.js";

/** The longest time limit that gRPC can carry in milliseconds: more than 27 hours. */
const longestTimeoutMs = 99_999_999;
// For what the server is to be told yet when the client is closed.
const closeMs = 1000;

/** How long a call may take, and what stops it. */
export interface Limits {
  /** Milliseconds until the call is given up. Unset: that of the client; unset there: as long as it takes. */
  readonly timeoutMs?: number | undefined;
  /** Leaves the call when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** What is told when the connection is closed. */
interface Reader {
  leave(): unknown;
}

/** What is under a transport. */
export interface Line {
  /** Resolves when what was said so far, such as that a call is given up, is on its way. */
  flush(): Promise<void>;
  /** End all calls, for good. Resolves when the other side has been told. */
  close(): Promise<void>;
}

/** One way to a server, shared by everything that a client makes. */
export class Connection {
  readonly transport: Transport;
  readonly images: Stub<typeof ImageService>;
  readonly models: Stub<typeof ModelService>;
  readonly #timeoutMs: number | undefined;
  readonly #line: Line;
  readonly #readers = new Set<Reader>();
  readonly #background = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(transport: Transport, line: Line, timeoutMs: number | undefined) {
    this.transport = transport;
    this.images = createClient(ImageService, transport);
    this.models = createClient(ModelService, transport);
    this.#timeoutMs = checkTimeout(timeoutMs);
    this.#line = line;
  }

  /** The moment at which a call that begins now has to be over. */
  deadline(limits: Limits): Deadline {
    return new Deadline(checkTimeout(limits.timeoutMs) ?? this.#timeoutMs);
  }

  /** A unary call of a method that costs nothing. */
  async ask<T>(
    call: (options: CallLimits) => Promise<T>,
    limits: Limits,
    deadline = this.deadline(limits),
  ): Promise<T> {
    try {
      return await call({ ...deadline.limit(), ...(limits.signal && { signal: limits.signal }) });
    } catch (error) {
      throw errorFromCall(error, { free: true });
    }
  }

  /** Resolves when what was said so far is on its way. */
  async flush(): Promise<void> {
    await this.#line.flush();
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Let `reader` leave when the connection is closed. The function returned forgets it. */
  track(reader: Reader): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  /** Something that nobody need wait for; closing the connection gives it a moment to end. */
  inBackground<T>(work: Promise<T>): Promise<T> {
    const seen = work.then(
      () => {},
      () => {}, // whoever waits for the work is told, and there may be nobody
    );
    this.#background.add(seen);
    void seen.then(() => this.#background.delete(seen));
    return work;
  }

  /** End every call and the connection. More than once is fine. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const reader of [...this.#readers]) reader.leave();
    if (this.#background.size > 0) {
      const done = new AbortController();
      const all = Promise.all(this.#background).then(() => done.abort());
      await Promise.race([all, pause(closeMs, done.signal)]);
    }
    await this.#line.close();
  }
}

/** What a generated stub takes. */
export interface CallLimits {
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** A moment until which something may take. */
export class Deadline {
  readonly #at: number | undefined;

  constructor(timeoutMs: number | undefined) {
    this.#at = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  }

  /** Milliseconds that are left. `undefined`: any number. */
  get leftMs(): number | undefined {
    return this.#at === undefined ? undefined : Math.max(0, this.#at - performance.now());
  }

  /** The limit of a call that begins now. connect takes 0 for none. */
  limit(): { timeoutMs?: number } {
    const left = this.leftMs;
    return left === undefined ? {} : { timeoutMs: Math.max(1, Math.ceil(left)) };
  }

  /** `delayMs`, or what is left if that is less. */
  within(delayMs: number): number {
    return Math.min(delayMs, this.leftMs ?? delayMs);
  }
}

function checkTimeout(timeoutMs: number | undefined): number | undefined {
  if (timeoutMs !== undefined && !(timeoutMs > 0 && timeoutMs <= longestTimeoutMs)) {
    throw new RangeError(`timeoutMs is more than 0 and at most ${longestTimeoutMs} milliseconds, not ${timeoutMs}`);
  }
  return timeoutMs;
}
