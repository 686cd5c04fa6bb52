"""Messages of the server's websocket: text frames `{"type", "data"}`, and binary frames with pictures.

A binary frame begins with its event as 4 bytes, as all numbers of it the most significant first. Event 1 has a picture
behind 4 bytes for its type, 1 for JPEG and 2 for PNG. Event 4 has it behind JSON that tells the node and the prompt,
with the length of that JSON before it; a server sends it to those who say that they know it. The bytes of a picture
decide what it is. Sources: `protocol.py`, `server.py` (`send_image`, `send_image_with_metadata`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from imagegen_server.images.facts import read_facts

FEATURES = '{"type": "feature_flags", "data": {"supports_preview_metadata": true}}'
"""The first message to the server: what we know."""

_PICTURE, _PICTURE_WITH_METADATA = 1, 4
_WORD = 4
_MOST_METADATA = 64 * 1024
_MOST_TEXT = 4 * 1024 * 1024
"""Characters. Of an error the server tells the inputs of the node, too."""


@dataclass(frozen=True, slots=True)
class Told:
    """A text frame."""

    kind: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was pushed. `node` and `prompt_id` "" = not told."""

    data: bytes = field(repr=False)
    node: str = ""
    prompt_id: str = ""


def read_frame(message: str | bytes) -> Told | Picture | None:
    """Read a message; None = it is none that we know, or garbage."""
    return _read_text(message) if isinstance(message, str) else _read_binary(message)


def _read_text(message: str) -> Told | None:
    if len(message) > _MOST_TEXT:
        return None
    read = _object(message)
    kind, data = read.get("type"), read.get("data")
    return Told(kind, data) if isinstance(kind, str) and isinstance(data, Mapping) else None


def _read_binary(message: bytes) -> Picture | None:
    event, told = _word(message, 0), _word(message, _WORD)
    if told is None:
        return None
    if event == _PICTURE:
        return _picture(message[2 * _WORD :])
    if event == _PICTURE_WITH_METADATA and told <= min(_MOST_METADATA, len(message) - 2 * _WORD):
        metadata = _object(message[2 * _WORD : 2 * _WORD + told])
        return _picture(message[2 * _WORD + told :], text(metadata.get("node_id")), text(metadata.get("prompt_id")))
    return None


def _picture(data: bytes, node: str = "", prompt_id: str = "") -> Picture | None:
    return Picture(data, node, prompt_id) if read_facts(data) is not None else None


def _word(message: bytes, at: int) -> int | None:
    return int.from_bytes(message[at : at + _WORD], "big") if len(message) >= at + _WORD else None


def _object(message: str | bytes) -> Mapping[str, object]:
    try:
        read = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, Mapping) else {}


def text(value: object) -> str:
    """Take a text; "" = it is none."""
    return value if isinstance(value, str) else ""
