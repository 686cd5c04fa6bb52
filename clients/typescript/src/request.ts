import {
  create,
  type DescMessage,
  isFieldSet,
  type JsonObject,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import {
  type Delivery,
  DeliveryMode as DeliveryModeValue,
  DeliverySchema,
  type ImageOptions as ImageOptionsMessage,
  ImageOptionsSchema,
  OnDisconnect as OnDisconnectValue,
} from "./gen/imagegen/v1/image_pb.js";
import {
  type EditRequest,
  EditRequestSchema,
  type GenerateRequest,
  GenerateRequestSchema,
} from "./gen/imagegen/v1/image_service_pb.js";
import { imageSource } from "./image.js";
import { copyParams, mergeParams } from "./params.js";
import type { CallSettings, DeliveryMode, EditSettings, GenerationName, ImageOptions } from "./settings.js";

const deliveries = { inline: DeliveryModeValue.INLINE, reference: DeliveryModeValue.REFERENCE };
const departures = { cancel: OnDisconnectValue.CANCEL, detach: OnDisconnectValue.DETACH };

/** How a generation outlives its call. */
export interface Lifetime {
  /** A broken stream is read on. */
  readonly resumable: boolean;
  /** It may run on at the server without this reader: stopping it takes a Cancel. */
  readonly shared: boolean;
  /** Nobody else can know its name, so leaving it stops it. */
  readonly owned: boolean;
}

/** The options that were said: a plain object, of values that can be sent. */
export type SaidOptions = Partial<Omit<ImageOptionsMessage, keyof Message>>;

/** Everything about a call but its prompt and its images. */
export class Wish {
  readonly model: string;
  readonly settings: CallSettings;
  readonly options: SaidOptions;
  readonly params: { [provider: string]: JsonObject };

  /** A wish for a model with nothing else said. */
  constructor(model: string, settings: CallSettings = {}, options: SaidOptions = {}, params: Wish["params"] = {}) {
    this.model = checkedString("model", model);
    this.settings = settings;
    this.options = options;
    this.params = params;
  }

  /**
   * This wish with what a call says laid over it.
   *
   * @throws TypeError or RangeError: a word that there is not, a value that cannot be carried, or a stream that is to be
   * resumed after its end.
   */
  with(said: CallSettings): Wish {
    const settings: CallSettings = { ...this.settings, ...withoutUndefined(said) };
    const { delivery, onDisconnect, resumable } = settings;
    checkDelivery(delivery);
    if (onDisconnect !== undefined && !Object.hasOwn(departures, onDisconnect)) {
      throw new TypeError(`onDisconnect is "cancel" or "detach", not ${JSON.stringify(onDisconnect)}`);
    }
    if (resumable && onDisconnect === "cancel") {
      throw new TypeError('a generation that ends with its connection cannot be resumed: onDisconnect is "cancel"');
    }
    checkWords(settings);
    const options = said.options === undefined ? this.options : { ...this.options, ...saidOptions(said.options) };
    const params = said.params === undefined ? this.params : mergeParams(this.params, copyParams(said.params));
    return new Wish(this.model, settings, options, params);
  }

  /** This wish for a caller who waits for the end only: no previews unless they were asked for. */
  withoutPreviews(): Wish {
    return new Wish(this.model, this.settings, { previewCount: 0, ...this.options }, this.params);
  }

  /** Whether the bytes come with the stream. */
  get chunked(): boolean {
    return this.settings.delivery !== "reference";
  }

  /** How the generation outlives its connection. */
  get lifetime(): Lifetime {
    const { resumable = false, requestId = "", onDisconnect } = this.settings;
    return {
      resumable,
      shared: resumable || requestId !== "" || onDisconnect === "detach",
      owned: resumable && requestId === "" && onDisconnect === undefined,
    };
  }

  /** The request for new pictures. Throws as `with`. */
  generate(prompt: string): GenerateRequest {
    return create(GenerateRequestSchema, { ...this.#common(), input: { prompt: checkedString("prompt", prompt) } });
  }

  /** The request for changed pictures. Throws as `with`, and for an image without source. */
  edit(prompt: string, { image, images = [], mask }: EditSettings): EditRequest {
    const given = image === undefined ? images : [image, ...images];
    const input = {
      prompt: checkedString("prompt", prompt),
      images: given.map(imageSource),
      ...(mask !== undefined && { mask: imageSource(mask) }),
    };
    return create(EditRequestSchema, { ...this.#common(), input });
  }

  /** What all requests carry: checked by `with`, so that it need not be looked at again. */
  #common() {
    const { strict = false, delivery, requestId, onDisconnect } = this.settings;
    const { fallbackModels, retryAmbiguous, fallbackOnContentFiltered } = this.settings;
    const unsaid =
      fallbackModels === undefined && retryAmbiguous === undefined && fallbackOnContentFiltered === undefined;
    return {
      model: this.model,
      options: this.options,
      params: this.params,
      strict,
      delivery: deliveryMessage(delivery),
      // What may run on without its reader has a name, so that it can be found again and stopped from the start.
      requestId: requestId || (this.lifetime.shared ? crypto.randomUUID() : ""),
      onDisconnect: onDisconnect === undefined ? OnDisconnectValue.UNSPECIFIED : departures[onDisconnect],
      ...(!unsaid && {
        retry: {
          fallbackModels: [...(fallbackModels ?? [])],
          retryAmbiguous: retryAmbiguous ?? false,
          fallbackOnContentFiltered: fallbackOnContentFiltered ?? false,
        },
      }),
    };
  }
}

/** What a request carries for a delivery. Throws TypeError if there is no such delivery. */
export function deliveryMessage(delivery: DeliveryMode | undefined): Delivery {
  checkDelivery(delivery);
  return create(DeliverySchema, { mode: deliveries[delivery ?? "inline"] });
}

/** The generation that is named, as a request carries it. Throws TypeError unless it is exactly one. */
export function generationCase({ generationId, requestId }: GenerationName) {
  if (Boolean(generationId) === Boolean(requestId)) {
    throw new TypeError("say which generation: by generationId or by requestId");
  }
  return generationId
    ? ({ case: "generationId", value: generationId } as const)
    : ({ case: "requestId", value: requestId ?? "" } as const);
}

/**
 * A message that can be sent: connect would find out too late that it cannot.
 *
 * @throws TypeError, with the field: a value of the wrong type or out of range.
 */
export function checked<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): MessageShape<Desc> {
  try {
    const message = create(schema, init);
    toJson(schema, message); // looks at the types
    toBinary(schema, message); // looks at the ranges
    return message;
  } catch (error) {
    throw new TypeError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function checkedString(name: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`${name} is a string, not ${typeof value}`);
  return value;
}

function checkWords({ requestId, fallbackModels = [], ...flags }: CallSettings): void {
  if (requestId !== undefined) checkedString("requestId", requestId);
  if (!Array.isArray(fallbackModels)) throw new TypeError("fallbackModels is a list of models");
  for (const model of fallbackModels) checkedString("fallbackModels", model);
  for (const name of ["strict", "retryAmbiguous", "fallbackOnContentFiltered"] as const) {
    const value: unknown = flags[name];
    if (value !== undefined && typeof value !== "boolean") throw new TypeError(`${name} is true or false`);
  }
}

function checkDelivery(delivery: DeliveryMode | undefined): void {
  if (delivery !== undefined && !Object.hasOwn(deliveries, delivery)) {
    throw new TypeError(`delivery is "inline" or "reference", not ${JSON.stringify(delivery)}`);
  }
}

/** The fields that are said, and no others: a whole message has values for all of them. */
function saidOptions(options: ImageOptions): SaidOptions {
  const known = new Set<string>(ImageOptionsSchema.fields.map((field) => field.localName));
  const unknown = Object.keys(options).find((name) => !known.has(name) && !name.startsWith("$"));
  if (unknown !== undefined) throw new TypeError(`options has no field ${JSON.stringify(unknown)}`);
  const message = checked(ImageOptionsSchema, options);
  const said = ImageOptionsSchema.fields.filter((field) => isFieldSet(message, field));
  const values = message as unknown as Record<string, unknown>;
  return Object.fromEntries(said.map((field) => [field.localName, values[field.localName]]));
}

function withoutUndefined(settings: CallSettings): CallSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
