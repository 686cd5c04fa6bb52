// What the client needs of the machine that it runs on. The rest of the client is free of Node.

/** A digest that is fed piece by piece. */
export interface Digest {
  /** Take the next bytes. */
  update(data: Uint8Array): void;
  /** The digest of all bytes, as lowercase hex digits. Ends it. */
  hex(): string;
}

/** Digests and files. */
export interface Platform {
  /** A new SHA-256. */
  sha256(): Digest;
  /** Read a whole file. */
  read(path: string): Promise<Uint8Array>;
  /** Write a file whole or not at all; a name without a suffix gets `suffix`. Returns the path written. */
  write(path: string, data: Uint8Array, suffix: string): Promise<string>;
}

let current: Platform | undefined;

/** Say what to use. The package's entry point does it. */
export function usePlatform(platform: Platform): void {
  current = platform;
}

/** What is in use. */
export function platform(): Platform {
  if (current === undefined) throw new Error("the entry point of @imagegen/client was not imported");
  return current;
}
