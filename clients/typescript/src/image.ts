import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { maxImageBytes } from "./bytes.js";
import type { GeneratedImage as GeneratedImageMessage, Image as ImageMessage } from "./gen/imagegen/v1/image_pb.js";
import { type ImageSource, ImageSourceSchema } from "./gen/imagegen/v1/image_pb.js";
import type { Metadata } from "./params.js";
import { platform } from "./platform.js";

const suffixes: Readonly<Record<string, string>> = {
  "image/png": ".png",
  "image/jpeg": ".jpg",
  "image/webp": ".webp",
  "image/gif": ".gif",
  "image/avif": ".avif",
  "image/svg+xml": ".svg",
  "image/bmp": ".bmp",
  "image/tiff": ".tiff",
};

/** What can be known of an image. A fact that nobody told is absent, never guessed. */
export interface ImageFacts {
  /** Such as "image/png". In a result: read from the bytes by the server. In an image of your own: a hint. */
  readonly mediaType?: string | undefined;
  /** In pixels. */
  readonly width?: number | undefined;
  /** In pixels. */
  readonly height?: number | undefined;
  /** Length of the whole image in bytes, also when its bytes are elsewhere. */
  readonly sizeBytes?: number | undefined;
  /** SHA-256 of the whole image, 64 lowercase hex digits. Absent on previews and images of your own. */
  readonly sha256?: string | undefined;
  /** The server's name for a finished image, good until `expireTime`. */
  readonly imageId?: string | undefined;
  /** When the server forgets the image. */
  readonly expireTime?: Date | undefined;
  /** Where the server is to fetch the image. */
  readonly url?: string | undefined;
  /** The bytes, if they are here. */
  readonly data?: Uint8Array | undefined;
}

/**
 * An image: bytes, or a reference to bytes elsewhere.
 *
 * Make one with `Image.fromFile`, `fromBytes`, `fromUrl` or `fromId`; those in a result are made by the client.
 */
export class Image implements ImageFacts {
  readonly mediaType: string | undefined;
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly sizeBytes: number | undefined;
  readonly sha256: string | undefined;
  readonly imageId: string | undefined;
  readonly expireTime: Date | undefined;
  readonly url: string | undefined;
  readonly data: Uint8Array | undefined;

  /** Images are made by the functions below, and by the client. */
  constructor(facts: ImageFacts) {
    this.mediaType = facts.mediaType;
    this.width = facts.width;
    this.height = facts.height;
    this.sizeBytes = facts.sizeBytes;
    this.sha256 = facts.sha256;
    this.imageId = facts.imageId;
    this.expireTime = facts.expireTime;
    this.url = facts.url;
    // Not enumerable: nobody wants to see megabytes in a log.
    Object.defineProperty(this, "data", { value: facts.data, enumerable: false });
  }

  /**
   * Read a file.
   *
   * @throws RangeError: it is empty or larger than 64 MiB. What the file system says is thrown as it is.
   */
  static async fromFile(path: string): Promise<Image> {
    return Image.fromBytes(await platform().read(path));
  }

  /**
   * Take the bytes of an image file (PNG, JPEG, WebP or GIF). They are not copied. `mediaType` is a hint.
   *
   * @throws RangeError: there are no bytes, or more than 64 MiB.
   */
  static fromBytes(data: Uint8Array, mediaType?: string): Image {
    if (data.length === 0) throw new RangeError("an image cannot be empty");
    if (data.length > maxImageBytes) {
      throw new RangeError(`the image has ${data.length} bytes; the limit is ${maxImageBytes} (64 MiB)`);
    }
    return new Image({ data, sizeBytes: data.length, mediaType });
  }

  /**
   * Refer to an image at an http or https address of a public host. The server fetches it.
   *
   * @throws TypeError: the address is empty.
   */
  static fromUrl(url: string | URL, mediaType?: string): Image {
    if (String(url) === "") throw new TypeError("the address of an image cannot be empty");
    return new Image({ url: String(url), mediaType });
  }

  /**
   * Refer to an image that the server keeps: an upload or an earlier result of the same caller.
   *
   * @throws TypeError: the id is empty.
   */
  static fromId(imageId: string): Image {
    if (imageId === "") throw new TypeError("an image id cannot be empty");
    return new Image({ imageId });
  }

  /** Whether the bytes are here. */
  get hasBytes(): boolean {
    return this.data !== undefined;
  }

  /**
   * The whole file. Not to be changed: they are not copied.
   *
   * @throws TypeError: the bytes are elsewhere: at a URL, or at the server (`client.read(image)` fetches them).
   */
  get bytes(): Uint8Array {
    if (this.data === undefined) throw new TypeError(whereBytesAre(this));
    return this.data;
  }

  /**
   * The image as a `data:` URL, for HTML and JSON.
   *
   * @throws TypeError: the bytes are elsewhere.
   */
  dataUrl(): string {
    const { bytes } = this;
    let binary = "";
    for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return `data:${this.mediaType ?? "application/octet-stream"};base64,${btoa(binary)}`;
  }

  /**
   * Write the image to a file, and return the path written.
   *
   * A name without a suffix gets that of the media type ("harbour" becomes "harbour.png"). The file appears whole or
   * not at all: it is written beside its place and then moved there. A pipe or a device is written to directly.
   *
   * @throws TypeError: the bytes are elsewhere. What the file system says is thrown as it is.
   */
  async save(path: string): Promise<string> {
    return await platform().write(path, this.bytes, suffixes[this.mediaType ?? ""] ?? "");
  }

  /** The same with other facts. @internal */
  with(facts: ImageFacts): this {
    const copy: this = Object.create(Object.getPrototypeOf(this), Object.getOwnPropertyDescriptors(this));
    for (const [name, value] of Object.entries(facts)) {
      Object.defineProperty(copy, name, { value, enumerable: name !== "data" });
    }
    return copy;
  }
}

/** A finished image of a generation: an `Image` with what is known of its making. */
export class GeneratedImage extends Image {
  /** 0-based, below the count asked for; the same in all events and in the result. */
  readonly index: number;
  /** The prompt as rewritten by the provider. */
  readonly revisedPrompt: string | undefined;
  /** As used. */
  readonly seed: bigint | undefined;
  /** What else the provider said of this image, by provider name. */
  readonly metadata: Metadata;

  /** Made by the client. `data`: the bytes, if they came, which is apart from the facts. */
  constructor(made: GeneratedImageMessage, data?: Uint8Array) {
    super(factsOf(made.image, data));
    this.index = made.index;
    this.revisedPrompt = made.revisedPrompt;
    this.seed = made.seed;
    this.metadata = made.metadata;
  }
}

/** What the server told of an image. `data`: the bytes, if they came, which is apart from the facts. */
export function factsOf(image: ImageMessage | undefined, data?: Uint8Array): ImageFacts {
  if (image === undefined) return { data };
  return {
    mediaType: image.mediaType || undefined,
    width: image.width,
    height: image.height,
    sizeBytes: image.sizeBytes || undefined,
    sha256: image.sha256 || undefined,
    imageId: image.imageId || undefined,
    expireTime: image.expireTime && timestampDate(image.expireTime),
    data, // never those beside the facts: nobody has checked them
  };
}

/**
 * What a request carries for an image: its bytes if they are here, else its id, else its address.
 *
 * @throws TypeError: the image has none of the three.
 */
export function imageSource(image: Image): ImageSource {
  if (!(image instanceof Image))
    throw new TypeError("an image is made with Image.fromFile, fromBytes, fromUrl or fromId");
  const source = sourceOf(image);
  if (source === undefined) {
    throw new TypeError("this image has no bytes, no id and no URL, so it cannot be given to the server");
  }
  const metadata = image instanceof GeneratedImage && source.case !== "imageId" ? image.metadata : {};
  return create(ImageSourceSchema, { mediaType: image.mediaType ?? "", metadata, source });
}

function whereBytesAre(image: Image): string {
  if (image.imageId !== undefined) {
    return `the bytes of image ${image.imageId} are at the server: fetch them with client.read(image)`;
  }
  if (image.url !== undefined) return "the bytes of this image are at its URL, and only the server fetches them";
  return "this image came without bytes: previews delivered by reference have facts only";
}

function sourceOf(image: Image) {
  if (image.data !== undefined) return { case: "data", value: image.data } as const;
  if (image.imageId !== undefined) return { case: "imageId", value: image.imageId } as const;
  if (image.url !== undefined) return { case: "url", value: image.url } as const;
  return undefined;
}
