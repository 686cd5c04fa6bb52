"""The error model on the wire: google.rpc.Status in the trailers, and two plain trailers beside it."""

import math
from collections.abc import Sequence
from urllib.parse import quote

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.result import GenerationFailure

from .encode import MAX_MESSAGE_BYTES, error_metadata, generation_failure_message, text

DOMAIN = "imagegen"
MAX_DETAILS_BYTES = 4096
"""From about 8 KB of trailers on, clients randomly see RESOURCE_EXHAUSTED instead of the error."""
MAX_VIOLATIONS = 20
_MAX_DESCRIPTION = 120
_LONGEST_WAIT = 24 * 60 * 60
"""In seconds."""

_C = grpc.StatusCode
CODES: dict[Reason, grpc.StatusCode] = {
    Reason.AUTHENTICATION_FAILED: _C.FAILED_PRECONDITION,
    Reason.RATE_LIMITED: _C.RESOURCE_EXHAUSTED,
    Reason.CONTEXT_LENGTH_EXCEEDED: _C.INVALID_ARGUMENT,
    Reason.MODEL_NOT_FOUND: _C.NOT_FOUND,
    Reason.INVALID_REQUEST: _C.INVALID_ARGUMENT,
    Reason.INVALID_RESPONSE: _C.INTERNAL,
    Reason.CONTENT_FILTERED: _C.INVALID_ARGUMENT,
    Reason.QUOTA_EXCEEDED: _C.RESOURCE_EXHAUSTED,
    Reason.PROVIDER_ERROR: _C.INTERNAL,
    Reason.NETWORK_ERROR: _C.INTERNAL,
    Reason.TIMEOUT: _C.DEADLINE_EXCEEDED,
    Reason.CANCELLED: _C.CANCELLED,
    Reason.PROVIDER_UNAVAILABLE: _C.UNAVAILABLE,
    Reason.PROVIDER_NOT_CONFIGURED: _C.FAILED_PRECONDITION,
    Reason.OPERATION_NOT_SUPPORTED: _C.INVALID_ARGUMENT,
    Reason.OPTION_NOT_SUPPORTED: _C.INVALID_ARGUMENT,
    Reason.INPUT_NOT_FETCHED: _C.INVALID_ARGUMENT,
    Reason.CALLER_UNAUTHENTICATED: _C.UNAUTHENTICATED,
    Reason.CALLER_NOT_ALLOWED: _C.PERMISSION_DENIED,
    Reason.CALLER_LIMIT_EXCEEDED: _C.RESOURCE_EXHAUSTED,
    Reason.SERVER_BUSY: _C.RESOURCE_EXHAUSTED,
    Reason.SHUTTING_DOWN: _C.UNAVAILABLE,
    Reason.STORE_UNAVAILABLE: _C.UNAVAILABLE,
    Reason.DEADLINE_TOO_SHORT: _C.FAILED_PRECONDITION,
    Reason.REQUEST_ID_REUSED: _C.ALREADY_EXISTS,
    Reason.RESULT_EXPIRED: _C.FAILED_PRECONDITION,
    Reason.GENERATION_NOT_FOUND: _C.NOT_FOUND,
    Reason.IMAGE_NOT_FOUND: _C.NOT_FOUND,
    Reason.INTERNAL_ERROR: _C.INTERNAL,
    Reason.WRONG_INSTANCE: _C.FAILED_PRECONDITION,
}

Trailers = tuple[tuple[str, str | bytes], ...]


def code_of(error: ImageError) -> grpc.StatusCode:
    """Tell the gRPC code of an error. UNAVAILABLE, which clients repeat by themselves, is said only of what is free."""
    if error.reason is Reason.NETWORK_ERROR and error.billed is Billed.NO:
        return grpc.StatusCode.UNAVAILABLE
    code = CODES[error.reason]
    return grpc.StatusCode.INTERNAL if code is grpc.StatusCode.UNAVAILABLE and error.billed is not Billed.NO else code


def status_of(error: ImageError, failure: GenerationFailure | None = None) -> tuple[grpc.StatusCode, str, Trailers]:
    """Make code, message and trailers of an error; `failure` is given once a provider was called."""
    reason = f"ERROR_REASON_{error.reason.name}"
    message = _cut(error.message)
    ids = (failure.generation_id, failure.request_id) if failure else ("", "")
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=error_metadata(error, *ids))
    ]
    if error.retry_after is not None and error.reason is not Reason.QUOTA_EXCEEDED:
        details.append(error_details_pb2.RetryInfo(retry_delay=_delay(error.retry_after)))
    bad = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=text(violation.field, _MAX_DESCRIPTION),
                description=text(violation.description, _MAX_DESCRIPTION),
            )
            for violation in error.violations[:MAX_VIOLATIONS]
        ]
    )
    code = code_of(error)
    status = _within_limit(code, message, details, bad, failure)
    return (
        code,
        message,
        (
            ("grpc-status-details-bin", status.SerializeToString()),
            ("imagegen-reason", reason),
            ("imagegen-billed", error.billed.name.lower()),
        ),
    )


def _delay(seconds: float) -> duration_pb2.Duration:
    """Write a wait; one that is nonsense or longer than a day is a day."""
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(math.ceil(max(seconds, 0) * 1000) if seconds < _LONGEST_WAIT else _LONGEST_WAIT * 1000)
    return delay


def _within_limit(
    code: grpc.StatusCode,
    message: str,
    details: Sequence[Message],
    bad: error_details_pb2.BadRequest,
    failure: GenerationFailure | None,
) -> status_pb2.Status:
    """Pack the details, leaving out the oldest attempts, then the last failures, then the last violations.

    The first `details`, whose parts are short, always fit.
    """
    last = generation_failure_message(failure) if failure else None
    while True:
        kept = [*details, *([bad] if bad.field_violations else [])]
        status = _packed(code, message, [*kept, *([last] if last else [])])
        if status.ByteSize() <= MAX_DETAILS_BYTES:
            return status
        if last is not None and len(last.attempts) > 1:
            del last.attempts[0]
        elif last is not None and last.failures:
            del last.failures[-1]
        elif bad.field_violations:
            del bad.field_violations[-1]
        elif last is not None and last.attempts:
            del last.attempts[0]
        else:
            return _packed(code, message, details)


def _packed(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> status_pb2.Status:
    packed = [any_pb2.Any() for _ in details]
    for slot, detail in zip(packed, details, strict=True):
        slot.Pack(detail)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)


def _cut(message: str) -> str:
    """Shorten a message so that it fits its header, where every byte that is not ASCII takes three."""
    message = text(message, MAX_MESSAGE_BYTES)
    while len(quote(message)) > MAX_MESSAGE_BYTES:
        message = message[: len(message) * 9 // 10]
    return message
