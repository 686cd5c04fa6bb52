import { Backoff, pause } from "./backoff.js";
import type { Connection, Deadline, Limits } from "./connection.js";
import { cancelled, connectionBroke, type ImageGenError, invalidResponse } from "./errors.js";
import type { UploadImageResponse } from "./gen/imagegen/v1/image_service_pb.js";
import { factsOf, type Image } from "./image.js";
import { platform } from "./platform.js";

/** Bytes of one piece: with what goes around it, it stays under the 1 MB that proxies take by default. */
const pieceBytes = 786_432;
const never = new AbortController().signal;

/** A reference to `image` at the server, after giving it what it did not have yet. */
export async function uploadImage<I extends Image>(connection: Connection, image: I, limits: Limits): Promise<I> {
  const { bytes } = image;
  const digest = platform().sha256();
  digest.update(bytes);
  const upload = new Upload(connection, bytes, digest.hex(), limits.signal, connection.deadline(limits));
  const { mediaType, width, height, sizeBytes, sha256, imageId, expireTime } = factsOf((await upload.run()).image);
  if (sha256 !== upload.sha256 || imageId === undefined) {
    throw invalidResponse("the server told of another image than the one that was uploaded", { free: true });
  }
  return image.with({
    mediaType,
    width,
    height,
    sizeBytes,
    sha256,
    imageId,
    expireTime,
    url: undefined,
    data: undefined,
  });
}

class Upload {
  readonly sha256: string;
  readonly #connection: Connection;
  readonly #bytes: Uint8Array;
  readonly #signal: AbortSignal | undefined;
  readonly #deadline: Deadline;
  readonly #backoff = new Backoff();

  constructor(
    connection: Connection,
    bytes: Uint8Array,
    sha256: string,
    signal: AbortSignal | undefined,
    deadline: Deadline,
  ) {
    this.#connection = connection;
    this.#bytes = bytes;
    this.sha256 = sha256;
    this.#signal = signal;
    this.#deadline = deadline;
  }

  /** Ask how much is there and send the rest; where the connection breaks, ask again. */
  async run(): Promise<UploadImageResponse> {
    let answer = await this.#send(0, 0);
    while (answer.image === undefined) {
      const offset = answer.committedBytes;
      if (offset >= this.#bytes.length)
        throw invalidResponse("the server has the whole upload and tells of no image", { free: true });
      answer = await this.#send(offset, pieceBytes);
      if (answer.committedBytes > offset) this.#backoff.renew();
      else if (answer.image === undefined)
        await this.#wait(invalidResponse("the server takes no more of the upload", { free: true }));
    }
    return answer;
  }

  /** Send `length` bytes from `offset` on; none asks what is there. */
  async #send(offset: number, length: number): Promise<UploadImageResponse> {
    const { images } = this.#connection;
    let [from, to] = [offset, offset + length];
    for (;;) {
      const { sha256 } = this;
      const request = { sha256, sizeBytes: this.#bytes.length, offset: from, data: this.#bytes.subarray(from, to) };
      try {
        const limits: Limits = { signal: this.#signal };
        return await this.#connection.ask((options) => images.uploadImage(request, options), limits, this.#deadline);
      } catch (cause) {
        const error = cause as ImageGenError;
        if (this.#signal?.aborted || this.#connection.closed || !connectionBroke(error)) throw error;
        await this.#wait(error);
      }
      [from, to] = [0, 0]; // the piece may have arrived: ask
    }
  }

  async #wait(error: ImageGenError): Promise<void> {
    const delayMs = this.#backoff.next();
    if (delayMs === undefined) throw error;
    await pause(this.#deadline.within(delayMs), this.#signal ?? never);
    if (this.#signal?.aborted) throw cancelled("the call's signal was aborted", "no", this.#signal.reason);
  }
}
