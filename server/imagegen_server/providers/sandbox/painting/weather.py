"""What hangs in the air in front of everything: fog, rain, snow, lightning."""

import numpy as np

from .colour import Floats, add_light, lay_over, mix, smoothstep
from .composition import Composition
from .forms import Forms, Lights
from .frame import Frame
from .noise import Noise, stream
from .silhouettes import Cover, Sheet
from .words import Motif


class Fog:
    """Banks of fog at the foot of things."""

    def __init__(self, frame: Frame, scene: Composition) -> None:
        """Decide how thick it is; a little lies over every far shore."""
        self._frame = frame
        self._scene = scene
        self._noise = Noise(stream(scene.seed, "fog"))
        self._thick = 0.85 if scene.shows(Motif.FOG) else 0.0 if scene.shows(Motif.CLEAR) else 0.12
        self._paint = mix(scene.palette.haze, scene.palette.horizon, 0.55)

    def paint(self, pixels: Floats, alpha: Floats | None, first: int, last: int) -> None:
        """Lay it over some rows."""
        scene = self._scene
        rows = self._frame.rows(first, last)
        below = rows - np.float32(scene.horizon - 0.03)
        reach = 0.13 if scene.shows(Motif.FOG) else 0.05
        bank = (
            np.exp(-((below / np.where(below < 0, reach, reach * (0.8 if scene.has_water else 3.2))) ** 2))
            * self._thick
        )
        begin, end = np.searchsorted(bank > 0.004, True), len(rows) - np.searchsorted(bank[::-1] > 0.004, True)
        if not (bank > 0.004).any():
            return
        wisps = 0.62 + 0.55 * self._noise.grid(
            rows[begin:end] * 8, self._frame.columns * 1.6, self._frame.octaves(8, 4)
        )
        cover = np.clip(bank[begin:end, None] * wisps, 0, 0.94).astype(np.float32)
        lay_over(pixels[begin:end], self._paint, cover)
        if alpha is not None:
            alpha[begin:end] += (1 - alpha[begin:end]) * cover * 0.5


def add_weather(frame: Frame, scene: Composition, forms: Forms) -> None:
    """Add what falls."""
    if scene.shows(Motif.RAIN):
        forms.covers.append((_rain(frame, scene), mix(scene.palette.horizon, np.ones(3, np.float32), 0.3)))
    if scene.shows(Motif.SNOWFALL):
        _add_snow(frame, scene, forms)


def _rain(frame: Frame, scene: Composition) -> Cover:
    random = stream(scene.seed, "rain")
    sheet = Sheet(frame, samples=2)
    slant = 0.16 + 0.16 * random.random()
    for x, y, long, bright in random.random((int(520 * max(scene.aspect, 0.5)), 4)):
        top, length = y * 1.1 - 0.1, 0.03 + 0.06 * long
        start = x * (scene.aspect + 0.4) - 0.2
        sheet.line([(start, top), (start - slant * length, top + length)], 0.0009, 0.1 + 0.26 * bright)
    return sheet.coverage()


def _add_snow(frame: Frame, scene: Composition, forms: Forms) -> None:
    """Flakes: many small and far, few large and out of focus."""
    random = stream(scene.seed, "snow")
    flakes = random.random((int(430 * max(scene.aspect, 0.5)), 4), np.float32)
    flakes[:, 1] *= scene.aspect
    size = flakes[:, 2] ** 5
    flakes[:, 2] = 0.0011 + 0.0034 * size
    flakes[:, 3] = (0.35 + 0.55 * flakes[:, 3]) * (1 - 0.5 * size)
    forms.lights.append(Lights(frame, flakes, np.ones(3, np.float32)))


class Lightning:
    """One bolt from the clouds to the horizon, and the light that it throws."""

    def __init__(self, frame: Frame, scene: Composition) -> None:
        """Draw the bolt."""
        random = stream(scene.seed, "lightning")
        self._frame = frame
        self._scene = scene
        sheet = Sheet(frame)
        x = scene.aspect * float(0.5 + scene.side * random.uniform(0.05, 0.25))
        path = self._strike(random, x, 0.06, scene.horizon)
        sheet.line(path, 0.0034)
        for start in path[4:-4:5]:
            sheet.line(
                self._strike(random, *start, start[1] + float(random.uniform(0.06, 0.16)), wild=2.2), 0.0013, 0.7
            )
        self._bolt = sheet.coverage()
        self._centre = path

    def paint(self, pixels: Floats, first: int, last: int) -> None:
        """Light up some rows of the sky."""
        rows, columns = self._frame.rows(first, last), self._frame.columns
        trail_y = np.array([point[1] for point in self._centre], np.float32)
        trail_x = np.interp(rows, trail_y, [point[0] for point in self._centre]).astype(np.float32)
        away = np.abs(columns[None, :] - trail_x[:, None])
        fade = smoothstep(rows, self._scene.horizon + 0.1, self._scene.horizon - 0.2)[:, None]
        glow = (0.34 * np.exp(-away * 5.5) + 0.36 * np.exp(-away * 42)) * (0.35 + 0.65 * fade)
        add_light(pixels, np.array([0.83, 0.86, 1.0], np.float32), glow.astype(np.float32))
        if part := self._bolt.within(first, last):
            lines, across, covered = part
            lay_over(pixels[lines, across], np.ones(3, np.float32), covered)

    @staticmethod
    def _strike(
        random: np.random.Generator, x: float, top: float, bottom: float, wild: float = 1.0
    ) -> list[tuple[float, float]]:
        steps = max(int((bottom - top) / 0.018), 3)
        drift = float(random.normal(0, 0.004)) * wild
        path = [(x, top)]
        for step in range(1, steps + 1):
            x += drift + float(random.normal(0, 0.0085)) * wild
            path.append((x, top + (bottom - top) * step / steps))
        return path
