"""Pictures in a terminal, in half blocks: two pixels to a character."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image as Pillow
from rich_pixels import Pixels

_MOST_COLUMNS: Final = 72
_LINES_KEPT: Final = 4  # for the bar and what is written under a picture


def draw(data: bytes, *, columns: int, lines: int) -> Pixels | None:
    """The picture in `data`, fitted into a terminal of that many columns and lines; None if it cannot be shown."""
    try:
        with Pillow.open(io.BytesIO(data)) as picture:
            room = (min(columns, _MOST_COLUMNS), max(2, (lines - _LINES_KEPT) * 2))
            picture.draft("RGB", room)
            small = picture.convert("RGBA")
            small.thumbnail(room)
            drawn: Pixels = Pixels.from_image(small)
        return drawn
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        return None  # a picture that this terminal cannot show is no failure of the call
