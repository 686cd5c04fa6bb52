import assert from "node:assert/strict";
import { ImageGenError } from "@imagegen/client";
import { Backoff } from "../../src/backoff.js";

/** Tries after a break come at once. */
export function withoutWaiting(): void {
  Backoff.scale = 0.001;
}

/** The error that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<ImageGenError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof ImageGenError, String(error));
    return error;
  }
  return assert.fail("nothing failed");
}

/** Resolves once `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((later) => setImmediate(later));
}
