"""Wishes that show what becomes of each option."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from imagegen_server.domain.capabilities import Capabilities
from imagegen_server.domain.task import Options, PixelSize

from tests.support.recording import RecordedRequest

OPTIONS = tuple(name for name in Options.__slots__ if name not in {"count", "preview_count"})
"""Those that capabilities.options may name."""

LISTS: Mapping[str, str] = {
    "size": "sizes",
    "aspect_ratio": "aspect_ratios",
    "resolution": "resolutions",
    "quality": "qualities",
    "background": "backgrounds",
    "format": "formats",
}
"""Which list of the capabilities holds the values of an option."""

_USUAL: Mapping[str, Any] = {
    "size": PixelSize(1024, 768),
    "aspect_ratio": "3:2",
    "resolution": "2K",
    "quality": "high",
    "background": "opaque",
    "format": "jpeg",
    "compression": 50,
    "seed": 7,
    "negative_prompt": "rain and fog",
}


def values_of(able: Capabilities, option: str) -> list[Any]:
    """List what the capabilities say that an option may be; [] = they do not say."""
    told = getattr(able, LISTS[option]) if option in LISTS else ()
    return [_size(value) if option == "size" else value for value in told if value != "auto"]


def value_of(able: Capabilities, option: str, own: Mapping[str, Any]) -> Any:
    """Choose a value for an option: the kit's own, the last of the list, as it is no default, or a usual one."""
    listed = values_of(able, option)
    return own[option] if option in own else listed[-1] if listed else _USUAL[option]


def sent(calls: list[RecordedRequest], own_ids: Collection[str] = ()) -> list[object]:
    """Write down what some requests ask for, so that two of a kind are equal, but for what names each of them."""
    return [(call.method, call.path, call.query, list(_content(call, own_ids))) for call in calls]


def _content(call: RecordedRequest, own_ids: Collection[str]) -> Iterator[object]:
    if call.media_type == "multipart/form-data":
        yield from call.parts
    elif call.media_type == "application/json":
        yield json.dumps({name: value for name, value in call.json.items() if name not in own_ids}, sort_keys=True)
    else:
        yield call.body


def _size(text: str) -> PixelSize:
    width, _, height = text.partition("x")
    return PixelSize(int(width), int(height))
