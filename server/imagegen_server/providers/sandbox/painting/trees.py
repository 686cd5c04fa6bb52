"""Trees along a ridge: conifers, or round crowns where the words ask for leaves."""

import numpy as np

from .colour import Floats, colour, mix
from .composition import Composition, Ridge
from .frame import Frame
from .noise import stream
from .silhouettes import Cover, Sheet
from .words import Motif

_FOLIAGE = colour("#c8642a")


def draw_trees(
    frame: Frame, scene: Composition, ridge: Ridge, columns: Floats, outline: Floats
) -> list[tuple[Cover, Floats]]:
    """Plant them on the outline, in groups, some taller than others. Returns what to paint, the back first."""
    random = stream(scene.seed, f"trees of {ridge.name}")
    palette = scene.palette
    leafy = scene.shows(Motif.LEAVES)
    count = int(scene.aspect / (ridge.trees * (0.3 if leafy else 0.21))) + 1
    dark, leaves, lit = (Sheet(frame) for _ in range(3))
    for place, tall, wide, lean in random.random((min(count, 900), 4)):
        x = place * scene.aspect
        ground = float(np.interp(x, columns, outline))
        if ground > ridge.foot - 0.004 and ridge.side:
            continue
        # Groups: tall where a slow wave is high.
        group = 0.72 + 0.28 * np.sin(x * 9 / (0.3 + ridge.near) + ridge.foot * 40)
        height = ridge.trees * (0.45 + 0.75 * tall**1.6) * group
        if leafy and tall > 0.25:
            _crown(random, (dark, leaves, lit), x, ground, height * 0.85, 1 if scene.light_x > x else -1)
        else:
            _conifer(
                dark,
                x,
                ground + 0.12 * height,
                height * 1.1,
                height * (0.17 + 0.08 * wide),
                (lean - 0.5) * 0.06 * height,
            )
    shade = mix(palette.haze, palette.land * np.float32(0.82), ridge.near**0.62)
    paints = [(dark.coverage(), shade)]
    if leafy:
        foliage = mix(palette.haze, mix(_FOLIAGE, palette.land, 0.42), ridge.near**0.5)
        paints += [(leaves.coverage(), foliage), (lit.coverage(), mix(foliage, palette.light, 0.28))]
    return paints


def _crown(
    random: np.random.Generator,
    sheets: tuple[Sheet, Sheet, Sheet],
    x: float,
    foot: float,
    height: float,
    towards_light: int,
) -> None:
    """A trunk under a cloud of leaves, brighter on the side of the light."""
    dark, leaves, lit = sheets
    dark.line([(x, foot + 0.1 * height), (x, foot - 0.45 * height)], height * 0.06)
    for across, up, size, bright in random.random((14, 4)):
        middle = x + height * 0.52 * (across - 0.5)
        y = foot - height * (0.42 + 0.46 * up * (1 - abs(across - 0.5)))
        radius = height * (0.085 + 0.085 * size)
        dark.disc(middle - towards_light * radius * 0.3, y + radius * 0.35, radius)
        leaves.disc(middle, y, radius * 0.92)
        if bright > 0.3:
            lit.disc(middle + towards_light * radius * 0.34, y - radius * 0.36, radius * 0.5, 0.75)


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
