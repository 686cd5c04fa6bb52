"""Whether what came is what a case says must come."""

import math
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

ANY_TEXT: Final = "*"
CONTAINS: Final = "~"
_ROOM: Final = 1e-9


def as_json(message: Message) -> dict[str, Any]:
    """Show a message as its JSON, with the fields that are zero or empty but not those that are absent."""
    shown: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    return shown


def differences(expected: Any, actual: Any, path: str) -> Iterable[str]:
    """Tell where `actual` is not as `expected` says; fields of objects that are not expected are not looked at."""
    if expected in (None, ""):
        if actual not in (None, "", 0, False, [], {}):
            yield f"{path} is {_short(actual)} and should be unset"
    elif isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            yield from differences(value, actual.get(key), f"{path}.{key}" if path else key)
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{path} has {len(actual)} elements instead of {len(expected)}: {_short(actual)}"
        for at, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(one, other, f"{path}[{at}]")
    elif not _same(expected, actual):
        yield f"{path} is {_short(actual)} instead of {_short(expected)}"


def _same(expected: Any, actual: Any) -> bool:
    if expected == ANY_TEXT:
        return isinstance(actual, str) and bool(actual)
    if isinstance(expected, str) and expected.startswith(CONTAINS):
        return isinstance(actual, str) and expected.removeprefix(CONTAINS) in actual
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, float) and isinstance(actual, int | float):
        return math.isclose(expected, actual, rel_tol=_ROOM)
    # Numbers of 64 bits are texts in protobuf's JSON, and may be written as numbers.
    return bool(expected == actual) or (_is_number(expected) and str(expected) == str(actual))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.lstrip("-").isdigit())


def _short(value: Any, most: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= most else text[:most] + "..."
