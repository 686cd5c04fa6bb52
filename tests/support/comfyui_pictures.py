"""What the fake ComfyUI draws: a painter gets the graph, how far it is (above 1 = finished) and which of a batch."""

import io
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from PIL import Image

from .openai_wire import picture

Painter = Callable[[Mapping[str, Any], float, int], bytes]

SIDE = 16
COMMENT = b"Comment\0as the vendor drew it"
"""Stands in every preview, so that it can be seen that nobody wrote it anew."""


def plain(_graph: Mapping[str, Any], reached: float, index: int) -> bytes:
    """Draw a square of one shade: a PNG, or while it is not finished a JPEG that gets lighter."""
    return picture((SIDE, SIDE), "png", index) if reached > 1 else _preview(int(reached * 255))


@cache
def _preview(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (SIDE, SIDE), shade).save(file, "JPEG", comment=COMMENT)
    return file.getvalue()


def with_alpha_of(original: bytes, mask: bytes) -> bytes:
    """Put the transparency of a mask into a picture, as the server does for `/upload/mask`."""
    image = Image.open(io.BytesIO(original)).convert("RGBA")
    image.putalpha(Image.open(io.BytesIO(mask)).convert("RGBA").getchannel("A"))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
