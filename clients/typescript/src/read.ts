import { Code } from "@connectrpc/connect";
import { ByteRun } from "./bytes.js";
import type { Connection, Deadline, Limits } from "./connection.js";
import { connectionBroke, errorFromCall, type ImageGenError, invalidResponse } from "./errors.js";
import type { Image as ImageMessage } from "./gen/imagegen/v1/image_pb.js";
import type { ReadImageResponse } from "./gen/imagegen/v1/image_service_pb.js";
import { factsOf, type Image } from "./image.js";
import { Rpc } from "./rpc.js";

/** The image with its bytes; one that has them is returned as it is. A read that breaks is resumed once. */
export async function readImage<I extends Image>(connection: Connection, image: I, limits: Limits): Promise<I> {
  if (image.hasBytes) return image;
  if (image.imageId === undefined)
    throw new TypeError("this image has no id by which the server could hand out its bytes");
  const reading = new Reading(connection, image.imageId, limits.signal, connection.deadline(limits));
  try {
    await reading.advance();
  } catch (error) {
    if (limits.signal?.aborted || !broken(error as ImageGenError)) throw error;
    await reading.advance();
  }
  const read = reading.image();
  if (image.sha256 !== undefined && image.sha256 !== read.sha256) {
    throw invalidResponse(`the server handed out other bytes for image ${image.imageId} than it had told of`, {
      free: true,
    });
  }
  const { mediaType, width, height, sizeBytes, sha256, expireTime, data } = read;
  return image.with({ mediaType, width, height, sizeBytes, sha256, expireTime, data });
}

function broken(error: ImageGenError): boolean {
  return error.code === Code.Unavailable || connectionBroke(error);
}

/** The bytes of one image, over one call or two. */
class Reading {
  readonly #connection: Connection;
  readonly #imageId: string;
  readonly #signal: AbortSignal | undefined;
  readonly #deadline: Deadline;
  #facts: ImageMessage | undefined;
  #run: ByteRun | undefined;

  constructor(connection: Connection, imageId: string, signal: AbortSignal | undefined, deadline: Deadline) {
    this.#connection = connection;
    this.#imageId = imageId;
    this.#signal = signal;
    this.#deadline = deadline;
  }

  /** Read from where the bytes end now to the end of the image. */
  async advance(): Promise<void> {
    const { images } = this.#connection;
    const request = { imageId: this.#imageId, offset: this.#run?.received ?? 0 };
    const rpc = new Rpc((options) => images.readImage(request, options), this.#deadline);
    const stop = () => rpc.cancel();
    this.#signal?.addEventListener("abort", stop);
    if (this.#signal?.aborted) stop();
    try {
      for (let piece = await rpc.receive(); piece !== undefined; piece = await rpc.receive()) this.#take(piece);
    } catch (error) {
      throw errorFromCall(error, { free: true });
    } finally {
      this.#signal?.removeEventListener("abort", stop);
      stop(); // also when it was left in the middle
    }
  }

  /** The whole image. */
  image() {
    if (this.#run === undefined)
      throw invalidResponse(`the server sent nothing of image ${this.#imageId}`, { free: true });
    return factsOf(this.#facts, this.#run.join());
  }

  #take(piece: ReadImageResponse): void {
    if (this.#run === undefined) {
      this.#facts = piece.image;
      this.#run = new ByteRun(piece.image, { free: true });
    } else if (piece.image !== undefined && piece.image.sha256 !== this.#facts?.sha256) {
      throw invalidResponse(`image ${this.#imageId} changed while it was read`, { free: true });
    }
    if (piece.data.length > 0) this.#run.append(piece.offset, piece.data);
  }
}
