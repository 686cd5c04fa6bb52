"""The one exception of this package, and how it is read from a gRPC status.

What the server knows stands in the trailer `grpc-status-details-bin` (a google.rpc.Status). Proxies drop or replace
such trailers, so two plain ones repeat what matters most; and a status with none of them was made by a proxy or the
transport. None of this may ever fail: an error about an error helps nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from imagegen._reason import Billed, Reason, billed_from_text, reason_from_name
from imagegen._result import Attempt, ImageFailure, ImageUsage, attempt_from_proto, failure_from_proto, usage_from_proto
from imagegen._times import seconds_in
from imagegen.v1 import image_pb2

_DetailT = TypeVar("_DetailT", bound=Message)

_DOMAIN: Final = "imagegen"
_DETAILS: Final = "grpc-status-details-bin"
_REASON: Final = "imagegen-reason"
_BILLED: Final = "imagegen-billed"
GENERATION_ID: Final = "imagegen-generation-id"
"""Initial metadata: the server's id for the generation."""
REQUEST_ID: Final = "imagegen-request-id"
"""Initial metadata: the id of the wish."""

# What a bare status can be taken to say. Any other code says nothing about the reason.
_BARE_REASONS: Final[Mapping[grpc.StatusCode, Reason]] = {
    grpc.StatusCode.CANCELLED: Reason.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.TIMEOUT,
    grpc.StatusCode.UNAVAILABLE: Reason.NETWORK_ERROR,
    grpc.StatusCode.UNAUTHENTICATED: Reason.CALLER_UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Reason.CALLER_NOT_ALLOWED,
}

# Ends without a word of the server's own that say that the way to it broke.
_BREAKS: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED}
)

# How the transport words that there never was a connection, so that no request can have left.
_NEVER_CONNECTED: Final = (
    "failed to connect to all addresses",
    "DNS resolution failed",
    "Name resolution failure",
    "errors resolving ",
)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One thing that is wrong with a request."""

    field: str
    """Path in the request: "options.size.width"."""
    description: str
    """What is wrong with it."""


@dataclass(eq=False)
class ImageGenError(Exception):
    """A call failed.

    Every failure that the server, the network or this client reports is one of these; only misuse that is seen before
    anything is sent (a wrong type, a number that cannot be carried) is a ValueError or TypeError. `__cause__` is the
    gRPC error if there was one.
    """

    message: str
    """For people. Holds no prompt and no key."""
    reason: str = Reason.UNSPECIFIED
    """A `Reason`, or the text of one that this client does not know: treat that like `PROVIDER_ERROR`."""
    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    """The gRPC status code."""
    billed: Billed = "unknown"
    """Whether the call was paid for. "unknown" = it may have been."""
    provider: str = ""
    """The provider that failed, by its name in the server's configuration. Empty = not told."""
    model: str = ""
    """The model, as "provider/model" or as asked for. Empty = not told."""
    retry_delay: float | None = None
    """Seconds to wait before the same call can succeed. None = not known, or waiting does not help."""
    violations: tuple[FieldViolation, ...] = ()
    """What is wrong with the request, field by field."""
    failures: tuple[ImageFailure, ...] = ()
    """One for each image that did not come, once a provider was called."""
    attempts: tuple[Attempt, ...] = ()
    """The provider calls made, oldest first."""
    usage: ImageUsage | None = None
    """What is known of use. None = nothing."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Such as stage, http_status, provider_code, provider_request_id."""
    generation_id: str = ""
    """For support. Empty = none was made, or it was not told."""
    request_id: str = ""
    """The name of the wish. Empty = not told."""

    def __post_init__(self) -> None:
        """Give Exception its text."""
        super().__init__(self.message)

    def __str__(self) -> str:
        """Reason, message, and what is wrong by field unless the message has said it, on one line."""
        fields = "; ".join(
            f"{violation.field}: {violation.description}"
            for violation in self.violations
            if violation.description not in self.message
        )
        text = f"{self.reason}: {self.message}" if self.message else str(self.reason)
        return f"{text} ({fields})" if fields else text

    def __reduce__(self) -> tuple[type[ImageGenError], tuple[str], dict[str, object]]:
        """Pickle by fields: an exception crosses process borders whole."""
        return type(self), (self.message,), dict(self.__dict__)


def invalid_response(message: str, *, free: bool = False) -> ImageGenError:
    """The server's answer does not keep what the API promises.

    What became of the money is not known, unless it answers a method that is `free`.
    """
    billed: Billed = "no" if free else "unknown"
    return ImageGenError(message, reason=Reason.INVALID_RESPONSE, code=grpc.StatusCode.INTERNAL, billed=billed)


def cancelled(message: str) -> ImageGenError:
    """The call was stopped on this side."""
    return ImageGenError(message, reason=Reason.CANCELLED, code=grpc.StatusCode.CANCELLED)


def error_from_rpc(rpc_error: grpc.aio.AioRpcError, *, free: bool = False) -> ImageGenError:
    """Read all that an RPC's end tells. Never raises.

    Args:
        rpc_error: the end of the RPC. Also becomes `__cause__`.
        free: the method is one that never costs anything, so a status that says nothing about money means "no".
    """
    trailers = _metadata(rpc_error.trailing_metadata())
    initial = _metadata(rpc_error.initial_metadata())
    code = rpc_error.code()
    text = rpc_error.details() or ""
    status = _status(trailers.get(_DETAILS), code)
    info = _detail(status, error_details_pb2.ErrorInfo())
    told = dict(info.metadata) if info.domain == _DOMAIN else {}
    plain_reason = _text(trailers.get(_REASON))
    name = info.reason if info.domain == _DOMAIN and info.reason else plain_reason
    billed = billed_from_text(told.get("billed", "")) or billed_from_text(_text(trailers.get(_BILLED)))
    failure = _detail(status, image_pb2.GenerationFailure())
    retry = _detail(status, error_details_pb2.RetryInfo())
    error = ImageGenError(
        text,
        reason=reason_from_name(name) if name else _BARE_REASONS.get(code, Reason.UNSPECIFIED),
        code=code,
        billed=billed or ("no" if free or _never_sent(code, text, initial) else "unknown"),
        provider=told.get("provider", ""),
        model=told.get("model", ""),
        retry_delay=seconds_in(retry, "retry_delay"),
        violations=tuple(
            FieldViolation(violation.field, violation.description)
            for violation in _detail(status, error_details_pb2.BadRequest()).field_violations
        ),
        failures=tuple(failure_from_proto(item) for item in failure.failures),
        attempts=tuple(attempt_from_proto(item) for item in failure.attempts),
        usage=usage_from_proto(failure.usage) if failure.HasField("usage") else None,
        metadata=told,
        generation_id=failure.generation_id or told.get("generation_id", "") or _text(initial.get(GENERATION_ID)),
        request_id=failure.request_id or told.get("request_id", "") or _text(initial.get(REQUEST_ID)),
    )
    error.__cause__ = rpc_error
    return error


def from_server(error: ImageGenError) -> bool:
    """Whether the imagegen server itself said why, rather than a proxy, the transport or this client."""
    return isinstance(error.__cause__, grpc.aio.AioRpcError) and (
        bool(error.metadata) or _REASON in _metadata(error.__cause__.trailing_metadata())
    )


def connection_broke(error: ImageGenError) -> bool:
    """Whether the transport or a proxy ended the call on its way, so that the server may know better how it went."""
    return isinstance(error.__cause__, grpc.aio.AioRpcError) and not from_server(error) and error.code in _BREAKS


def _never_sent(code: grpc.StatusCode, text: str, initial: Mapping[str, str | bytes]) -> bool:
    return code is grpc.StatusCode.UNAVAILABLE and not initial and text.startswith(_NEVER_CONNECTED)


def _metadata(metadata: grpc.aio.Metadata | None) -> dict[str, str | bytes]:
    # The first value of a key counts, as in Metadata's own look-up.
    return dict(reversed(list(metadata or ())))


def _text(value: str | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def _status(trailer: str | bytes | None, code: grpc.StatusCode) -> status_pb2.Status:
    """The details, or an empty status if they are missing, garbled, or about another failure than the one at hand."""
    if isinstance(trailer, bytes):
        try:
            status = status_pb2.Status.FromString(trailer)
        except DecodeError:
            return status_pb2.Status()
        if status.code == code.value[0]:
            return status
    return status_pb2.Status()


def _detail(status: status_pb2.Status, empty: _DetailT) -> _DetailT:
    for packed in status.details:
        if packed.Is(empty.DESCRIPTOR):
            try:
                packed.Unpack(empty)
            except DecodeError:
                empty.Clear()
            break
    return empty
