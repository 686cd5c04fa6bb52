import { connect as connectSocket, isIP, type Socket } from "node:net";
import { connect as connectTls, type SecureContextOptions } from "node:tls";
import type { Address } from "./address.js";

/** Roots and a client certificate of one's own, as in Node's `tls.createSecureContext`. */
export interface TlsOptions extends SecureContextOptions {
  /** The name that the server's certificate must have. Unset: the host of the address. */
  servername?: string;
}

/** The sockets of one client. */
export class Sockets {
  /** Milliseconds until a connection that does not come about is given up. Node would wait for a handshake for ever. */
  static connectMs = 20_000;
  readonly #where: Address;
  readonly #tls: TlsOptions | undefined;
  readonly #open = new Set<Socket>();

  /** Without `tls` it is clear text. */
  constructor(where: Address, tls: TlsOptions | undefined) {
    this.#where = where;
    this.#tls = tls;
  }

  /** A new one. */
  connect(): Socket {
    const place = this.#place();
    const socket =
      this.#tls === undefined
        ? connectSocket(place)
        : connectTls({ ...this.#name(), ...this.#tls, ...place, ALPNProtocols: ["h2"] });
    const { connectMs } = Sockets;
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${connectMs} ms`)), connectMs);
    this.#open.add(socket);
    socket.once(this.#tls === undefined ? "connect" : "secureConnect", () => clearTimeout(timer));
    socket.once("close", () => {
      clearTimeout(timer);
      this.#open.delete(socket);
    });
    return socket;
  }

  /** End all of them, whatever the other side does. */
  destroy(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #place() {
    const { socketPath, host, port } = this.#where;
    return socketPath === undefined ? { host, port } : { path: socketPath };
  }

  /** Whom to ask for. An address of numbers is no name. */
  #name(): TlsOptions {
    const { host } = this.#where;
    return isIP(host) === 0 ? { servername: host } : {};
  }
}
