/** Milliseconds before each try after a break. With the last one failed, the break stands. */
const delaysMs: readonly number[] = [100, 200, 400, 800, 1600, 3200, 5000];

/** How long to wait before a broken connection is tried again, and how often. */
export class Backoff {
  #tries = 0;

  /** Something was received: the next break is a new one. */
  renew(): void {
    this.#tries = 0;
  }

  /** Milliseconds to wait before the next try. `undefined`: there were enough. */
  next(): number | undefined {
    const delay = delaysMs[this.#tries];
    if (delay === undefined) return undefined;
    this.#tries += 1;
    // Clients whose connections broke at the same moment shall not come back at the same moment.
    return Backoff.scale * delay * (0.5 + Math.random() / 2);
  }

  /** For tests that do not want to wait. */
  static scale = 1;
}

/** Wait; ends sooner, without an error, when `signal` is aborted. */
export function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener("abort", done);
  });
}
