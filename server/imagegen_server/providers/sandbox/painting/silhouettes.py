"""Sharp forms, drawn as polygons at a multiple of the resolution and kept as coverage of a part of the picture."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .colour import Floats
from .frame import Frame

_MOST_SAMPLES = 36_000_000
"""Samples of one sheet; a larger one is drawn with fewer samples a pixel."""

Point: TypeAlias = tuple[float, float]
"""x, y as in the frame: y from 0 at the top to 1."""


class Sheet:
    """Forms of one colour. They are collected first, so that only the part of the picture they need is drawn."""

    def __init__(self, frame: Frame, samples: int = 4) -> None:
        """Begin an empty sheet with at most so many samples along each side of a pixel."""
        self._frame = frame
        self._samples = samples
        self._forms: list[Callable[[_Pen], None]] = []
        self._left, self._top, self._right, self._bottom = frame.aspect, 1.0, 0.0, 0.0

    def polygon(self, points: Sequence[Point], value: float = 1.0) -> None:
        """Fill a polygon with a coverage from 0 to 1."""
        self._enclose(points, 0.0)
        self._forms.append(lambda pen: pen.draw.polygon(pen.places(points), fill=round(255 * value)))

    def line(self, points: Sequence[Point], width: float, value: float = 1.0) -> None:
        """Draw a line of some width, in shares of the picture's height; never thinner than a sample."""
        self._enclose(points, width)
        self._forms.append(
            lambda pen: pen.draw.line(
                pen.places(points), fill=round(255 * value), width=max(1, round(width * pen.scale))
            )
        )

    def box(self, left: float, top: float, right: float, bottom: float, value: float = 1.0) -> None:
        """Fill a rectangle; one thinner than a sample vanishes."""
        corners = ((left, top), (right, bottom))
        self._enclose(corners, 0.0)

        def fill(pen: "_Pen") -> None:
            (x0, y0), (x1, y1) = pen.places(corners)
            if x1 - x0 >= 1 and y1 - y0 >= 1:
                pen.draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=round(255 * value))

        self._forms.append(fill)

    def disc(self, x: float, y: float, radius: float, value: float = 1.0) -> None:
        """Fill a circle."""
        corners = ((x - radius, y - radius), (x + radius, y + radius))
        self._enclose(corners, 0.0)
        self._forms.append(lambda pen: pen.draw.ellipse([*pen.places(corners)], fill=round(255 * value)))

    def coverage(self) -> "Cover":
        """Draw it."""
        frame = self._frame
        first = min(max(int(self._top * frame.height) - 1, 0), frame.height)
        last = min(max(int(np.ceil(self._bottom * frame.height)) + 1, first), frame.height)
        across = frame.width / frame.aspect
        left = min(max(int(self._left * across) - 1, 0), frame.width)
        right = min(max(int(np.ceil(self._right * across)) + 1, left), frame.width)
        if first == last or left == right:
            return Cover(first, left, np.zeros((0, 0), np.uint8))
        pixels = (last - first) * (right - left)
        samples = next(n for n in range(self._samples, 0, -1) if n == 1 or n * n * pixels <= _MOST_SAMPLES)
        image = Image.new("L", ((right - left) * samples, (last - first) * samples), 0)
        pen = _Pen(ImageDraw.Draw(image), across * samples, frame.height * samples, left * samples, first * samples)
        for form in self._forms:
            form(pen)
        return Cover(first, left, np.asarray(image.reduce(samples) if samples > 1 else image))

    def _enclose(self, points: Sequence[Point], margin: float) -> None:
        for x, y in points:
            self._left, self._right = min(self._left, x - margin), max(self._right, x + margin)
            self._top, self._bottom = min(self._top, y - margin), max(self._bottom, y + margin)


class _Pen:
    """Draws on the samples of a part of the picture."""

    def __init__(self, draw: ImageDraw.ImageDraw, across: float, scale: float, left: int, top: int) -> None:
        self.draw = draw
        self.scale = scale
        self._across = across
        self._left = left
        self._top = top

    def places(self, points: Sequence[Point]) -> list[Point]:
        """Where points of the frame are."""
        return [(round(x * self._across - self._left), round(y * self.scale - self._top)) for x, y in points]


class Cover:
    """How far forms cover the pixels of a part of the picture, from 0 to 255."""

    def __init__(self, first: int, left: int, values: NDArray[np.uint8]) -> None:
        """Keep the values of the part that begins at row `first` and column `left`."""
        self.first = first
        self.left = left
        self.values = values

    def within(self, first: int, last: int) -> tuple[slice, slice, Floats] | None:
        """What it covers of the rows first to last: which of them, which columns, and how far; None = nothing."""
        begin, end = max(first, self.first), min(last, self.first + len(self.values))
        if begin >= end:
            return None
        values = self.values[begin - self.first : end - self.first]
        columns = slice(self.left, self.left + values.shape[1])
        return slice(begin - first, end - first), columns, values.astype(np.float32) * np.float32(1 / 255)
