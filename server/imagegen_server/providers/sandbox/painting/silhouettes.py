"""Sharp forms, drawn as polygons at a multiple of the resolution and kept as coverage of whole rows."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .colour import Floats
from .frame import Frame

_MOST_SAMPLES = 48_000_000
"""Samples of one sheet; a larger one is drawn with fewer samples a pixel."""


class Sheet:
    """Some rows of the picture on which forms are drawn. Coordinates are those of the frame (y 0 to 1)."""

    def __init__(self, frame: Frame, top: float, bottom: float) -> None:
        """Take the rows from `top` to `bottom`."""
        self.first = min(max(int(top * frame.height) - 1, 0), frame.height - 1)
        self.last = min(max(int(np.ceil(bottom * frame.height)) + 1, self.first + 1), frame.height)
        rows = self.last - self.first
        self._samples = next(n for n in (4, 3, 2, 1) if n == 1 or n * n * rows * frame.width <= _MOST_SAMPLES)
        self._size = (frame.width, rows)
        self._image = Image.new("L", (frame.width * self._samples, rows * self._samples), 0)
        self._draw = ImageDraw.Draw(self._image)
        self._x_scale = frame.width * self._samples / frame.aspect
        self._y_scale = frame.height * self._samples

    def polygon(self, points: Sequence[tuple[float, float]], value: float = 1.0) -> None:
        """Fill a polygon of (x, y) with a coverage from 0 to 1."""
        self._draw.polygon(self._places(points), fill=round(255 * value))

    def line(self, points: Sequence[tuple[float, float]], width: float, value: float = 1.0) -> None:
        """Draw a line of some width, in shares of the picture's height; never thinner than a sample."""
        self._draw.line(self._places(points), fill=round(255 * value), width=max(1, round(width * self._y_scale)))

    def box(self, left: float, top: float, right: float, bottom: float, value: float = 1.0) -> None:
        """Fill a rectangle; one thinner than a sample vanishes."""
        (x0, y0), (x1, y1) = self._places(((left, top), (right, bottom)))
        if x1 - x0 >= 1 and y1 - y0 >= 1:
            self._draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=round(255 * value))

    def disc(self, x: float, y: float, radius: float, value: float = 1.0) -> None:
        """Fill a circle."""
        (x0, y0), (x1, y1) = self._places(((x - radius, y - radius), (x + radius, y + radius)))
        self._draw.ellipse((x0, y0, x1, y1), fill=round(255 * value))

    def coverage(self) -> "Cover":
        """Finish the drawing."""
        image = self._image.reduce(self._samples) if self._samples > 1 else self._image
        return Cover(self.first, self.last, np.asarray(image))

    def _places(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        top = self.first * self._samples
        return [(round(x * self._x_scale), round(y * self._y_scale - top)) for x, y in points]


class Cover:
    """The coverage of whole rows by forms."""

    def __init__(self, first: int, last: int, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
        """Keep the rows from `first` to before `last`."""
        self.first = first
        self.last = last
        self._values = values

    def within(self, first: int, last: int) -> tuple[slice, Floats] | None:
        """The part of the rows first to last that is covered, and how far; None = none of it."""
        begin, end = max(first, self.first), min(last, self.last)
        if begin >= end:
            return None
        values = self._values[begin - self.first : end - self.first]
        if not values.any():
            return None
        return slice(begin - first, end - first), values.astype(np.float32) * np.float32(1 / 255)
