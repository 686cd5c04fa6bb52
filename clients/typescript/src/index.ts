/**
 * Client of imagegen: one typed gRPC API in front of every image model.
 *
 * Begin with {@link connect}. The generated messages and services are in `@imagegen/client/v1/*.js`.
 *
 * @module
 */
import { nodePlatform } from "./node_platform.js";
import { usePlatform } from "./platform.js";

usePlatform(nodePlatform);

export { Code } from "@connectrpc/connect";
export { ModelList } from "./catalogue.js";
export { Client } from "./client.js";
export { type ConnectOptions, connect, type TlsOptions } from "./connect.js";
export type { Limits } from "./connection.js";
export { type ErrorFacts, type FieldViolation, ImageGenError } from "./errors.js";
export type { CompleteEvent, FailedEvent, ImageEvent, PreviewEvent, ProgressEvent, StartedEvent } from "./events.js";
export { GeneratedImage, Image, type ImageFacts } from "./image.js";
export { ImageModel } from "./model.js";
export type { JsonInput, Metadata, Params } from "./params.js";
export { type BilledWord, type Reason, reasonName } from "./reason.js";
export { ImageResult } from "./result.js";
export type {
  CallSettings,
  DeliveryMode,
  EditSettings,
  GenerationName,
  ImageOptions,
  ModelSettings,
  OnDisconnect,
  ResumeSettings,
} from "./settings.js";
export { ImageStream } from "./stream.js";
export { version } from "./version.js";
