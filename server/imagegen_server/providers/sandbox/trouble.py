"""Scripted trouble: what a model's name or a request's params ask for, checked before anything is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.json import JsonObject, JsonValue

SMALLEST_SIZE_BYTES = 1024
LONGEST_WAIT = 3600.0
"""Of `delay` and `duration`, in seconds."""

SPOILS = ("truncated", "garbage", "wrong-type", "empty")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong, and when. The fields are the params, and the defaults mean that nothing does."""

    fail: Reason | None = None
    fail_index: frozenset[int] | None = None
    fail_attempts: int | None = None
    fail_after_previews: int | None = None
    fail_after_images: int | None = None
    retry_after: float | None = None
    stage: str = "input"
    sent: bool = True
    delay: float = 0.0
    duration: float = 0.0
    stall: bool = False
    crash: bool = False
    spoil: str = ""
    size_bytes: int | None = None
    revised_prompt: str | None = None

    @property
    def is_late(self) -> bool:
        """The trouble waits for a preview or an image."""
        return self.fail_after_previews is not None or self.fail_after_images is not None

    def in_attempt(self, number: int) -> "Trouble":
        """Tell what is left of it in an attempt, counted from 1."""
        if self.fail_attempts is None or number <= self.fail_attempts:
            return self
        return replace(self, fail=None, fail_index=None, stall=False)


class _Wrong(Exception):
    """A param has the wrong type or value; the message says what it should be."""


def read_trouble(params: JsonObject, field: str) -> Trouble:
    """Read and check params. `field` is their path in the request, such as "params.sandbox".

    :raises ImageError: INVALID_REQUEST with a violation for every param that is unknown or wrong
    """
    values: dict[str, Any] = {}
    violations: list[Violation] = []
    for key, value in params.items():
        try:
            values[key] = PARAMS.get(key, _unknown)(value)
        except _Wrong as wrong:
            violations.append(Violation(f"{field}.{key}", str(wrong)))
    if "fail_index" in values and "fail" not in values:
        values["fail"] = Reason.PROVIDER_ERROR
    if violations:
        raise ImageError(Reason.INVALID_REQUEST, "the sandbox cannot take these params", violations=violations)
    return Trouble(**values)


def _unknown(_value: JsonValue) -> object:
    raise _Wrong(f"unknown; the sandbox knows {', '.join(PARAMS)}")


def _reason(value: JsonValue) -> Reason:
    try:
        return Reason[str(value).removeprefix("ERROR_REASON_")]
    except KeyError:
        raise _Wrong('must be the name of an ErrorReason, such as "RATE_LIMITED"') from None


def _indices(value: JsonValue) -> frozenset[int]:
    if not isinstance(value, list) or not all(_is_whole(item) for item in value):
        raise _Wrong("must be a list of image indices, such as [1, 3]")
    return frozenset(item for item in value if isinstance(item, int))


def _is_whole(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _whole(least: int, most: int) -> Callable[[JsonValue], int]:
    def read(value: JsonValue) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise _Wrong(f"must be a whole number from {least} to {most}")
        return value

    return read


def _seconds(value: JsonValue) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LONGEST_WAIT:
        raise _Wrong(f"must be a number of seconds from 0 to {LONGEST_WAIT:.0f}")
    return float(value)


def _flag(value: JsonValue) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("must be true or false")
    return value


def _one_of(*names: str) -> Callable[[JsonValue], str]:
    def read(value: JsonValue) -> str:
        if not isinstance(value, str) or value not in names:
            raise _Wrong(f"must be one of {', '.join(names)}")
        return value

    return read


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise _Wrong("must be a string")
    return value


PARAMS: Mapping[str, Callable[[JsonValue], object]] = {
    "fail": _reason,
    "fail_index": _indices,
    "fail_attempts": _whole(0, 16),
    "fail_after_previews": _whole(0, 16),
    "fail_after_images": _whole(0, 16),
    "retry_after": _seconds,
    "stage": _one_of("input", "output"),
    "sent": _flag,
    "delay": _seconds,
    "duration": _seconds,
    "stall": _flag,
    "crash": _flag,
    "spoil": _one_of(*SPOILS),
    "size_bytes": _whole(SMALLEST_SIZE_BYTES, MAX_IMAGE_BYTES),
    "revised_prompt": _text,
}
