import type { Assembler } from "./assembly.js";
import { cancelled, errorFromCall, ImageGenError, withIds } from "./errors.js";
import type { ImageEvent } from "./events.js";
import type { Generation } from "./generation.js";
import type { ImageResult } from "./result.js";

// Nobody will ever read on, so nobody shall pay on.
const dropped = new FinalizationRegistry<Generation>((generation) => void generation.leave()?.catch(() => {}));

/**
 * A generation that runs. Iterate it for events, await `result()` for the whole, in either order or both.
 *
 * It runs whether or not anybody reads. `abort()` stops it. So does leaving it (`close()`, the end of an `await using`
 * block, breaking out of `for await`, the call's `signal`), unless it was meant to go on without its reader: one with a
 * `requestId` of yours or `onDisconnect: "detach"`, or one that was resumed by its id.
 *
 * An iteration ends when the result is there, and throws `ImageGenError` if the generation fails. Events that
 * `result()` passes by are kept for an iteration after it.
 */
export class ImageStream implements AsyncIterable<ImageEvent>, AsyncDisposable {
  readonly #generation: Generation;
  readonly #assembler: Assembler;
  readonly #events: ImageEvent[] = [];
  readonly #unlisten: () => void;
  #outcome: ImageResult | ImageGenError | undefined;
  #reading: Promise<void> | undefined;

  /** Streams are made by the client and its models. */
  constructor(generation: Generation, assembler: Assembler, signal: AbortSignal | undefined) {
    this.#generation = generation;
    this.#assembler = assembler;
    this.#unlisten = this.#listen(signal);
    dropped.register(this, generation, this);
  }

  /** The server's id for it, for `resume`, `cancel` and support. Empty until something was received. */
  get generationId(): string {
    return this.#generation.generationId;
  }

  /** The id of the wish, good for the same. Empty if none was sent and "started" was not received. */
  get requestId(): string {
    return this.#generation.requestId;
  }

  /** Where the generation's log was read to: `afterSequence` for a `resume` that goes on from here. */
  get lastSequence(): number {
    return this.#generation.sequence;
  }

  /** The events from here on. Breaking out of a `for await` loop leaves the stream. */
  [Symbol.asyncIterator](): AsyncIterator<ImageEvent, undefined> {
    return {
      next: async () => {
        const value = await this.#nextEvent();
        return value === undefined ? { done: true, value } : { done: false, value };
      },
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /**
   * Wait for the end and return what came of it; asked again, the same again.
   *
   * @throws ImageGenError: the generation failed or was stopped.
   */
  async result(): Promise<ImageResult> {
    while (this.#outcome === undefined) await this.#advance();
    if (this.#outcome instanceof ImageGenError) throw this.#outcome;
    return this.#outcome;
  }

  /**
   * Stop the generation at once. No event follows; `result()` and iterations throw CANCELLED.
   *
   * The provider may bill what it has begun. Does nothing once the result is there. Where the generation would run on
   * without its reader, the server is told to stop it.
   *
   * @throws ImageGenError: the server could not be told, so the generation may run on.
   */
  async abort(): Promise<void> {
    this.#end("the generation was aborted");
    await this.#generation.stop();
  }

  /** Leave the stream: read no more and, unless it was meant to go on without its reader, stop the generation. */
  async close(): Promise<void> {
    this.#end("the stream was left");
    await this.#generation.leaveAndWait();
  }

  /** As `close()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #nextEvent(): Promise<ImageEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#outcome instanceof ImageGenError) throw this.#outcome;
      if (this.#outcome !== undefined) return undefined;
      await this.#advance();
    }
  }

  /** Take one more message in: one for all who wait. */
  #advance(): Promise<void> {
    this.#reading ??= this.#read();
    return this.#reading;
  }

  async #read(): Promise<void> {
    try {
      const message = await this.#generation.receive();
      if (this.#outcome !== undefined) return;
      const event = this.#assembler.feed(message);
      if (event !== undefined) this.#events.push(event);
      if (this.#assembler.result !== undefined) this.#finish(this.#assembler.result);
    } catch (error) {
      this.#finish(errorFromCall(error, {}));
      // Bytes that are not the promised ones: nobody shall pay for more of them.
      this.#generation.leave()?.catch(() => {});
    } finally {
      this.#reading = undefined;
    }
  }

  #end(why: string, cause?: unknown): void {
    if (this.#outcome !== undefined) return;
    this.#events.length = 0;
    this.#finish(cancelled(why, "unknown", cause));
  }

  #finish(outcome: ImageResult | ImageGenError): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome instanceof ImageGenError ? withIds(outcome, this.generationId, this.requestId) : outcome;
    this.#unlisten();
    dropped.unregister(this);
  }

  /** Leave when `signal` is aborted. It holds nothing but a weak reference: it may live longer than the stream. */
  #listen(signal: AbortSignal | undefined): () => void {
    if (signal === undefined) return () => {};
    const self = new WeakRef(this);
    const onAbort = () => {
      const stream = self.deref();
      if (stream === undefined) return;
      stream.#end("the call's signal was aborted", signal.reason);
      void stream.close();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    return () => signal.removeEventListener("abort", onAbort);
  }
}
