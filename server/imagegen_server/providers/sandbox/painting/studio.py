"""A whole picture, painted in bands of rows: memory and the time between two looks at `stop` stay small."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from .colour import Floats
from .composition import Composition
from .frame import Frame
from .land import Land
from .noise import stream
from .sky import Sky
from .water import Water

_PIXELS_OF_BAND = 65_536


def paint(frame: Frame, scene: Composition, check: Callable[[], None], *, transparent: bool = False) -> Image.Image:
    """Paint the picture. `check` is called between bands and may raise."""
    sky = Sky(frame, scene)
    check()
    lands = [Land(frame, scene, ridge) for ridge in scene.ridges]
    water = Water(frame, scene) if scene.has_water else None
    end = water.first_row if water else frame.height
    canvas = np.empty((frame.height, frame.width, 4 if transparent else 3), np.uint8)
    band = max(2, _PIXELS_OF_BAND // frame.width // 2 * 2)
    # From the waterline upwards, so that the mirror is filled in whole pairs of rows; then the water downwards.
    for last in range(end, 0, -band):
        check()
        first = max(last - band, 0)
        pixels = sky.paint(first, last)
        alpha = np.zeros(pixels.shape[:2], np.float32) if transparent else None
        for land in lands:
            land.paint(pixels, alpha, first, last)
        if water:
            water.reflect(pixels, last)
        _develop(canvas, pixels, alpha, frame, scene, first, last)
    if water:
        for first in range(end, frame.height, band):
            check()
            last = min(first + band, frame.height)
            pixels = water.paint(first, last)
            alpha = np.ones(pixels.shape[:2], np.float32) if transparent else None
            _develop(canvas, pixels, alpha, frame, scene, first, last)
    return Image.fromarray(canvas)


def _develop(
    canvas: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    pixels: Floats,
    alpha: Floats | None,
    frame: Frame,
    scene: Composition,
    first: int,
    last: int,
) -> None:
    """Darken the corners, add grain, and round to bytes; the grain also keeps soft gradients from showing steps."""
    across = frame.columns / np.float32(scene.aspect) * 2 - 1
    down = frame.rows(first, last) * 2 - 1
    corners = np.float32(255) * (1 - 0.17 * (down * down)[:, None] * 0.6 - 0.17 * (across * across)[None, :])
    pixels *= corners[..., None]
    random = stream(scene.seed, f"grain {first}")
    grain = random.random(pixels.shape[:2], np.float32)
    grain += random.random(pixels.shape[:2], np.float32)
    grain -= np.float32(1)
    grain *= np.float32(2.2 if frame.detail > 3 else 0.7)
    pixels += grain[..., None]
    pixels += np.float32(0.5)
    np.clip(pixels, 0, 255, out=pixels)
    canvas[first:last, :, :3] = pixels
    if alpha is not None:
        canvas[first:last, :, 3] = alpha * 255 + np.float32(0.5)
