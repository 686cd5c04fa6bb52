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
from .spoiling import padded_png
from .workers import Stop

_COARSEST = 8
"""The first preview has so many times fewer pixels a side."""

_SHORTEST_SIDE = 48
"""Of what is painted, in pixels."""

_DETAIL = {"low": 3, "medium": 6, "high": 8}
"""Octaves of noise, by options.quality."""


class Drawing:
    """One picture of an order, and its previews. Used by one thread at a time."""

    def __init__(self, order: Order, seed: int) -> None:
        """Remember what to draw; nothing is done before the first preview."""
        self._order = order
        self._seed = seed

    @property
    def words(self) -> list[str]:
        """The words of the prompt that were understood."""
        return [*self._scene.mood.words]

    def preview(self, number: int, of: int, stop: Stop) -> bytes:
        """Draw preview `number` (from 1) of so many: each finer than the one before, all as large as the picture."""
        shrink = _COARSEST ** (1 - (number - 1) / of)
        size = self._order.size
        small = self._paint(max(round(size.width / shrink), 1), max(round(size.height / shrink), 1), stop, grain=False)
        stop.check()
        return self._encode(small.resize((size.width, size.height), Image.Resampling.BICUBIC))

    def final(self, stop: Stop) -> bytes:
        """Draw the finished picture."""
        size = self._order.size
        data = self._encode(self._paint(size.width, size.height, stop, grain=self._order.quality != "low"))
        return data if self._order.size_bytes is None else padded_png(data, self._order.size_bytes)

    def _paint(self, width: int, height: int, stop: Stop, *, grain: bool) -> Image.Image:
        """Paint at some size; a very small picture is painted larger and reduced, or its forms would be lost."""
        order = self._order
        times = math.ceil(_SHORTEST_SIDE / min(width, height))
        frame = Frame(width * times, height * times, order.size.width / order.size.height, _DETAIL[order.quality])
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
        return compose(mood, palette, self._seed, order.size.width / order.size.height)
