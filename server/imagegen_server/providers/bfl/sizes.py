"""Sizes in pixels that a model draws, and the size that a ratio and a resolution mean where the vendor knows neither.

Sources: `width` and `height` in the vendor's OpenAPI document, and docs.bfl.ai on FLUX.2 (multiples of 16, at most 4
megapixels).
"""

import math
import re
from dataclasses import dataclass

from imagegen_server.domain.task import PixelSize

PIXELS_OF_RESOLUTION = {"1K": 1024 * 1024, "2K": 2048 * 2048}
_LONGEST_CHOSEN = 2048
"""No longer side is chosen here: the vendor says 4 megapixels, and its examples have no longer one."""

_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")
_STEEPEST = 8


@dataclass(frozen=True, slots=True)
class Grid:
    """Sizes that a model draws, in pixels: sides are multiples of `step` from `least` to `longest`. None = no limit."""

    step: int
    least: int
    longest: int | None = None
    most_pixels: int | None = None

    def why_refused(self, size: PixelSize) -> str:
        """Say which rule a size breaks; "" = none that the vendor documents."""
        sides = (size.width, size.height)
        if any(side % self.step for side in sides):
            return f"{size}: width and height must be multiples of {self.step}"
        if min(sides) < self.least:
            return f"{size}: at least {self.least} pixels a side"
        if self.longest is not None and max(sides) > self.longest:
            return f"{size}: at most {self.longest} pixels a side"
        if self.most_pixels is not None and size.width * size.height > self.most_pixels:
            return f"{size}: at most {self.most_pixels:,} pixels in all"
        return ""

    def size_of(self, ratio: tuple[int, int], pixels: int) -> PixelSize:
        """Choose a size of about this ratio, with at most so many pixels."""
        steepness = max(ratio) / min(ratio)
        longest = min(self.longest or _LONGEST_CHOSEN, _LONGEST_CHOSEN)
        longer = int(min(math.sqrt(pixels * steepness), longest)) // self.step * self.step
        shorter = max(round(longer / steepness / self.step) * self.step, self.least)
        if longer * shorter > pixels and shorter > self.least:
            shorter -= self.step
        return PixelSize(longer, shorter) if ratio[0] >= ratio[1] else PixelSize(shorter, longer)


def read_ratio(text: str) -> tuple[int, int] | None:
    """Read "16:9"; None = it is no ratio, or steeper than any picture here."""
    match = _RATIO.fullmatch(text)
    ratio = (int(match[1]), int(match[2])) if match else (1, 1)
    return ratio if match and max(ratio) <= _STEEPEST * min(ratio) else None
