"""Image files to pictures in memory, with limits: whatever a caller sends, memory stays bounded."""

import io
from typing import TYPE_CHECKING

from .facts import read_facts

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 64 * 1024 * 1024
"""Pixels of a picture that is decoded: 8192x8192, in RGBA 256 MiB. A larger one is refused before it takes memory."""

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
"""Pillow's names of what is decoded: the types that the API takes as input, and no parser beyond these."""


class UnreadableImage(ValueError):
    """The bytes are no picture that can be read here. The message says why, for people, without any of the bytes."""


def decode(data: bytes, *, most_pixels: int = MOST_PIXELS) -> "Image":
    """Decode a PNG, JPEG, WebP or GIF (its first frame) whole, with 8 bits a channel. EXIF orientation is not applied.

    :raises UnreadableImage: another type, damaged, cut short, or more pixels than `most_pixels`
    """
    facts = read_facts(data)
    if facts is None or facts.media_type not in _FORMATS:
        raise UnreadableImage("not a PNG, JPEG, WebP or GIF image")
    if facts.width is None or facts.height is None:
        raise UnreadableImage("the image is cut short in its header")
    _check_size(facts.width, facts.height, most_pixels)
    from PIL import Image as pillow  # noqa: N813, PLC0415 - imported on first use

    try:
        image = pillow.open(io.BytesIO(data), formats=(_FORMATS[facts.media_type],))
        # What the decoder will allocate may differ from what the first header said.
        _check_size(*image.size, most_pixels)
        image.load()
    except UnreadableImage:
        raise
    except Exception as error:
        # Decoders raise many things on damaged input; all mean the same to a caller.
        raise UnreadableImage("the image is damaged or cut short") from error
    # Pillow would clip 16 bits at 255 later on; scaled they keep their steps.
    return image.convert("I").point(lambda value: value * (1 / 256)).convert("L") if image.mode[0] == "I" else image


def _check_size(width: int, height: int, most_pixels: int) -> None:
    if width * height > most_pixels:
        raise UnreadableImage(f"{width}x{height} pixels are more than the {most_pixels:,} that are read")
