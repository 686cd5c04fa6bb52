import { Code } from "@connectrpc/connect";
import { type ErrorReason, ErrorReasonSchema } from "./gen/imagegen/v1/error_reason_pb.js";

/**
 * Why something failed: the full name of a value of the API's `ErrorReason`, such as "ERROR_REASON_RATE_LIMITED". A
 * newer server may send others: treat a name that you do not know like "ERROR_REASON_PROVIDER_ERROR".
 */
export type Reason = `ERROR_REASON_${keyof typeof ErrorReason}` | (string & {});

/** Whether something was paid for. "unknown": it may have been. */
export type BilledWord = "no" | "unknown" | "yes";

/** The full name of a value of `ErrorReason`, as in an `ImageFailure` or an `Attempt`; "ERROR_REASON_123" if unknown. */
export function reasonName(reason: ErrorReason): Reason {
  return ErrorReasonSchema.value[reason]?.name ?? `ERROR_REASON_${reason}`;
}

/** What a status can be taken to say that neither server nor provider worded. Any other code says nothing. */
export function bareReason(code: Code): Reason | undefined {
  switch (code) {
    case Code.Canceled:
      return "ERROR_REASON_CANCELLED";
    case Code.DeadlineExceeded:
      return "ERROR_REASON_TIMEOUT";
    case Code.Unavailable:
      return "ERROR_REASON_NETWORK_ERROR";
    case Code.Unauthenticated:
      return "ERROR_REASON_CALLER_UNAUTHENTICATED";
    case Code.PermissionDenied:
      return "ERROR_REASON_CALLER_NOT_ALLOWED";
    default:
      return undefined;
  }
}

/** The word itself, or `undefined` if it says nothing that is known. */
export function billedWord(text: string | undefined): BilledWord | undefined {
  return text === "no" || text === "unknown" || text === "yes" ? text : undefined;
}
