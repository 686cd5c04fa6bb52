"""The sky: its gradient, the light in it, clouds, stars, northern lights."""

from collections.abc import Callable

import numpy as np

from .colour import Floats, add_light, lay_over, mix, smoothstep
from .composition import Composition
from .forms import Lights
from .frame import Frame
from .noise import Noise, stream
from .words import Motif

_MOST_SOFT_PIXELS = 1024 * 1024


class Sky:
    """Soft things are painted once at half the resolution or less, sharp ones row by row."""

    def __init__(self, frame: Frame, scene: Composition, check: Callable[[], None]) -> None:
        """Paint the soft part. `check` is called now and then and may raise."""
        self._frame = frame
        self._scene = scene
        self._check = check
        # A power of two, so that the soft part can be sharpened by doubling.
        self._shrink = 2
        while frame.width * frame.height > _MOST_SOFT_PIXELS * self._shrink**2:
            self._shrink *= 2
        self._columns = frame.columns
        self._soft = self._paint_soft()
        self._stars = self._scatter_stars()

    def paint(self, first: int, last: int) -> Floats:
        """Paint some rows."""
        pixels = self._sharpened(first, last)
        rows = self._frame.rows(first, last)
        self._stars.paint(pixels, first, last)
        self._paint_disc(pixels, rows)
        return pixels

    def _sharpened(self, first: int, last: int) -> Floats:
        """The soft part at full resolution, between its pixels straight."""
        height = len(self._soft)
        place = (np.arange(first, last, dtype=np.float32) + np.float32(0.5)) / self._shrink - np.float32(0.5)
        above = np.clip(np.floor(place).astype(np.int32), 0, height - 1)
        below = np.minimum(above + 1, height - 1)
        share = np.clip(place - above, 0, 1)[:, None, None]
        lines = self._soft[above]
        lines += (self._soft[below] - lines) * share
        while lines.shape[1] < self._frame.width:
            lines = _doubled(lines)
        return lines[:, : self._frame.width]

    def _paint_soft(self) -> Floats:
        scene, palette = self._scene, self._scene.palette
        height, width = -(-self._frame.height // self._shrink), -(-self._frame.width // self._shrink)
        rows = (np.arange(height, dtype=np.float32) + np.float32(0.5)) * np.float32(self._shrink / self._frame.height)
        columns = np.arange(width, dtype=np.float32) + np.float32(0.5)
        columns *= np.float32(self._shrink * scene.aspect / self._frame.width)
        down = rows / np.float32(scene.horizon)
        across = columns - np.float32(scene.light_x)
        away = smoothstep(np.abs(across), 0.15, 1.3)
        pixels: Floats = np.repeat(self._gradient(down)[:, None, :], width, axis=1)
        # Away from the light the sky is cooler and darker.
        cool = self._gradient(down * np.float32(0.82))
        pixels += (cool[:, None, :] - pixels) * away[None, :, None]
        distance = np.hypot(rows[:, None] - np.float32(scene.light_y), across[None, :])
        # Light spreads along the horizon, where the air is thick.
        flat = np.hypot((rows[:, None] - np.float32(scene.light_y)) * 1.7, across[None, :] * 0.75)
        glow = palette.glow * (0.42 * np.exp(-flat * 4.2) + 0.4 * np.exp(-distance * 11) + 0.3 * np.exp(-distance * 34))
        self._check()
        if scene.shows(Motif.AURORA):
            self._paint_aurora(pixels, rows, columns)
        if scene.shows(Motif.CLOUDS) or not scene.shows(Motif.CLEAR):
            self._paint_clouds(pixels, rows, columns, distance, glow)
        add_light(pixels, palette.light, glow.astype(np.float32))
        return pixels

    def _gradient(self, down: Floats) -> Floats:
        """Colour by height: 0 = zenith, 1 = horizon."""
        palette = self._scene.palette
        stops = np.stack([palette.zenith, palette.upper, palette.lower, palette.horizon])
        table = np.linspace(0, 1.2, 241)
        colours = np.empty((len(down), 3), np.float32)
        kernel = np.hanning(49)
        kernel /= kernel.sum()
        for channel in range(3):
            line = np.interp(table, (0.0, 0.48, 0.8, 1.0), stops[:, channel])
            line = np.convolve(np.pad(line, 24, mode="edge"), kernel, mode="valid")
            colours[:, channel] = np.interp(down, table, line)
        return colours

    def _paint_clouds(self, pixels: Floats, rows: Floats, columns: Floats, distance: Floats, glow: Floats) -> None:
        """Clouds on a ceiling that runs away to the horizon."""
        scene, palette = self._scene, self._scene.palette
        noise = Noise(stream(scene.seed, "clouds"))
        heavy = scene.mood.sky in {"storm", "grey"} or scene.shows(Motif.RAIN)
        many = scene.shows(Motif.CLOUDS)
        above = int(np.searchsorted(rows, scene.horizon + 0.02))
        rows = rows[:above]
        depth = 1 / (np.float32(scene.horizon) - rows + np.float32(0.16))
        across = (columns[None, :] - np.float32(scene.aspect / 2)) * depth[:, None] * np.float32(0.52)
        ahead = np.repeat((depth * np.float32(1.15))[:, None], len(columns), axis=1)
        octaves = self._frame.octaves(5, 6)
        warp = noise.field(ahead * 0.7 + 40, across * 0.7, 2)
        self._check()
        billow = noise.field(ahead * 1.3 + warp * 0.9, across * 1.1 + warp * 0.7 + 9, octaves, 0.52)
        low, high = (-0.22, 0.3) if heavy else (-0.02, 0.36) if many else (0.12, 0.55)
        self._check()
        density = smoothstep(billow, low, high) * (0.95 if heavy else 0.82)
        # Thin out towards the horizon, where they would only be stripes.
        density *= smoothstep(np.float32(scene.horizon) - rows, 0.015, 0.13)[:, None]
        # The side that faces the light is bright: the noise falls off that way.
        down, right = np.gradient(billow)
        towards_y = np.float32(scene.light_y) - rows[:, None]
        towards_x = np.float32(scene.light_x) - columns[None, :]
        length = np.hypot(towards_x, towards_y) + np.float32(0.05)
        slope = -(down * towards_y + right * towards_x) / length * np.float32(len(rows) * 0.022)
        near_light = np.exp(-distance[:above] * 2.2)
        bright = np.clip(0.34 + slope * 0.9 + near_light * 0.75 - density * (0.45 if heavy else 0.25), 0, 1)
        paint = palette.cloud_dark + (palette.cloud_lit - palette.cloud_dark) * bright[..., None]
        lay_over(pixels[:above], paint, density)
        glow[:above] *= 1 - 0.55 * density

    def _paint_aurora(self, pixels: Floats, rows: Floats, columns: Floats) -> None:
        """Curtains of light: sharp at the lower edge, fading upwards."""
        scene = self._scene
        noise = Noise(stream(scene.seed, "aurora"))
        for band, paint in enumerate(("#5cf2a6", "#59d6e8", "#9a7cf0")):
            wander = noise.line(columns * 1.3 + 31 * band, 4)
            edge = np.float32(scene.horizon) * (0.7 - 0.15 * band + wander * 0.25)
            rays = 0.55 + 0.45 * noise.line(columns * 16 + wander * 8 + 5 * band, 3, 0.6)
            rise = edge[None, :] - rows[:, None]
            curtain = smoothstep(rise, -0.012, 0.02) * np.exp(-np.maximum(rise, 0) * (7 + 2 * band))
            reach = smoothstep(noise.line(columns * 0.9 + 17 + 9 * band, 2), -0.6, 0.2)
            light = np.array([int(paint[at : at + 2], 16) / 255 for at in (1, 3, 5)], np.float32)
            add_light(
                pixels, light, (curtain * (rays * reach)[None, :] * np.float32(0.8 - 0.15 * band)).astype(np.float32)
            )

    def _scatter_stars(self) -> Lights:
        """Few bright ones, many faint ones, none in the haze over the horizon."""
        scene = self._scene
        strength = max(scene.palette.stars, 0.6 if scene.shows(Motif.STARS) else 0.0)
        random = stream(scene.seed, "stars")
        stars = random.random((int(680 * strength * scene.aspect), 4), np.float32)
        bright = stars[:, 3] ** 6
        stars[:, 0] = stars[:, 0] ** 1.2 * scene.horizon
        stars[:, 1] *= scene.aspect
        stars[:, 2] = 0.00058 + 0.0006 * bright
        stars[:, 3] = (
            strength * (0.16 + 1.1 * bright) * (1 - smoothstep(stars[:, 0], 0.5 * scene.horizon, scene.horizon))
        )
        np.minimum(stars[:, 3], 1, out=stars[:, 3])
        return Lights(self._frame, stars, np.array([0.93, 0.95, 1.0], np.float32))

    def _paint_disc(self, pixels: Floats, rows: Floats) -> None:
        scene = self._scene
        radius = scene.light_radius
        if not {Motif.SUN, Motif.MOON} & scene.mood.motifs:
            return
        margin = radius + 2 / self._frame.height
        begin, end = np.searchsorted(rows, (scene.light_y - margin, scene.light_y + margin))
        left, right = np.searchsorted(self._columns, (scene.light_x - margin, scene.light_x + margin))
        patch = pixels[begin:end, left:right]
        if not patch.size:
            return
        down = (rows[begin:end] - np.float32(scene.light_y))[:, None]
        across = (self._columns[left:right] - np.float32(scene.light_x))[None, :]
        edge = np.float32(self._frame.height)
        cover = np.clip((radius - np.hypot(down, across)) * edge + 0.5, 0, 1)
        core = mix(scene.palette.light, np.ones(3, np.float32), 0.6)
        if scene.is_moon:
            noise = Noise(stream(scene.seed, "moon"))
            seas = noise.grid(down[:, 0] / np.float32(radius) * 1.7 + 50, across[0] / np.float32(radius) * 1.7 + 50, 4)
            core = core * (0.93 - 0.16 * smoothstep(seas, -0.05, 0.35))[..., None]
        elif scene.palette.altitude < 0.2:
            # A low sun is redder at its lower edge.
            share = np.clip((down / np.float32(radius) + 0.2) * 0.5, 0, 0.6)[..., None]
            core = core + (scene.palette.horizon - core) * share
        lay_over(patch, core, cover)


def _doubled(lines: Floats) -> Floats:
    """Twice as many columns, each between its neighbours."""
    pixels = np.empty((len(lines), 2 * lines.shape[1], 3), np.float32)
    near, far = lines * np.float32(0.75), lines * np.float32(0.25)
    pixels[:, 0], pixels[:, -1] = lines[:, 0], lines[:, -1]
    pixels[:, 2::2] = near[:, 1:] + far[:, :-1]
    pixels[:, 1:-1:2] = near[:, :-1] + far[:, 1:]
    return pixels
