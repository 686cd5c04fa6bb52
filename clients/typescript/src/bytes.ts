import { invalidResponse } from "./errors.js";
import type { Image } from "./gen/imagegen/v1/image_pb.js";
import { type Digest, platform } from "./platform.js";

/** The largest image that the API carries: 64 MiB. */
export const maxImageBytes = 64 * 1024 * 1024;

/** Bytes of one image that arrive in order, in pieces of any length, and are checked at the end. */
export class ByteRun {
  readonly #facts: Image;
  readonly #digest: Digest | undefined;
  readonly #call: { free?: boolean };
  #bytes: Uint8Array | undefined;
  #received = 0;

  /**
   * Expect the image that `facts` tells of. `free`: it comes by a call that costs nothing.
   *
   * @throws ImageGenError INVALID_RESPONSE: it has no size, or is larger than the API allows.
   */
  constructor(facts: Image | undefined, call: { free?: boolean } = {}) {
    this.#call = call;
    const size = facts?.sizeBytes ?? 0;
    if (facts === undefined || size === 0 || size > maxImageBytes) {
      throw invalidResponse(`the server told of an image of ${size} bytes`, call);
    }
    this.#facts = facts;
    this.#digest = facts.sha256 === "" ? undefined : platform().sha256();
  }

  /** Bytes so far: where the next piece must start. */
  get received(): number {
    return this.#received;
  }

  /** Whether nothing is missing. */
  get whole(): boolean {
    return this.#received === this.#facts.sizeBytes;
  }

  /**
   * Take the next piece.
   *
   * @throws ImageGenError INVALID_RESPONSE: it does not follow the piece before, or is more than the image has.
   */
  append(offset: number, data: Uint8Array): void {
    const size = this.#facts.sizeBytes;
    if (offset !== this.#received) {
      throw invalidResponse(
        `a piece of the image starts at byte ${offset} where byte ${this.#received} was due`,
        this.#call,
      );
    }
    if (offset + data.length > size) {
      throw invalidResponse(`the image is longer than the ${size} bytes that the server told`, this.#call);
    }
    // Of the size that was told, and only when bytes have come. The system gives it memory as it is written to.
    this.#bytes ??= new Uint8Array(size);
    this.#bytes.set(data, offset);
    this.#digest?.update(data);
    this.#received += data.length;
  }

  /**
   * All bytes, checked against size and, where the server told one, SHA-256. Ends the run.
   *
   * @throws ImageGenError INVALID_RESPONSE: bytes are missing, or are not those that the server told of.
   */
  join(): Uint8Array {
    if (this.#bytes === undefined || !this.whole) {
      throw invalidResponse(`the image ended after ${this.#received} of ${this.#facts.sizeBytes} bytes`, this.#call);
    }
    if (this.#digest !== undefined && this.#digest.hex() !== this.#facts.sha256) {
      throw invalidResponse("the bytes of the image do not have the SHA-256 that the server told", this.#call);
    }
    return this.#bytes;
  }
}
