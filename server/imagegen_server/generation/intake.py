"""What an adapter said beside its images, brought into a form that everything after can rely on.

An adapter may be wrong about a number or hand on what its vendor sent; that must not cost anybody an image.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import cast

from imagegen_server.domain.events import Report
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Cost, TokenKinds, Usage

_DEEPEST = 16
"""Levels of metadata that are kept as they are; deeper ones become text. Readers' protobuf ends at about 30."""


def clean_report(report: Report) -> Report:
    """Keep what is known of the whole answer, without what is no usage and no JSON."""
    return replace(report, usage=_clean_usage(report.usage), metadata=clean_metadata(report.metadata))


def clean_metadata(metadata: object) -> JsonObject:
    """Make a JSON object of whatever an adapter calls metadata."""
    return {str(key): _clean(value, 1) for key, value in metadata.items()} if isinstance(metadata, Mapping) else {}


def clean_text(value: object) -> str | None:
    """Keep a text; None = not told."""
    return value if value is None or isinstance(value, str) else str(value)


def clean_whole(value: object) -> int | None:
    """Keep a whole number; None = not told."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _clean(value: object, depth: int) -> JsonValue:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(key): _clean(item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview):
        return [_clean(item, depth + 1) for item in value]
    return f"<{type(value).__name__}>" if isinstance(value, bytes | bytearray | memoryview) else str(value)[:200]


def _clean_usage(usage: object) -> Usage | None:
    if not isinstance(usage, Usage):
        return None
    return replace(
        usage,
        images_generated=clean_whole(usage.images_generated),
        input_tokens=clean_whole(usage.input_tokens),
        output_tokens=clean_whole(usage.output_tokens),
        cost=usage.cost if _is_cost(usage.cost) else None,
        kinds=_clean_kinds(usage.kinds),
    )


def _clean_kinds(kinds: object) -> TokenKinds:
    if not isinstance(kinds, TokenKinds):
        return TokenKinds()
    return TokenKinds(**{item.name: clean_whole(getattr(kinds, item.name)) for item in fields(TokenKinds)})


def _is_cost(cost: object) -> bool:
    return (
        isinstance(cost, Cost)
        and isinstance(amount := cast("object", cost.amount), int | float)
        and math.isfinite(amount)
        and isinstance(cast("object", cost.currency), str)
    )
