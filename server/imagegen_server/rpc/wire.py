"""Looking at a request before it is parsed: what is not image bytes must be small.

Parsed and walked, 60 MiB of tiny fields would hold the server up for many seconds and take gigabytes. The wire format:
https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Mapping
from typing import TypeAlias

MAX_BESIDE_IMAGES = 1024 * 1024
"""Bytes of a request that are no image: prompts, options, params, ids, and unknown fields."""

BULK = None
"""Stands for a field that holds image bytes."""

Paths: TypeAlias = "Mapping[int, Paths | None]"

IMAGE_SOURCE: Paths = {15: BULK}
EDIT_REQUEST: Paths = {2: {2: IMAGE_SOURCE, 3: IMAGE_SOURCE}}
EXPLAIN_REQUEST: Paths = {2: EDIT_REQUEST}
UPLOAD_REQUEST: Paths = {15: BULK}

IMAGES_OF: Mapping[str, Paths] = {
    "Edit": EDIT_REQUEST,
    "StreamEdit": EDIT_REQUEST,
    "Explain": EXPLAIN_REQUEST,
    "UploadImage": UPLOAD_REQUEST,
}
"""By method: where its request holds image bytes."""

_MOST_FIELDS = 20_000
"""Of one message: a million of the smallest ones takes half a second to walk, and no honest request comes near."""

_LENGTH_DELIMITED = 2
_FIXED_SIZES = {1: 8, 5: 4}
_VARINT = 0


def bytes_beside_images(data: bytes, paths: Paths) -> int:
    """Count the bytes of a message outside the image fields that `paths` leads to.

    Stops counting soon after MAX_BESIDE_IMAGES. A message that does not follow the wire format, or has very many
    fields, is counted whole.
    """
    try:
        return _count(memoryview(data), paths)
    except (IndexError, ValueError):
        return len(data)


def _count(data: memoryview, paths: Paths) -> int:
    at = counted = fields = 0
    while at < len(data) and counted <= MAX_BESIDE_IMAGES:
        start = at
        fields += 1
        if fields > _MOST_FIELDS:
            raise ValueError("too many fields")
        tag, at = _varint(data, at)
        field, kind = tag >> 3, tag & 7
        if kind == _LENGTH_DELIMITED:
            size, at = _varint(data, at)
            counted += at - start
            inside = data[at : at + size]
            at += size
            if at > len(data):
                raise ValueError("cut short")
            if field not in paths:
                counted += size
            elif (deeper := paths[field]) is not BULK:
                counted += _count(inside, deeper)
            continue
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind in _FIXED_SIZES:
            at += _FIXED_SIZES[kind]
        else:
            raise ValueError("no such wire type")
        if at > len(data):
            raise ValueError("cut short")
        counted += at - start
    return counted


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return value, at
        shift += 7
        if shift > 63:  # noqa: PLR2004 - ten bytes at most
            raise ValueError("no varint")
