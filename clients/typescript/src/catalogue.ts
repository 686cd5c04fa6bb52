import { create } from "@bufbuild/protobuf";
import type { Connection, Limits } from "./connection.js";
import { invalidResponse } from "./errors.js";
import { ListModelsRequestSchema, type Model, type UnreachableProvider } from "./gen/imagegen/v1/model_service_pb.js";

/** The models that the caller may use, ordered by name. Each iteration asks the server anew, page by page. */
export class ModelList implements AsyncIterable<Model> {
  readonly #connection: Connection;
  readonly #provider: string;
  readonly #limits: Limits;
  #unreachable: readonly UnreachableProvider[] = [];

  /** Lists are made by the client. */
  constructor(connection: Connection, provider: string, limits: Limits) {
    this.#connection = connection;
    this.#provider = provider;
    this.#limits = limits;
  }

  /** Providers whose models are missing from the pages read so far. Known from the first model on. */
  get unreachable(): readonly UnreachableProvider[] {
    return this.#unreachable;
  }

  /** Each model. Throws `ImageGenError` if a page cannot be had. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Model, void, undefined> {
    const { models } = this.#connection;
    const request = create(ListModelsRequestSchema, { provider: this.#provider });
    do {
      const page = await this.#connection.ask((options) => models.listModels(request, options), this.#limits);
      this.#unreachable = page.unreachable;
      yield* page.models;
      request.pageToken = page.nextPageToken;
    } while (request.pageToken !== "");
  }
}

/** One model, or the first candidate of an alias. */
export async function getModel(connection: Connection, name: string, limits: Limits): Promise<Model> {
  const { model } = await connection.ask((options) => connection.models.getModel({ model: name }, options), limits);
  if (model === undefined) throw invalidResponse(`the server answered without the model ${name}`, { free: true });
  return model;
}
