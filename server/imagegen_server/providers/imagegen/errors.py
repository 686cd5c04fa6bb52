"""What the other server says of a failure, as ours.

Its errors are google.rpc.Status as error_reason.proto says; the client has read them. What its providers said is passed
on as it is. What it said of us, its caller, is news for our operator and none for our callers.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import grpc
import imagegen

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.domain.result import Attempt, AttemptOutcome

_BILLED = {"no": Billed.NO, "unknown": Billed.UNKNOWN, "yes": Billed.YES}

_OF_A_CALLER: Mapping[str, Reason] = {
    "CALLER_UNAUTHENTICATED": Reason.AUTHENTICATION_FAILED,
    "CALLER_NOT_ALLOWED": Reason.AUTHENTICATION_FAILED,
    "CALLER_LIMIT_EXCEEDED": Reason.RATE_LIMITED,
    "SERVER_BUSY": Reason.PROVIDER_UNAVAILABLE,
    "SHUTTING_DOWN": Reason.PROVIDER_UNAVAILABLE,
    "STORE_UNAVAILABLE": Reason.PROVIDER_UNAVAILABLE,
    # It has lost or forgotten what was begun for us.
    "GENERATION_NOT_FOUND": Reason.PROVIDER_ERROR,
    "WRONG_INSTANCE": Reason.PROVIDER_ERROR,
    "IMAGE_NOT_FOUND": Reason.PROVIDER_ERROR,
    "REQUEST_ID_REUSED": Reason.PROVIDER_ERROR,
}
"""What the server itself, and no provider of its, says of a caller, and what that is to ours."""

_PASSED_ON = ("stage", "http_status", "provider_code", "provider_request_id")


def error_of(raised: imagegen.ImageGenError, here: str) -> ImageError:
    """Read why a call came to nothing. `here` is our name of the other server."""
    metadata = dict(raised.metadata)
    told = bool(metadata) or raised.reason not in {"UNSPECIFIED", *_BARE}
    if not told:
        return _of_the_way(raised, here)
    return _error(
        raised.reason,
        raised.message,
        raised.billed,
        metadata,
        here,
        retry_after=raised.retry_delay,
        violations=[
            Violation(our_field(violation.field, here), violation.description) for violation in raised.violations
        ],
    )


def broke(raised: imagegen.ImageGenError) -> bool:
    """Tell whether the way broke while the other server may be at work, so that it can be asked how that goes."""
    if raised.metadata or raised.billed == "no":
        return False
    without_end = raised.reason == "INVALID_RESPONSE" and raised.__cause__ is None
    return without_end or (raised.reason in {"NETWORK_ERROR", "CANCELLED", "UNSPECIFIED"} and raised.code in _BREAKS)


def says_nothing_of_it(raised: imagegen.ImageGenError) -> bool:
    """Tell whether asking after a generation has failed, or the other server has not got it or has lost it."""
    return not raised.metadata or raised.reason in {"GENERATION_NOT_FOUND", "WRONG_INSTANCE", "RESULT_EXPIRED"}


def error_of_one(failure: imagegen.ImageFailure, here: str) -> ImageError:
    """Read why one image will not come."""
    return _error(failure.reason, failure.message, failure.billed, failure.metadata, here)


def attempt_of(told: imagegen.Attempt, here: str) -> Attempt:
    """Read a call that the other server has made."""
    return Attempt(
        provider=f"{here}/{told.provider}",
        model=f"{here}/{told.model}",
        outcome=AttemptOutcome.__members__.get(told.outcome.upper(), AttemptOutcome.AMBIGUOUS),
        billed=_BILLED[told.billed],
        reason=None if told.reason is None else reason_of(told.reason),
        http_status=told.http_status,
        provider_request_id=told.provider_request_id,
        start_time=told.start_time or datetime.now(UTC),
        duration=told.duration or 0.0,
    )


def our_field(field: str, here: str) -> str:
    """Say where in our caller's request a field of our request to the other server comes from."""
    return f"params.{here}.{field.removeprefix('params.')}" if field.startswith("params.") else field


def _error(
    reason: str,
    message: str,
    billed: str,
    metadata: Mapping[str, str],
    here: str,
    *,
    retry_after: float | None = None,
    violations: list[Violation] | None = None,
) -> ImageError:
    by_provider = bool(metadata.get("provider"))
    status = metadata.get("http_status", "")
    return ImageError(
        reason_of(reason) if by_provider else _OF_A_CALLER.get(reason) or reason_of(reason),
        message if by_provider else f"{here}: {message}",
        billed=_billed(reason, billed, by_provider=by_provider),
        stage=metadata.get("stage", ""),
        sent=billed != "no",
        http_status=int(status) if status.isdecimal() else None,
        provider_code=metadata.get("provider_code", ""),
        provider_request_id=metadata.get("provider_request_id", ""),
        retry_after=retry_after,
        violations=violations or (),
        metadata={key: f"{here}/{metadata[key]}" for key in ("provider", "model") if metadata.get(key)},
    )


def _billed(reason: str, billed: str, *, by_provider: bool) -> Billed:
    """Tell whether it was paid for. What has expired there was: it must not look as if it could be bought again."""
    return Billed.UNKNOWN if reason == "RESULT_EXPIRED" and not by_provider else _BILLED[billed]


def reason_of(name: str) -> Reason:
    """Find a reason; one that is newer than we are is PROVIDER_ERROR, as error_reason.proto asks for."""
    return Reason.__members__.get(name, Reason.PROVIDER_ERROR)


_BARE = frozenset({"NETWORK_ERROR", "TIMEOUT", "CANCELLED", "CALLER_UNAUTHENTICATED", "CALLER_NOT_ALLOWED"})
"""Reasons that the client gives to a status without a word of the server's."""

_BREAKS = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}
)
"""Ends that a proxy or the transport may make."""

_NOTHING_DONE = frozenset(
    {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
)


def _of_the_way(raised: imagegen.ImageGenError, here: str) -> ImageError:
    """Read an end that the transport or a proxy made, so that nothing is known of what became of the call."""
    free = raised.billed == "no" or raised.code in _NOTHING_DONE
    billed = Billed.NO if free else Billed.UNKNOWN
    what = raised.message or raised.code.name
    match raised.code:
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return ImageError(Reason.TIMEOUT, f"{here} did not answer in time", billed=billed)
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return ImageError(Reason.AUTHENTICATION_FAILED, f"something before {here} refuses: {what}", billed=billed)
        case grpc.StatusCode.UNIMPLEMENTED:
            return ImageError(Reason.PROVIDER_ERROR, f"{here} is no imagegen server: {what}", billed=billed)
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in what:
            # gRPC's own words, before any of it is read.
            told = f"{here} takes no request of that size (its max_receive_bytes): {what}"
            return ImageError(Reason.CONTEXT_LENGTH_EXCEEDED, told, billed=Billed.NO)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return ImageError(Reason.PROVIDER_ERROR, f"{here} or a proxy takes no such message: {what}", billed=billed)
    sent = "" if free else "; it may have begun"
    return ImageError(
        Reason.NETWORK_ERROR, f"the connection to {here} failed{sent}: {what}", billed=billed, sent=not free
    )
