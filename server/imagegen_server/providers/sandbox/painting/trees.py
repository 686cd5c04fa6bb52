"""Conifers along a ridge."""

import numpy as np

from .colour import Floats
from .composition import Composition, Ridge
from .frame import Frame
from .noise import stream
from .silhouettes import Cover, Sheet


def draw_trees(frame: Frame, scene: Composition, ridge: Ridge, columns: Floats, outline: Floats) -> Cover:
    """Plant them on the outline, in groups, some taller than others."""
    random = stream(scene.seed, f"trees of {ridge.name}")
    count = int(scene.aspect / (ridge.trees * 0.21)) + 1
    places = random.random((min(count, 900), 4))
    sheet = Sheet(frame, float(outline.min()) - ridge.trees * 1.6, float(min(outline.max() + 0.01, 1)))
    for place, tall, wide, lean in places:
        x = place * scene.aspect
        ground = float(np.interp(x, columns, outline))
        if ground > ridge.foot - 0.004 and ridge.side:
            continue
        # Groups: tall where a slow wave is high.
        group = 0.72 + 0.28 * np.sin(x * 9 / (0.3 + ridge.near) + ridge.foot * 40)
        height = ridge.trees * (0.45 + 0.75 * tall**1.6) * group
        _conifer(sheet, x, ground + 0.12 * height, height * 1.1, height * (0.17 + 0.08 * wide), (lean - 0.5) * 0.06 * height)
    return sheet.coverage()


def _conifer(sheet: Sheet, x: float, foot: float, height: float, half_width: float, lean: float) -> None:
    """Branches in tiers that widen downwards, each drooping over the next."""
    tiers = 7
    left: list[tuple[float, float]] = []
    right: list[tuple[float, float]] = []
    for tier in range(1, tiers + 1):
        share = tier / tiers
        y = foot - height * (1 - share * 0.94)
        wide = half_width * share**0.9
        middle = x + lean * (1 - share)
        left += [(middle - wide, y), (middle - wide * 0.52, y - height * 0.035)]
        right += [(middle + wide, y), (middle + wide * 0.52, y - height * 0.035)]
    sheet.polygon([(x + lean, foot - height), *left, (x, foot), *reversed(right)])
