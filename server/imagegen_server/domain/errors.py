"""The one exception of the server, and the reasons it can have.

The reasons mirror imagegen/v1/error_reason.proto by name and number; a test compares the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a call or one image failed. The numbers are those of the proto enum ErrorReason."""

    AUTHENTICATION_FAILED = 1
    RATE_LIMITED = 2
    CONTEXT_LENGTH_EXCEEDED = 3
    MODEL_NOT_FOUND = 4
    INVALID_REQUEST = 5
    INVALID_RESPONSE = 6
    CONTENT_FILTERED = 7
    QUOTA_EXCEEDED = 8
    PROVIDER_ERROR = 9
    NETWORK_ERROR = 10
    TIMEOUT = 11
    CANCELLED = 12
    PROVIDER_UNAVAILABLE = 20
    PROVIDER_NOT_CONFIGURED = 21
    OPERATION_NOT_SUPPORTED = 22
    OPTION_NOT_SUPPORTED = 23
    INPUT_NOT_FETCHED = 24
    CALLER_UNAUTHENTICATED = 25
    CALLER_NOT_ALLOWED = 26
    CALLER_LIMIT_EXCEEDED = 27
    SERVER_BUSY = 28
    SHUTTING_DOWN = 29
    STORE_UNAVAILABLE = 30
    DEADLINE_TOO_SHORT = 31
    REQUEST_ID_REUSED = 32
    RESULT_EXPIRED = 33
    GENERATION_NOT_FOUND = 34
    IMAGE_NOT_FOUND = 35
    INTERNAL_ERROR = 36
    WRONG_INSTANCE = 37


class Billed(Enum):
    """Whether something was paid for. The numbers are those of the proto enum Billed."""

    NO = 1
    UNKNOWN = 2
    YES = 3


_MAY_BE_BILLED = frozenset(
    {
        Reason.INVALID_RESPONSE,
        Reason.PROVIDER_ERROR,
        Reason.TIMEOUT,
        Reason.CANCELLED,
        Reason.INTERNAL_ERROR,
    }
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that is wrong: its path ("options.count") and what to do about it."""

    field: str
    description: str


class ImageError(Exception):
    """A failure with a reason from the contract. The only exception that a provider may let out on purpose.

    `message` is for people and holds no prompt, key or image byte. `stage` is "input" or "output" for
    CONTENT_FILTERED, or "" where nobody told. `sent` tells for NETWORK_ERROR whether the request may have reached the
    provider. `retry_after` is in seconds. `billed` follows from the reason unless given; `billed_told`: it was given.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        billed: Billed | None = None,
        stage: str = "",
        sent: bool = True,
        http_status: int | None = None,
        provider_code: str = "",
        provider_request_id: str = "",
        retry_after: float | None = None,
        violations: Iterable[Violation] = (),
        metadata: dict[str, str] | None = None,
    ) -> None:
        """Keep what is known of the failure."""
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.stage = stage
        self.sent = sent
        self.http_status = http_status
        self.provider_code = provider_code
        self.provider_request_id = provider_request_id
        self.retry_after = retry_after
        self.violations = tuple(violations)
        self.metadata = metadata or {}
        self.billed = billed or self._usually_billed()
        self.billed_told = billed is not None

    def _usually_billed(self) -> Billed:
        if self.reason is Reason.CONTENT_FILTERED:
            return Billed.NO if self.stage == "input" else Billed.UNKNOWN
        if self.reason is Reason.NETWORK_ERROR:
            return Billed.UNKNOWN if self.sent else Billed.NO
        return Billed.UNKNOWN if self.reason in _MAY_BE_BILLED else Billed.NO

    def with_billed(self, billed: Billed) -> "ImageError":
        """Copy the error with another answer to whether it was paid for."""
        return self._copied(billed=billed)

    def with_metadata(self, metadata: dict[str, str]) -> "ImageError":
        """Copy the error with other metadata."""
        return self._copied(metadata=metadata)

    def _copied(self, **changes: object) -> "ImageError":
        # copy.copy would call __init__ with the message alone.
        other = ImageError.__new__(ImageError, self.message)
        other.__dict__.update(self.__dict__ | {"metadata": dict(self.metadata)} | changes)
        return other

    def facts(self) -> dict[str, str]:
        """What ErrorInfo.metadata and ImageFailure.metadata say, without the ids of the generation."""
        known = {
            "stage": self.stage,
            "http_status": "" if self.http_status is None else str(self.http_status),
            "provider_code": self.provider_code,
            "provider_request_id": self.provider_request_id,
            "billed": self.billed.name.lower(),
        }
        return self.metadata | {key: value for key, value in known.items() if value}


@dataclass(frozen=True, slots=True)
class Failure:
    """One image that will not come, and why. `index` is the image's in the whole generation."""

    index: int
    error: ImageError
