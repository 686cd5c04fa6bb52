import type { Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { readAddress } from "./address.js";
import { maxImageBytes } from "./bytes.js";
import { Client } from "./client.js";
import { Connection } from "./connection.js";
import { retryFree } from "./retry.js";
import { Session } from "./session.js";
import { Sockets, type TlsOptions } from "./sockets.js";
import { version } from "./version.js";

const headroomBytes = 1024 * 1024; // facts and framing around the largest image
const pingIntervalMs = 30_000;
const pingTimeoutMs = 10_000;

export type { TlsOptions };

/** How to connect. */
export interface ConnectOptions {
  /** true: TLS with Node's roots. Options: with roots (`ca`) or a client certificate of your own. Unset: clear text. */
  readonly tls?: boolean | TlsOptions | undefined;
  /** Sent with every call as `authorization: Bearer`, over TLS or to this machine only. */
  readonly token?: string | undefined;
  /** Milliseconds for each call that has no limit of its own. Unset: as long as it takes. */
  readonly timeoutMs?: number | undefined;
}

/**
 * A client of the server at `address`: "host:port" or "unix:/path". Nothing is sent yet: the connection is made on first
 * use, and again after it was lost.
 *
 * Without an address it is that of the environment variable IMAGEGEN_ADDRESS, else "127.0.0.1:50051".
 *
 * @throws TypeError: the address is a URL or has no port, or the token would travel in clear text beyond this machine.
 */
export function connect(address?: string, options: ConnectOptions = {}): Client {
  const where = readAddress(address);
  const { tls = false, token, timeoutMs } = options;
  if (token !== undefined && !tls && !where.local) {
    throw new TypeError(`a token for ${where.text} would travel in clear text: use TLS, or a server on this machine`);
  }
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new TypeError("the token has characters that no header can carry");
  }
  const baseUrl = `${tls ? "https" : "http"}://${where.authority}`;
  const pings = { pingIntervalMs, pingTimeoutMs, pingIdleConnection: false };
  const sockets = new Sockets(where, tls === true ? {} : tls || undefined);
  // As wide as one picture's piece needs for a line with a long way.
  const settings = { initialWindowSize: 1024 * 1024, enablePush: false };
  const manager = new Http2SessionManager(baseUrl, pings, { settings, createConnection: () => sockets.connect() });
  const session = new Session(manager, sockets);
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager: session,
    readMaxBytes: maxImageBytes + headroomBytes,
    interceptors: [introduce(token), retryFree],
  });
  return new Client(where.text, new Connection(transport, session, timeoutMs));
}

/** Says who calls. */
function introduce(token: string | undefined): Interceptor {
  return (next) => (request) => {
    request.header.set("user-agent", `imagegen-typescript/${version}`);
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}
