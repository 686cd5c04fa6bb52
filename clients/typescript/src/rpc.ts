import type { CallLimits, Deadline } from "./connection.js";

// For the end of a call behind its last message.
const lingerMs = 1000;

/** What a generated stub takes for a stream. */
export type StreamOptions = CallLimits & { onHeader: (header: Headers) => void };

/** One call that is answered by a stream of messages. */
export class Rpc<T> {
  readonly #controller = new AbortController();
  readonly #messages: AsyncIterator<T>;
  #next: Promise<IteratorResult<T>> | undefined;
  /** The initial metadata, once it was received. */
  header: Headers | undefined;
  /** Nothing was received over it. */
  fresh = true;

  /** Begin. One message is asked for at once: flow control holds back the others until they are read. */
  constructor(begin: (options: StreamOptions) => AsyncIterable<T>, deadline: Deadline) {
    const onHeader = (header: Headers) => {
      this.header = header;
    };
    const options = { ...deadline.limit(), signal: this.#controller.signal, onHeader };
    this.#messages = begin(options)[Symbol.asyncIterator]();
    this.#next = this.#messages.next();
    this.#next.catch(() => {}); // seen: there may be nobody who waits
  }

  /** The next message; `undefined` at the good end. Rejects with what connect says. */
  async receive(): Promise<T | undefined> {
    const next = this.#next ?? this.#messages.next();
    this.#next = undefined;
    const { done, value } = await next;
    return done ? undefined : value;
  }

  /** End it. */
  cancel(): void {
    this.#controller.abort();
    this.#messages.next().catch(() => {}); // connect clears the timer of the time limit when somebody sees the end
  }

  /** Take the good end that follows the last message, so that the server sees one too. */
  finish(): void {
    const timer = setTimeout(() => this.cancel(), lingerMs);
    const ended = () => clearTimeout(timer);
    this.#messages.next().then(ended, ended);
  }
}
