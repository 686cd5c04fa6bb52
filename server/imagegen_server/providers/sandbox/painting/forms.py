"""Covers and points of light with their colours, in the order in which they are painted."""

from dataclasses import dataclass, field

import numpy as np

from .colour import Floats, add_light, lay_over
from .frame import Frame
from .silhouettes import Cover


@dataclass(frozen=True, slots=True)
class Forms:
    """What stands in the picture, far things first."""

    covers: list[tuple[Cover, Floats]] = field(default_factory=list)
    lights: list["Lights"] = field(default_factory=list)

    def paint(self, pixels: Floats, alpha: Floats | None, first: int, last: int) -> None:
        """Paint some rows of it all."""
        for cover, paint in self.covers:
            part = cover.within(first, last)
            if part is None:
                continue
            rows, columns, covered = part
            lay_over(pixels[rows, columns], paint, covered)
            if alpha is not None:
                np.maximum(alpha[rows, columns], covered, out=alpha[rows, columns])
        for lights in self.lights:
            lights.paint(pixels, first, last)


class Lights:
    """Round soft points of light of one colour: stars, lamps."""

    def __init__(self, frame: Frame, places: Floats, paint: Floats) -> None:
        """Take rows of y, x, radius, brightness, in shares of the height; brightness from 0 to 1."""
        self._frame = frame
        self._places = places[np.argsort(places[:, 0])]
        self._paint = paint

    def paint(self, pixels: Floats, first: int, last: int) -> None:
        """Add the light that falls on some rows."""
        if not len(self._places):
            return
        height = self._frame.height
        reach = float(self._places[:, 2].max()) * 3 + 1.5 / height
        begin, end = np.searchsorted(self._places[:, 0], (first / height - reach, last / height + reach))
        for y, x, size, bright in self._places[begin:end]:
            self._add(pixels, y * height - first, x * self._frame.width / self._frame.aspect, size * height, bright)

    def _add(self, pixels: Floats, row: float, column: float, radius: float, bright: float) -> None:
        # A point smaller than a pixel is a pixel that is less bright.
        bright *= min(1.0, (radius / 0.42) ** 2)
        radius = max(radius, 0.42)
        reach = int(np.ceil(radius * 3))
        top, left = max(int(row) - reach, 0), max(int(column) - reach, 0)
        patch = pixels[top : max(int(row) + reach + 1, 0), left : max(int(column) + reach + 1, 0)]
        if not patch.size:
            return
        down = (np.arange(top, top + patch.shape[0], dtype=np.float32) + np.float32(0.5 - row)) ** 2
        right = (np.arange(left, left + patch.shape[1], dtype=np.float32) + np.float32(0.5 - column)) ** 2
        spread = np.float32(-0.5 / (radius * radius))
        shine = np.exp(down * spread)[:, None] * (np.exp(right * spread) * np.float32(bright))[None, :]
        add_light(patch, self._paint, shine)
