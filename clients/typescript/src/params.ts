import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** A JSON value that is taken. A property that is `undefined` is left out, as JSON.stringify does. */
export type JsonInput =
  | string
  | number
  | boolean
  | null
  | readonly JsonInput[]
  | { readonly [key: string]: JsonInput | undefined };

/** A provider's own parameters by its configured name or its type: `{ openai: { moderation: "low" } }`. */
export type Params = Readonly<Record<string, { readonly [key: string]: JsonInput | undefined }>>;

/** What a provider said besides, by provider name. Numbers are doubles. */
export type Metadata = { readonly [provider: string]: JsonObject };

// From here on neighbouring whole numbers share one double.
const firstInexact = 2 ** 53;

/**
 * A copy of `params` as a request carries it.
 *
 * @throws RangeError, with the path, for a number that a double cannot hold exactly.
 * @throws TypeError, with the path, for a value that is not JSON.
 */
export function copyParams(params: Params): { [provider: string]: JsonObject } {
  if (!isPlainObject(params)) throw new TypeError("params must be an object of providers");
  return fromEntries(params, (provider, values) => {
    const path = `params.${provider}`;
    if (!isPlainObject(values)) throw new TypeError(`${path} must be an object of parameters, not ${kindOf(values)}`);
    return copyObject(values, path);
  });
}

/** `bound` with the keys of `given` laid over it, provider by provider. Both are copies already. */
export function mergeParams(
  bound: { [provider: string]: JsonObject },
  given: { [provider: string]: JsonObject },
): { [provider: string]: JsonObject } {
  const joined = new Map(Object.entries(bound));
  for (const [provider, values] of Object.entries(given)) {
    joined.set(
      provider,
      Object.fromEntries([...Object.entries(joined.get(provider) ?? {}), ...Object.entries(values)]),
    );
  }
  return Object.fromEntries(joined);
}

function copyValue(value: unknown, path: string): JsonValue {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return exactNumber(value, path);
    case "bigint":
      throw new RangeError(`${path} is a bigint, which may arrive damaged: give it as a number or a string`);
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return value.map((item, position) => copyValue(item, `${path}[${position}]`));
      if (isPlainObject(value)) return copyObject(value, path);
  }
  throw new TypeError(`${path} is not a JSON value: ${kindOf(value)}`);
}

function copyObject(values: Record<string, unknown>, path: string): JsonObject {
  return fromEntries(values, (key, value) => copyValue(value, `${path}.${key}`));
}

function fromEntries<T>(values: Record<string, unknown>, copy: (key: string, value: unknown) => T): Record<string, T> {
  const said = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said.map(([key, value]) => [key, copy(key, value)]));
}

function exactNumber(value: number, path: string): number {
  if (!Number.isFinite(value)) throw new RangeError(`${path} is ${value}, which JSON cannot say`);
  if (Math.abs(value) >= firstInexact) {
    throw new RangeError(`${path} is a whole number from 2^53 on, which arrives damaged: give it as a string`);
  }
  return value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

function kindOf(value: unknown): string {
  return typeof value === "object" && value !== null ? (value.constructor?.name ?? "object") : typeof value;
}
