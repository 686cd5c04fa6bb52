"""A jetty in the foreground of a harbour: it leads the eye into the picture."""

import numpy as np

from .colour import colour, mix
from .composition import Composition
from .forms import Forms, Lights
from .frame import Frame
from .silhouettes import Sheet

_LAMP = colour("#ffb968")
_END, _START = 0.845, 1.01
"""Where it ends in the water and where it leaves the picture, as y."""


def build_jetty(frame: Frame, scene: Composition, forms: Forms) -> None:
    """Build it from the lower corner on the side of the near land, with a lantern at its end."""
    palette = scene.palette

    def at(along: float, across: float, above: float = 0.0) -> tuple[float, float]:
        """A place on the deck: along 0 = far end to 1 = viewer, across 0 = open water to 1 = land."""
        y = _END + (_START - _END) * along**1.25
        left, right = 0.215 + 0.07 * along, 0.29 + 0.33 * along
        return scene.aspect * (0.5 + scene.side * (left + (right - left) * across)), y - above * (0.35 + 0.9 * along)

    def edge(across: float, above: float = 0.0) -> list[tuple[float, float]]:
        return [at(step / 12, across, above) for step in range(13)]

    shadow, piles, side, deck, gaps = (Sheet(frame) for _ in range(5))
    shadow.polygon([*edge(0, -0.06), at(1, 1), at(0, 1, -0.05)], 0.5)
    for step in range(6):
        along = step / 5 * 0.96 + 0.01
        for across in (0.0, 1.0):
            (x, y), (_, upper) = at(along, across, -0.05), at(along, across, 0.05)
            half = 0.004 * (0.6 + 1.1 * along)
            piles.box(x - half, upper, x + half, y)
    side.polygon([*edge(0), *reversed(edge(0, -0.016))])
    side.polygon([at(0, 0), at(0, 1), at(0, 1, -0.016), at(0, 0, -0.016)])
    deck.polygon([*edge(0), *reversed(edge(1))])
    for step in range(1, 30):
        along = (step / 30) ** 1.15
        gaps.line([at(along, 0.01), at(along, 0.99)], 0.0008 + 0.0008 * along, 0.5)
    x, y = at(0.0, 0.12)
    piles.box(x - 0.0016, y - 0.075, x + 0.0016, y)
    piles.box(x - 0.005, y - 0.088, x + 0.005, y - 0.0865)
    dark = palette.land * np.float32(0.72)
    forms.covers.append((shadow.coverage(), mix(palette.land, palette.upper, 0.25)))
    forms.covers.append((piles.coverage(), dark))
    forms.covers.append((side.coverage(), dark * np.float32(0.8)))
    forms.covers.append((deck.coverage(), mix(palette.land, palette.lower, 0.2)))
    forms.covers.append((gaps.coverage(), dark))
    if palette.lamps:
        lamp = (y - 0.08, x)
        places = [(*lamp, 0.0042, 1.0), (*lamp, 0.012, 0.6 * palette.lamps), (*lamp, 0.05, 0.25 * palette.lamps)]
        forms.lights.append(Lights(frame, np.array(places, np.float32), _LAMP))
