"""Sizes that gpt-image-2 and later take, and the size that a ratio and a resolution mean.

Source: the description of `size` in the OpenAPI document (multiples of 16, 1:3 to 3:1, at most 3840x2160).
"""

import math
import re
from collections.abc import Iterator

from imagegen_server.domain.task import PixelSize

STEP = 16
LONGEST_SIDE = 3840
MOST_PIXELS = 3840 * 2160
LEAST_PIXELS = 655_360
STEEPEST = 3

_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")
PIXELS_OF_RESOLUTION = {"1K": 1024 * 1024, "2K": 2048 * 2048, "4K": MOST_PIXELS}
_FURTHEST = 1.3
"""How far, as a factor, the pixels may be from those wished for, so that the ratio comes nearer."""


def why_refused(size: PixelSize) -> str:
    """Say which rule a size breaks; "" = none that the vendor documents."""
    if size.width % STEP or size.height % STEP:
        return f"{size}: width and height must be multiples of {STEP}"
    longer, shorter = max(size.width, size.height), min(size.width, size.height)
    if longer > STEEPEST * shorter:
        return f"{size}: no side may be more than {STEEPEST} times the other"
    if longer > LONGEST_SIDE or size.width * size.height > MOST_PIXELS:
        return f"{size}: at most {LONGEST_SIDE} pixels a side and {MOST_PIXELS:,} in all"
    return ""


def read_ratio(text: str) -> tuple[int, int] | None:
    """Read "16:9", reduced; None = it is no ratio, or steeper than the vendor draws."""
    if not (match := _RATIO.fullmatch(text)):
        return None
    width, height = int(match[1]), int(match[2])
    divisor = math.gcd(width, height)
    if max(width, height) > STEEPEST * min(width, height):
        return None
    return width // divisor, height // divisor


def size_of(ratio: tuple[int, int], resolution: str) -> PixelSize:
    """Choose the size of the nearest ratio, exact where it can be, among those near the pixels wished for."""
    steepness = max(ratio) / min(ratio)
    wanted = min(PIXELS_OF_RESOLUTION[resolution], LONGEST_SIDE**2 / steepness)

    def distance(sides: tuple[int, int]) -> tuple[float, float]:
        longer, shorter = sides
        # Rounded, so that an exact ratio is one however its division ends.
        off = round(abs(math.log(longer / shorter / steepness)), 9)
        return off, abs(math.log(longer * shorter / wanted))

    longer, shorter = min(_near(wanted, steepness), key=distance)
    return PixelSize(longer, shorter) if ratio[0] >= ratio[1] else PixelSize(shorter, longer)


def _near(wanted: float, steepness: float) -> Iterator[tuple[int, int]]:
    """Name sizes, longer side first, whose pixels are near those wanted, with two shorter sides for each longer one."""
    least, most = (math.sqrt(wanted * steepness * factor) for factor in (1 / _FURTHEST, _FURTHEST))
    for longer in range(_multiple(least), int(most) + STEP, STEP):
        below = _multiple(longer / steepness)
        for shorter in (below, below + STEP):
            near = wanted / _FURTHEST <= longer * shorter <= wanted * _FURTHEST
            if near and longer * shorter >= LEAST_PIXELS and not why_refused(PixelSize(longer, shorter)):
                yield longer, shorter


def _multiple(side: float) -> int:
    return int(side) // STEP * STEP
