"""Water: the picture above it, upside down, broken by ripples, with the light glittering on it."""

import numpy as np

from .colour import Floats, add_light, lay_over, mix, smoothstep
from .composition import Composition
from .frame import Frame
from .noise import Noise, stream
from .silhouettes import Cover
from .words import Motif


class Water:
    """Collects what is painted above the waterline, and mirrors it."""

    def __init__(self, frame: Frame, scene: Composition) -> None:
        """Make room for the mirrored picture, at half the resolution: ripples hide the rest."""
        self._frame = frame
        self._scene = scene
        self.first_row = min(max(round(scene.horizon * frame.height), 1), frame.height)
        self._mirror = np.zeros(((self.first_row + 1) // 2, (frame.width + 1) // 2, 3), np.float32)
        self._noise = Noise(stream(scene.seed, "water"))
        self._rough = 0.45 if scene.shows(Motif.CALM) else 1.7 if scene.shows(Motif.WAVES) else 1.0
        self._columns = frame.columns
        self.mirrored: list[tuple[Cover, Floats]] = []
        """Mirror images of what floats, upside down already, with their colours."""

    def reflect(self, pixels: Floats, last: int) -> None:
        """Take in rows that end before row `last`; their number is even unless they begin at the top."""
        pixels = pixels[::-1]
        if len(pixels) % 2:
            pixels = np.concatenate([pixels, pixels[-1:]])
        if pixels.shape[1] % 2:
            pixels = np.concatenate([pixels, pixels[:, -1:]], axis=1)
        lines = pixels[0::2] + pixels[1::2]
        lines = (lines[:, 0::2] + lines[:, 1::2]) * np.float32(0.25)
        first = (self.first_row - last) // 2
        self._mirror[first : first + len(lines)] = lines

    def paint(self, first: int, last: int) -> Floats:
        """Paint some rows below the waterline."""
        scene, palette, frame = self._scene, self._scene.palette, self._frame
        rows = frame.rows(first, last)
        down = rows - np.float32(self.first_row / frame.height)
        share = down / np.float32(max(1 - scene.horizon, 0.05))
        waves = self._waves(share)
        # Far away one looks along the water, near at it: ripples grow, and the depth shows.
        reach = (np.float32(0.010) + share * np.float32(0.085)) * np.float32(self._rough)
        source = down[:, None] * np.float32(0.96) + waves * reach[:, None]
        line = np.clip((np.abs(source) * np.float32(frame.height / 2)).astype(np.int32), 0, len(self._mirror) - 1)
        drift = waves * (reach * np.float32(0.3 * frame.width / scene.aspect / 2))[:, None]
        column = np.clip(
            (np.arange(frame.width, dtype=np.float32) / 2 + drift).astype(np.int32), 0, self._mirror.shape[1] - 1
        )
        pixels: Floats = self._mirror.reshape(-1, 3)[line * self._mirror.shape[1] + column]
        deep = mix(palette.land, palette.upper, 0.35) * np.float32(0.8)
        see_through = 0.1 + 0.42 * share**1.2
        tilt = np.clip(see_through[:, None] + waves * (0.10 * self._rough) * (0.3 + share)[:, None], 0, 0.85)
        for cover, paint in self.mirrored:
            self._paint_mirrored(pixels, cover, paint, first, waves * reach[:, None])
        lay_over(pixels, deep, tilt)
        self._glitter(pixels, share, waves)
        if scene.shows(Motif.WAVES):
            foam = smoothstep(waves, 0.52, 0.78) * (0.5 * share**0.5)[:, None]
            lay_over(pixels, palette.horizon, foam)
        # A line of light where the far shore meets the water.
        shore = np.exp(-down * 160) * 0.16
        add_light(pixels, palette.horizon, np.repeat(shore[:, None], frame.width, axis=1))
        return pixels

    def _waves(self, share: Floats) -> Floats:
        """Ripples, from -1 to 1: long across, and closer together the farther away."""
        # Perspective: equal steps on the water are ever smaller steps on the picture.
        away = np.log(share + np.float32(0.018)) * np.float32(17)
        spread = 1 / (share + np.float32(0.09))
        centred = self._columns - np.float32(self._scene.aspect / 2)
        across = centred[None, :] * (spread * np.float32(1.1))[:, None] + 100
        ahead = np.repeat(away[:, None], len(centred), axis=1) + 0.35 * centred[None, :]
        octaves = self._frame.octaves(30, 3)
        return self._noise.field(ahead + 200, across * 1.4, octaves, 0.55) * np.float32(1.25)

    def _paint_mirrored(self, pixels: Floats, cover: Cover, paint: Floats, first: int, shift: Floats) -> None:
        """Lay a mirror image over some rows, shifted by the waves."""
        margin = int(0.05 * self._frame.height)
        height, width = cover.values.shape
        begin, end = max(first, cover.first - margin), min(first + len(pixels), cover.first + height + margin)
        left, right = max(cover.left - margin, 0), min(cover.left + width + margin, self._frame.width)
        if begin >= end or left >= right:
            return
        where = slice(begin - first, end - first), slice(left, right)
        moved = shift[where] * np.float32(self._frame.height)
        lines = (np.arange(begin, end)[:, None] - cover.first + moved * 0.35).astype(np.int32)
        columns = (np.arange(left, right) - cover.left + moved * 0.22).astype(np.int32)
        inside = (lines >= 0) & (lines < height) & (columns >= 0) & (columns < width)
        covered = (
            cover.values[np.clip(lines, 0, height - 1), np.clip(columns, 0, width - 1)]
            * inside
            * np.float32(0.72 / 255)
        )
        lay_over(pixels[where], paint, covered)

    def _glitter(self, pixels: Floats, share: Floats, waves: Floats) -> None:
        """The path of the light, wider and more broken towards the viewer."""
        scene, palette = self._scene, self._scene.palette
        wide = 0.035 + 0.16 * share * self._rough**0.5
        offset = (self._columns - np.float32(scene.light_x))[None, :] / wide[:, None]
        path = np.exp(-offset * offset)
        sparkle = smoothstep(waves, 0.02, 0.4)
        strength = palette.glow * path * (0.22 + 0.7 * sparkle) * (1 - 0.45 * share)[:, None]
        add_light(pixels, palette.light, strength.astype(np.float32))
