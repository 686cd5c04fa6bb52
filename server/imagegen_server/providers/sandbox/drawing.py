"""The thread's side of the work: an order in, image files out."""

import math
from functools import cached_property

from PIL import Image

from imagegen_server.images.encoding import encode

from .order import Order
from .painting.composition import Composition, compose
from .painting.editing import Original
from .painting.frame import Frame
from .painting.palette import palette_of
from .painting.studio import paint
from .painting.words import read_mood
from .spoiling import padded_png, spoil
from .workers import Stop

_COARSEST = 32
"""The first preview has so many times fewer pixels a side than the picture."""

_SKETCH_PIXELS = 1024 * 1024
"""A larger picture is painted at this size first, so that its coarse previews do not wait for it."""

_WIDEST = 8.0
"""Width to height; a wider picture is this one, stretched, or there would be no end of houses and stars."""

_SHORTEST_SIDE = 48
"""Of what is painted, in pixels."""

_MOST_PIXELS_FINE = 2048 * 2048
"""Up to this size, quality "high" paints at twice the resolution, which takes four times as long."""

_DETAIL = {"low": 3, "medium": 6, "high": 8}
"""Octaves of noise, by options.quality."""


class Drawing:
    """One picture of an order, and its previews. Used by one thread at a time."""

    def __init__(self, order: Order, seed: int) -> None:
        """Remember what to draw; nothing is done before the first preview."""
        self._order = order
        self._seed = seed
        self._image: Image.Image | None = None
        self._sketch: Image.Image | None = None

    @property
    def _aspect(self) -> float:
        size = self._order.size
        return min(size.width / size.height, _WIDEST)

    @property
    def words(self) -> list[str]:
        """The words of the prompt that were understood."""
        return [*self._scene.mood.words]

    def preview(self, number: int, of: int, stop: Stop) -> bytes:
        """Make preview `number` (from 1) of so many: each finer than the one before, all as large as the picture."""
        shrink = _COARSEST ** (1 - (number - 1) / of)
        size = self._order.size
        coarse = max(round(size.width / shrink), 1), max(round(size.height / shrink), 1)
        source = self._sketched(stop)
        if source.width < coarse[0]:
            source = self._painted(stop)
        stop.check()
        coarse_image = source.resize(coarse, Image.Resampling.BOX)
        return self._encode(coarse_image.resize((size.width, size.height), Image.Resampling.BICUBIC))

    def final(self, stop: Stop) -> bytes:
        """Make the finished picture, and spoil it if that was ordered."""
        image = self._painted(stop)
        stop.check()
        data = self._encode(image)
        if self._order.size_bytes is not None:
            data = padded_png(data, self._order.size_bytes)
        return spoil(data, self._order.spoil)

    def _painted(self, stop: Stop) -> Image.Image:
        """The picture, painted once."""
        if self._image is None:
            self._image = self._paint(self._order.size.width, self._order.size.height, stop)
        return self._image

    def _sketched(self, stop: Stop) -> Image.Image:
        """The picture itself, or a smaller painting of it as long as that takes much less time."""
        size = self._order.size
        if self._image is not None or size.width * size.height <= 2 * _SKETCH_PIXELS:
            return self._painted(stop)
        if self._sketch is None:
            shrink = math.sqrt(_SKETCH_PIXELS / (size.width * size.height))
            self._sketch = self._paint(max(round(size.width * shrink), 1), max(round(size.height * shrink), 1), stop)
        return self._sketch

    def _paint(self, width: int, height: int, stop: Stop) -> Image.Image:
        """Paint at some size; a very small picture is painted larger and reduced, or its forms would be lost."""
        order = self._order
        times = math.ceil(_SHORTEST_SIDE / min(width, height))
        if order.quality == "high" and width * height <= _MOST_PIXELS_FINE:
            times = max(times, 2)
        grain = order.quality != "low"
        frame = Frame(width * times, height * times, self._aspect, _DETAIL[order.quality])
        if self._original is None:
            image = paint(frame, self._scene, stop.check, transparent=order.transparent, grain=grain)
        elif self._original.is_masked:
            image = paint(frame, self._scene, stop.check, transparent=False, grain=grain)
        else:
            image = self._original.relit(frame, self._scene, stop.check)
        image = image.reduce(times) if times > 1 else image
        if self._original is not None and self._original.is_masked:
            image = self._original.with_scene(image)
        return image

    def _encode(self, image: Image.Image) -> bytes:
        return encode(image, self._order.format, self._order.compression)

    @cached_property
    def _original(self) -> Original | None:
        order = self._order
        return Original(order.images, order.mask) if order.images else None

    @cached_property
    def _scene(self) -> Composition:
        order = self._order
        mood = read_mood(order.prompt, order.negative_prompt)
        palette = palette_of(mood)
        if self._original is not None:
            palette = self._original.bend(palette)
        return compose(mood, palette, self._seed, self._aspect)
