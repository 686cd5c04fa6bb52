"""A whole picture, painted in bands of rows: memory and the time between two looks at `stop` stay small."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from .city import build_city
from .colour import Floats
from .composition import Composition
from .figures import populate
from .forms import Forms
from .frame import Frame
from .jetty import build_jetty
from .land import Land
from .noise import stream
from .sky import Sky
from .village import build_lighthouse, build_village, has_harbour, moor_boats
from .water import Water
from .weather import Fog, Lightning, add_weather
from .words import Motif

_PIXELS_OF_BAND = 65_536

_GRAIN, _FINEST_GRAIN = 2.2, 0.6
"""In steps of the 256 that a byte has."""


def paint(
    frame: Frame, scene: Composition, check: Callable[[], None], *, transparent: bool, grain: bool
) -> Image.Image:
    """Paint the picture. `check` is called between bands and may raise. `transparent`: the sky is left out."""
    view = _View(frame, scene, check)
    canvas = np.empty((frame.height, frame.width, 4 if transparent else 3), np.uint8)
    band = max(2, _PIXELS_OF_BAND // frame.width // 2 * 2)
    # From the waterline upwards, so that the mirror is filled in whole pairs of rows; then the water downwards.
    bands = [(max(last - band, 0), last) for last in range(view.shore, 0, -band)]
    bands += [(first, min(first + band, frame.height)) for first in range(view.shore, frame.height, band)]
    for first, last in bands:
        check()
        alpha = np.zeros((last - first, frame.width), np.float32) if transparent else None
        pixels = view.paint(alpha, first, last)
        _darken_corners(pixels, frame, scene, first, last)
        _dither(pixels, stream(scene.seed, f"grain {first}"), _GRAIN if grain else _FINEST_GRAIN)
        canvas[first:last, :, :3] = pixels
        if alpha is not None:
            canvas[first:last, :, 3] = alpha * 255 + np.float32(0.5)
    return Image.fromarray(canvas)


class _View:
    """Everything that stands in the scene, in the order in which it is painted."""

    def __init__(self, frame: Frame, scene: Composition, check: Callable[[], None]) -> None:
        self._scene = scene
        self._sky = Sky(frame, scene, check)
        check()
        self._lands = [Land(frame, scene, ridge) for ridge in scene.ridges]
        self._lightning = Lightning(frame, scene) if scene.shows(Motif.LIGHTNING) else None
        check()
        self._far = Forms()
        if scene.shows(Motif.CITY):
            build_city(frame, scene, self._far)
        if scene.shows(Motif.VILLAGE):
            build_village(frame, scene, self._far, self._lands[scene.town_at - 1].outline)
        if has_harbour(scene):
            moor_boats(frame, scene, self._far)
        if scene.shows(Motif.LIGHTHOUSE) and scene.has_water:
            build_lighthouse(frame, scene, self._far)
        check()
        self._fog = Fog(frame, scene)
        self._near = Forms()
        self._water = Water(frame, scene) if scene.has_water else None
        self.shore = self._water.first_row if self._water else frame.height
        if has_harbour(scene):
            build_jetty(frame, scene, self._near)
        mirrored = populate(frame, scene, self._near)
        add_weather(frame, scene, self._near)
        if self._water:
            self._water.mirrored = mirrored

    def paint(self, alpha: Floats | None, first: int, last: int) -> Floats:
        """Paint some rows, all above or all below the shore."""
        if self._water and first >= self.shore:
            pixels = self._water.paint(first, last)
            if alpha is not None:
                alpha[:] = 1
        else:
            pixels = self._sky.paint(first, last)
            if self._lightning:
                self._lightning.paint(pixels, first, last)
            for land in self._lands[: self._scene.town_at]:
                land.paint(pixels, alpha, first, last)
            self._far.paint(pixels, alpha, first, last)
            for land in self._lands[self._scene.town_at :]:
                land.paint(pixels, alpha, first, last)
            self._fog.paint(pixels, alpha, first, last)
            if self._water:
                self._water.reflect(pixels, last)
        self._near.paint(pixels, alpha, first, last)
        return pixels


def _darken_corners(pixels: Floats, frame: Frame, scene: Composition, first: int, last: int) -> None:
    across = frame.columns / np.float32(scene.aspect) * 2 - 1
    down = frame.rows(first, last) * 2 - 1
    pixels *= (1 - 0.1 * (down * down)[:, None] - 0.17 * (across * across)[None, :])[..., None]


def _dither(pixels: Floats, random: np.random.Generator, strength: float) -> None:
    """Scale to bytes with some grain, which keeps soft gradients from showing steps."""
    grain = random.random(pixels.shape[:2], np.float32)
    grain += random.random(pixels.shape[:2], np.float32)
    grain -= np.float32(1)
    grain *= np.float32(strength)
    grain += np.float32(0.5)
    pixels *= np.float32(255)
    pixels += grain[..., None]
    np.clip(pixels, 0, 255, out=pixels)
