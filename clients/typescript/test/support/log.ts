// A generation as the server keeps it: a log that breaks under its readers and can be read on.

import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { ImageStreamEvent } from "@imagegen/client/v1/image_stream_pb.js";
import * as e from "./events.js";
import type { FakeServer } from "./server.js";

export const large = e.picture(2000);
export const small = e.picture(300, 1);

/** Everything that a stream can have. */
export function longLog(): ImageStreamEvent[] {
  return e.numbered([
    ...[e.started(), e.progress(), ...e.preview(e.picture(700, 2)), ...e.preview(e.picture(100, 3), 0, 2)],
    ...[...e.complete(large), e.progress(), ...e.complete(small, 1)],
    ...[e.event({ event: { case: "failure", value: e.failure(2) } }), e.result(large, small)],
  ]);
}

/** How a stream breaks: by a status that no server words, or by an end without one. */
export type Break = (context: HandlerContext) => void | Promise<void>;

export function bare(code: Code): Break {
  return () => {
    throw new ConnectError("broke", code);
  };
}

/** Plays a log, and breaks it before the event at each of the given places, once each. */
export class FakeLog {
  readonly resumedAfter: number[] = [];
  readonly ids = new Set<string>();
  calls = 0;
  readonly #breaks: number[];
  readonly #end: Break;
  readonly events: ImageStreamEvent[];

  constructor(server: FakeServer, events: ImageStreamEvent[], breaks: number[], end: Break = bare(Code.Unavailable)) {
    this.events = events;
    this.#breaks = [...breaks];
    this.#end = end;
    server.stream = (request, context) => {
      this.calls += 1;
      this.ids.add(request.requestId ?? "");
      return this.#play(0, context);
    };
    server.resume = (request, context) => {
      this.resumedAfter.push(request.afterSequence);
      return this.#play(request.afterSequence, context);
    };
  }

  /** Different generations that were bought: the same id again buys nothing. */
  get purchases(): number {
    return this.ids.size;
  }

  async *#play(after: number, context: HandlerContext): AsyncGenerator<ImageStreamEvent> {
    for (const [at, event] of this.events.entries()) {
      if (event.sequence <= after) continue;
      if (this.#breaksAt(at)) return await this.#end(context);
      yield event;
    }
    if (this.#breaksAt(this.events.length)) await this.#end(context);
  }

  #breaksAt(at: number): boolean {
    const breaks = this.#breaks[0] === at;
    if (breaks) this.#breaks.shift();
    return breaks;
  }
}
