import { BlockList, isIP } from "node:net";

/** Where a server listens that was started without configuration. */
const defaultAddress = "127.0.0.1:50051";
/** The environment variable that names the server when the caller does not. */
const addressVariable = "IMAGEGEN_ADDRESS";

const hostAndPort = /^(?:\[(?<v6>[0-9A-Fa-f:.]+)\]|(?<name>[^\s:/?#@[\]\\]+)):(?<port>\d{1,5})$/;
const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Where a server is. */
export interface Address {
  /** As it was given. */
  readonly text: string;
  /** "host:port" as in a URL. */
  readonly authority: string;
  /** The host as a name or as numbers, without brackets. */
  readonly host: string;
  /** The port. 0 for a unix socket. */
  readonly port: number;
  /** The path of a unix socket, if it is one. */
  readonly socketPath: string | undefined;
  /** Whether what is sent there stays on this machine. */
  readonly local: boolean;
}

/**
 * Read an address: the one given, else that of the environment, else the usual one.
 *
 * @throws TypeError: it is a URL, or has no port.
 */
export function readAddress(given: string | undefined): Address {
  const text = given || process.env[addressVariable] || defaultAddress;
  if (text.startsWith("unix:")) return unixSocket(text);
  if (/^https?:\/\//i.test(text)) {
    throw new TypeError(
      `the address is host:port, not a URL: ${JSON.stringify(text)}; TLS is asked for with tls: true`,
    );
  }
  const { v6, name = "", port } = hostAndPort.exec(text)?.groups ?? {};
  const valid = v6 === undefined ? name !== "" : isIP(v6) === 6;
  if (!valid || Number(port) < 1 || Number(port) > 65_535) {
    throw new TypeError(
      `${JSON.stringify(text)} is no address: that is host:port, such as "localhost:50051" or "[::1]:50051"`,
    );
  }
  // A name beyond ASCII is put as the domain name system has it.
  const host = v6 ?? new URL(`http://${text}`).hostname;
  return { text, authority: text, host, port: Number(port), socketPath: undefined, local: isLoopback(v6 ?? name) };
}

function unixSocket(text: string): Address {
  const socketPath = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
  if (socketPath === "")
    throw new TypeError(`${JSON.stringify(text)} names no socket: that is "unix:/run/imagegen.sock"`);
  return { text, authority: "localhost", host: "localhost", port: 0, socketPath, local: true };
}

function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host.toLowerCase() === "localhost";
  return loopback.check(host, version === 4 ? "ipv4" : "ipv6");
}
