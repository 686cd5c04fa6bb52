import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, decodeBinaryHeader } from "@connectrpc/connect";
import type { Http2SessionManager } from "@connectrpc/connect-node";
import { pause } from "./backoff.js";
import { NeverConnected } from "./errors.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";
import type { Sockets } from "./sockets.js";

const detailsKey = "grpc-status-details-bin";
// What a reader may be behind of, for a line with a long way: Node's own 64 KiB would be the limit of each round trip.
const windowBytes = 8 * 1024 * 1024;
// After a goodbye Node waits for that of the other side, which may not be there any more.
const goodbyeMs = 1000;

/** An HTTP/2 connection, made on first use and again when it was lost, that tells how it was lost. */
export class Session {
  readonly authority: string;
  readonly #manager: Http2SessionManager;
  readonly #open = new Set<Http2Session>();
  readonly #sockets: Sockets;
  #closed = false;

  constructor(manager: Http2SessionManager, sockets: Sockets) {
    this.#manager = manager;
    this.#sockets = sockets;
    this.authority = manager.authority;
  }

  /** Begin a call. What fails here was never sent. */
  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: Parameters<Http2SessionManager["request"]>[3],
  ): Promise<ClientHttp2Stream> {
    const stream = await this.#begin(method, path, headers, options);
    const { session } = stream;
    this.#keepWhole(stream);
    // These listeners are the first, so that those of connect see what they leave behind.
    stream.on("response", tidy);
    stream.on("trailers", tidy);
    stream.once("error", (error) => {
      // connect takes Node's own error for a fault of the server.
      if (error instanceof ConnectError || stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM) return;
      stream.emit("error", new ConnectError("the server did not take the call", Code.Unavailable));
    });
    if (session !== undefined) {
      this.#use(session);
      stream.once("close", () => {
        if (this.#closed || !session.destroyed || stream.readableEnded) return;
        stream.emit("error", new ConnectError("the connection was lost", Code.Unavailable));
      });
    }
    return stream;
  }

  /** Tell that bytes came: no ping is needed. */
  notifyResponseByteRead(stream: ClientHttp2Stream): void {
    this.#manager.notifyResponseByteRead(stream);
  }

  /** Resolves when what was said so far, such as that a call is given up, is on its way. */
  async flush(): Promise<void> {
    // Node hands frames to the socket at the end of a turn; what happened in this turn may come to pass in the next.
    await nextTurn();
    await nextTurn();
  }

  /** End all calls and the connection, for good. Resolves when the other side has been told. */
  async close(): Promise<void> {
    this.#closed = true;
    const open = [...this.#open];
    const gone = open.map((session) => new Promise((done) => session.once("close", done)));
    await this.flush();
    this.#manager.abort(closed());
    const done = new AbortController();
    const all = Promise.all(gone).then(() => done.abort());
    await Promise.race([all, pause(goodbyeMs, done.signal)]);
    this.#sockets.destroy();
  }

  async #begin(...call: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    if (this.#closed) throw closed();
    try {
      return await this.#manager.request(...call);
    } catch (error) {
      if (this.#closed) throw closed();
      const why = error instanceof ConnectError ? error.rawMessage : String(error);
      const cause = new NeverConnected(why, { cause: error });
      throw new ConnectError(
        `cannot connect: ${why || "no reason was told"}`,
        Code.Unavailable,
        undefined,
        undefined,
        cause,
      );
    }
  }

  /**
   * Let an answer that came whole be read to its end: Node drops what nobody has read yet when the connection is lost.
   * How much that may be is up to flow control, as always.
   */
  #keepWhole(stream: ClientHttp2Stream): void {
    const destroy = stream.destroy.bind(stream);
    stream.destroy = (error) => {
      const whole = stream.closed && stream.rstCode === constants.NGHTTP2_NO_ERROR;
      if (!whole || stream.readableEnded || this.#closed) return destroy(error);
      return stream.once("end", () => destroy());
    };
  }

  #use(session: Http2Session): void {
    if (this.#open.has(session)) return;
    this.#open.add(session);
    session.once("close", () => this.#open.delete(session));
    // connect gives a session up before its last error has come, and an error that nobody hears ends the program.
    session.on("error", () => {});
    (session as ClientHttp2Session).setLocalWindowSize(windowBytes);
  }
}

function closed(): ConnectError {
  return new ConnectError("the client is closed", Code.Canceled);
}

/**
 * Takes out of a status what connect would stumble over: details that are garbled or belong to another failure (it
 * believes them more than the status itself), and a message that is not percent-encoded.
 */
function tidy(headers: IncomingHttpHeaders): void {
  const details = headers[detailsKey];
  if (details !== undefined && detailsCode(String(details)) !== Number(headers["grpc-status"]))
    delete headers[detailsKey];
  const message = headers["grpc-message"];
  if (message !== undefined && !isPercentEncoded(String(message))) {
    headers["grpc-message"] = String(message).replaceAll("%", "%25");
  }
}

function detailsCode(details: string): number | undefined {
  try {
    const { code } = fromBinary(StatusSchema, decodeBinaryHeader(details));
    return code === 0 ? undefined : code;
  } catch {
    return undefined;
  }
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
