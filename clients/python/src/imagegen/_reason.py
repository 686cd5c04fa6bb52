"""Why something failed, and whether it was paid for: the words of the API as Python values."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, TypeAlias

from imagegen.v1 import error_reason_pb2, image_pb2

Billed: TypeAlias = Literal["no", "unknown", "yes"]
"""Whether something was paid for; "unknown" means that it may have been."""

_PREFIX: Final = "ERROR_REASON_"
_BILLED: Final[dict[int, Billed]] = {image_pb2.BILLED_NO: "no", image_pb2.BILLED_YES: "yes"}


class Reason(StrEnum):
    """Why a call or one image failed: the values of the API's `ErrorReason` without their prefix.

    A reason that a newer server sends and this list does not have is kept as plain text. Treat it like
    `PROVIDER_ERROR`. What each value means, its gRPC status code and whether it may be billed stand in
    error_reason.proto.
    """

    UNSPECIFIED = "UNSPECIFIED"
    """Nobody told: the status was made by a proxy or the transport."""
    AUTHENTICATION_FAILED = "AUTHENTICATION_FAILED"
    RATE_LIMITED = "RATE_LIMITED"
    CONTEXT_LENGTH_EXCEEDED = "CONTEXT_LENGTH_EXCEEDED"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_RESPONSE = "INVALID_RESPONSE"
    CONTENT_FILTERED = "CONTENT_FILTERED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    NETWORK_ERROR = "NETWORK_ERROR"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_NOT_CONFIGURED = "PROVIDER_NOT_CONFIGURED"
    OPERATION_NOT_SUPPORTED = "OPERATION_NOT_SUPPORTED"
    OPTION_NOT_SUPPORTED = "OPTION_NOT_SUPPORTED"
    INPUT_NOT_FETCHED = "INPUT_NOT_FETCHED"
    CALLER_UNAUTHENTICATED = "CALLER_UNAUTHENTICATED"
    CALLER_NOT_ALLOWED = "CALLER_NOT_ALLOWED"
    CALLER_LIMIT_EXCEEDED = "CALLER_LIMIT_EXCEEDED"
    SERVER_BUSY = "SERVER_BUSY"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    DEADLINE_TOO_SHORT = "DEADLINE_TOO_SHORT"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    RESULT_EXPIRED = "RESULT_EXPIRED"
    GENERATION_NOT_FOUND = "GENERATION_NOT_FOUND"
    IMAGE_NOT_FOUND = "IMAGE_NOT_FOUND"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    WRONG_INSTANCE = "WRONG_INSTANCE"


def reason_from_name(name: str) -> str:
    """The reason for a full value name of `ErrorReason`; text that is not in the list stays text."""
    short = name.removeprefix(_PREFIX)
    try:
        return Reason(short)
    except ValueError:
        return short


def reason_from_number(number: int) -> str:
    """The reason for a number of `ErrorReason`; one that is not in the list becomes "ERROR_REASON_<number>"."""
    value = error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"].values_by_number.get(number)
    return reason_from_name(value.name) if value is not None else f"{_PREFIX}{number}"


def billed_from_number(number: int) -> Billed:
    """The word for a number of the enum `Billed`; anything but a certain answer is "unknown"."""
    return _BILLED.get(number, "unknown")


def billed_from_text(text: str) -> Billed | None:
    """The word in a trailer or in ErrorInfo.metadata, or None if it says nothing that is known."""
    match text:
        case "no" | "unknown" | "yes":
            return text
        case _:
            return None
