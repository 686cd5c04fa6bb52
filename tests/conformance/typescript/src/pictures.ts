import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { GeneratedImage, type Image, type ImageResult } from "@imagegen/client";
import {
  type GeneratedImage as GeneratedImageMessage,
  GeneratedImageSchema,
  type Image as ImageMessage,
  type ImageResult as ImageResultMessage,
  ImageResultSchema,
  ImageSchema,
} from "@imagegen/client/v1/image_pb.js";
import { type Picture, PictureSchema } from "./conformance/v1/driver_pb.js";

/** Bytes in hand, counted and hashed. */
export function picture(bytes: Uint8Array | undefined, told: MessageInitShape<typeof PictureSchema>): Picture {
  const counted = create(PictureSchema, told);
  if (bytes === undefined || bytes.length === 0) return counted;
  counted.sizeBytes = bytes.length;
  counted.sha256 = createHash("sha256").update(bytes).digest("hex");
  return counted;
}

/** An image that the helper handed out. */
export function pictureOf(image: Image, told: MessageInitShape<typeof PictureSchema> = {}): Picture {
  const made =
    image instanceof GeneratedImage ? madeOf(image) : create(GeneratedImageSchema, { image: factsOf(image) });
  const index = image instanceof GeneratedImage ? image.index : 0;
  return picture(image.data, { index, mediaType: image.mediaType ?? "", made, ...told });
}

/** The facts of an image that the helper handed out. */
export function factsOf(image: Image): ImageMessage {
  return create(ImageSchema, {
    imageId: image.imageId ?? "",
    mediaType: image.mediaType ?? "",
    sizeBytes: image.sizeBytes ?? 0,
    sha256: image.sha256 ?? "",
    ...(image.width !== undefined && { width: image.width }),
    ...(image.height !== undefined && { height: image.height }),
    ...(image.expireTime !== undefined && { expireTime: timestampFromDate(image.expireTime) }),
  });
}

/** A result of the helper, as the API has it. */
export function resultOf(result: ImageResult): ImageResultMessage {
  const { generationId, requestId, model, failures, warnings, attempts, metadata, usage } = result;
  return create(ImageResultSchema, {
    ...{ generationId, requestId, model, metadata },
    ...{ failures: [...failures], warnings: [...warnings], attempts: [...attempts] },
    images: result.images.map(madeOf),
    ...(usage !== undefined && { usage }),
  });
}

/** `made` without bytes. */
export function withoutData(made: GeneratedImageMessage): GeneratedImageMessage {
  return { ...made, ...(made.image !== undefined && { image: { ...made.image, data: new Uint8Array() } }) };
}

function madeOf(image: GeneratedImage): GeneratedImageMessage {
  return create(GeneratedImageSchema, {
    index: image.index,
    image: factsOf(image),
    metadata: image.metadata,
    ...(image.revisedPrompt !== undefined && { revisedPrompt: image.revisedPrompt }),
    ...(image.seed !== undefined && { seed: image.seed }),
  });
}
