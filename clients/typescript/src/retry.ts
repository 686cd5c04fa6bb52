import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { pause } from "./backoff.js";
import { statusCode } from "./errors.js";

const attempts = 4;
const firstDelayMs = 200;
const longestDelayMs = 2000;

/**
 * Tries calls again that end UNAVAILABLE before anything came, for methods that declare that they may be called twice,
 * and for no other: those may cost money.
 */
export const retryFree: Interceptor = (next) => async (request) => {
  if (!isFree(request.method.idempotency)) return await next(request);
  if (!request.stream) return await repeat(() => next(request), request.signal);
  const again = await repeatable(request.message);
  return await repeat(() => next({ ...request, message: again() }), request.signal);
};

async function repeat<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const delayMs = attempt < attempts ? delayBefore(attempt, error) : undefined;
      if (delayMs === undefined) throw error;
      await pause(delayMs, signal);
      if (signal.aborted) throw error;
    }
  }
}

function isFree(level: Idempotency): boolean {
  return level === Idempotency.NO_SIDE_EFFECTS || level === Idempotency.IDEMPOTENT;
}

/** Milliseconds until the next attempt; `undefined`: there is none. */
function delayBefore(attempt: number, error: unknown): number | undefined {
  if (!(error instanceof ConnectError) || statusCode(error) !== Code.Unavailable) return undefined;
  const pushback = error.metadata.get("grpc-retry-pushback-ms");
  if (pushback !== null) return /^\d{1,9}$/.test(pushback) ? Number(pushback) : undefined;
  return Math.min(longestDelayMs, firstDelayMs * 2 ** (attempt - 1) * (0.8 + Math.random() * 0.4));
}

/** The messages of a request stream, to be sent any number of times. The free methods have one each. */
async function repeatable<T>(messages: AsyncIterable<T>): Promise<() => AsyncIterable<T>> {
  const kept: T[] = [];
  for await (const message of messages) kept.push(message);
  return async function* again() {
    yield* kept;
  };
}
