"""Edits: a scene painted into the masked part of a picture, or a whole picture put into the light of a scene."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.images.decoding import UnreadableImage, decode
from imagegen_server.images.masks import read_mask

from .colour import Floats, add_light, luminance, mix
from .composition import Composition
from .figures import inflate_balloons, release_birds
from .forms import Forms
from .frame import Frame
from .palette import Palette, graded
from .weather import Fog, add_weather
from .words import Motif

_ROWS_OF_BAND = 64

_STRENGTH = 0.62
"""How far a picture takes on the colours of the light."""

_REFERENCE_STRENGTH = 0.45
"""How far the scene takes on the colours of the other images."""


class Original:
    """What is edited: the first image, where it may change, and images for reference."""

    def __init__(self, images: tuple[bytes, ...], mask: bytes | None) -> None:
        """Decode them.

        :raises ImageError: INVALID_REQUEST with a violation for each that cannot be read
        """
        violations: list[Violation] = []
        pictures: list[Image.Image] = []
        for index, data in enumerate(images):
            try:
                picture = decode(data)
            except UnreadableImage as error:
                violations.append(Violation(f"input.images[{index}]", str(error)))
            else:
                pictures.append(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))
        self._mask: Image.Image | None = None
        if mask is not None:
            try:
                self._mask = read_mask(mask).image()
            except UnreadableImage as error:
                violations.append(Violation("input.mask", str(error)))
        if violations:
            raise ImageError(Reason.INVALID_REQUEST, "an input image cannot be read", violations=violations)
        self._picture, *self._references = pictures

    @property
    def is_masked(self) -> bool:
        """Only a part may change: a scene is painted there."""
        return self._mask is not None

    def bend(self, palette: Palette) -> Palette:
        """Bend a palette towards the colours of the reference images."""
        for reference in self._references:
            tiny = np.asarray(reference.convert("RGB").resize((16, 16), Image.Resampling.BOX), np.float32) / 255
            # Vivid colours count for more than grey ones.
            weight = tiny.max(axis=2) - tiny.min(axis=2) + 0.05
            tone = np.average(tiny.reshape(-1, 3), axis=0, weights=weight.ravel()).astype(np.float32)
            palette = graded(palette, tone, _REFERENCE_STRENGTH)
        return palette

    def with_scene(self, scene: Image.Image) -> Image.Image:
        """The picture, at the size of the scene, with the scene where the mask lets it change.

        Where the mask is 0, the pixels stay exactly what they were.
        """
        picture = self._sized(scene.size)
        if self._mask is None:
            return scene
        mask = self._mask if self._mask.size == scene.size else self._mask.resize(scene.size, Image.Resampling.BOX)
        return Image.composite(scene.convert(picture.mode), picture, mask)

    def relit(self, frame: Frame, scene: Composition, check: Callable[[], None]) -> Image.Image:
        """The whole picture in the light, the colours and the weather of the scene."""
        picture = self._sized((frame.width, frame.height))
        source = np.asarray(picture)
        result = source.copy()
        table = _toning(scene.palette)
        air = Fog(frame, scene)
        forms = Forms()
        if scene.shows(Motif.BALLOONS):
            inflate_balloons(frame, scene, forms)
        if scene.shows(Motif.BIRDS):
            release_birds(frame, scene, forms)
        add_weather(frame, scene, forms)
        for first in range(0, frame.height, _ROWS_OF_BAND):
            check()
            last = min(first + _ROWS_OF_BAND, frame.height)
            pixels = source[first:last, :, :3].astype(np.float32) / np.float32(255)
            tones = table[np.clip(luminance(pixels) * 255, 0, 255).astype(np.uint8)]
            pixels += (tones - pixels) * np.float32(_STRENGTH)
            rows = frame.rows(first, last)[:, None] - np.float32(scene.light_y)
            away = np.hypot(rows, (frame.columns - np.float32(scene.light_x))[None, :])
            add_light(pixels, scene.palette.light, (scene.palette.glow * 0.5 * np.exp(-away * 3.2)).astype(np.float32))
            if scene.shows(Motif.FOG):
                air.paint(pixels, None, first, last)
            forms.paint(pixels, None, first, last)
            result[first:last, :, :3] = np.clip(pixels * 255 + np.float32(0.5), 0, 255)
        return Image.fromarray(result)

    def _sized(self, size: tuple[int, int]) -> Image.Image:
        """The picture itself, or smaller for a preview."""
        return self._picture if self._picture.size == size else self._picture.resize(size, Image.Resampling.BOX)


def _toning(palette: Palette) -> Floats:
    """A colour for each brightness: shadows like the land, lights like the sky at the horizon."""
    stops = (
        palette.land * np.float32(0.35),
        palette.land,
        mix(palette.haze, palette.upper, 0.3),
        palette.horizon,
        palette.light,
    )
    places = (0, 60, 140, 215, 255)
    brightness = np.arange(256)
    return np.stack(
        [np.interp(brightness, places, [stop[channel] for stop in stops]) for channel in range(3)], axis=1
    ).astype(np.float32)
