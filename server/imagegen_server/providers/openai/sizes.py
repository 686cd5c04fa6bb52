"""Sizes that gpt-image-2 and later take, and the size that a ratio and a resolution mean.

Source: the description of `size` in the OpenAPI document (multiples of 16, 1:3 to 3:1, at most 3840x2160).
"""

import math
import re

from imagegen_server.domain.task import PixelSize

STEP = 16
LONGEST_SIDE = 3840
MOST_PIXELS = 3840 * 2160
LEAST_PIXELS = 655_360
STEEPEST = 3

_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")
_PIXELS_OF_RESOLUTION = {"1K": 1024 * 1024, "2K": 2048 * 2048, "4K": MOST_PIXELS}
_FURTHEST = 1.3
"""How far, as a factor, the pixels of an exact ratio may be from those wished for before the ratio is rounded."""


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
    """Choose the size nearest in pixels that has the ratio exactly, or, if none is near, the nearest ratio."""
    width, height = ratio
    wanted = _PIXELS_OF_RESOLUTION.get(resolution.upper(), _PIXELS_OF_RESOLUTION["1K"])
    exact = [
        PixelSize(STEP * width * factor, STEP * height * factor)
        for factor in range(1, LONGEST_SIDE // (STEP * max(width, height)) + 1)
    ]
    fitting = [size for size in exact if LEAST_PIXELS <= size.width * size.height <= MOST_PIXELS]
    if fitting:
        nearest = min(fitting, key=lambda size: abs(math.log(size.width * size.height / wanted)))
        if abs(math.log(nearest.width * nearest.height / wanted)) <= math.log(_FURTHEST):
            return nearest
    longer = min(math.sqrt(wanted * max(ratio) / min(ratio)), LONGEST_SIDE)
    sides = _multiple(longer), _multiple(longer * min(ratio) / max(ratio)) + STEP
    while why_refused(PixelSize(*sides)):
        sides = sides[0] - STEP, sides[1]
    return PixelSize(*sides) if width >= height else PixelSize(*reversed(sides))


def _multiple(side: float) -> int:
    return int(side) // STEP * STEP
