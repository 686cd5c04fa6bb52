"""Land: ridge behind ridge, paler the farther away it is."""

import numpy as np

from .colour import Floats, lay_over, mix, smoothstep
from .composition import Composition, Relief, Ridge
from .frame import Frame
from .noise import Noise, stream
from .silhouettes import Cover
from .trees import draw_trees


class Land:
    """One ridge, ready to be painted row by row."""

    def __init__(self, frame: Frame, scene: Composition, ridge: Ridge) -> None:
        """Work out its outline."""
        self._frame = frame
        self._scene = scene
        self._ridge = ridge
        self._columns = frame.columns
        self._noise = Noise(stream(scene.seed, ridge.name))
        self.outline = self._outline()
        self._top = float(self.outline.min())
        self._trees = self._plant()

    def paint(self, pixels: Floats, alpha: Floats | None, first: int, last: int) -> None:
        """Paint some rows of it over what is behind."""
        rows = self._frame.rows(first, last)
        begin = int(np.searchsorted(rows, self._top - 1 / self._frame.height))
        if begin < len(rows):
            depth = rows[begin:, None] - self.outline[None, :]
            cover = np.clip(depth * np.float32(self._frame.height) + np.float32(0.5), 0, 1)
            lay_over(pixels[begin:], self._paint(rows[begin:], depth), cover)
            if alpha is not None:
                np.maximum(alpha[begin:], cover, out=alpha[begin:])
        for trees, paint in self._trees:
            if part := trees.within(first, last):
                lines, columns, covered = part
                lay_over(pixels[lines, columns], paint, covered)
                if alpha is not None:
                    np.maximum(alpha[lines, columns], covered, out=alpha[lines, columns])

    def _outline(self) -> Floats:
        ridge, scene = self._ridge, self._scene
        noise, octaves = self._noise, self._frame.octaves(2.5, 9)
        x = self._columns
        if ridge.relief is Relief.MOUNTAINS:
            bend = x + 0.04 * noise.line(x * 5 + 80, 3)
            massif = 0.72 + 0.4 * noise.line(x * 0.9 + 60, 2)
            crests = np.maximum(noise.ridges(bend * 2.0 + 3, octaves, 0.5) * 1.25 - 0.05, 0)
            shape = massif * crests ** np.float32(0.85)
        elif ridge.relief is Relief.DUNES:
            # A dune rises slowly on the windward side and breaks off at its crest.
            phase = self._dune_phase(x)
            crest = np.where(phase < 0.7, phase / 0.7, (1 - phase) / 0.3)
            shape = 0.2 + 0.75 * crest**1.25 * (0.7 + 0.5 * noise.line(x * 0.9 + 7, 2))
        else:
            shape = 0.5 + 0.62 * noise.line(x * 1.5 + 5, octaves, 0.42)
        shape = np.clip(shape, 0.02, 1.2)
        if scene.has_water and scene.palette.altitude < 0.2:
            # A low sun looks through a gap.
            shape = shape * (1 - 0.85 * np.exp(-(((x - np.float32(scene.light_x)) / 0.24) ** 2)))
        if ridge.side:
            # Runs out into the water before the middle.
            inward = x / np.float32(scene.aspect) if ridge.side < 0 else 1 - x / np.float32(scene.aspect)
            end = 0.34 + 0.3 * (1 - ridge.near)
            shape = shape * (1 - smoothstep(inward, end * 0.35, end + 0.18)) - 0.04 * smoothstep(inward, end, end + 0.2)
        outline: Floats = ridge.foot - ridge.height * shape
        return outline.astype(np.float32)

    def _dune_phase(self, x: Floats) -> Floats:
        """Where on its dune a place is: 0 to 0.7 is the windward slope, then the lee."""
        swing = x * np.float32(1.15) + 0.3 * self._noise.line(x.ravel() * np.float32(0.8) + 40, 2).reshape(x.shape)
        return swing - np.floor(swing)

    def _paint(self, rows: Floats, depth: Floats) -> Floats:
        """Its colours: darker near, paler in the haze, paler still towards its foot where mist lies."""
        scene, ridge, palette = self._scene, self._ridge, self._scene.palette
        near = ridge.near
        base = mix(palette.haze, palette.land, near**0.62)
        mist = mix(palette.haze, palette.horizon, 0.35)
        below = np.clip((rows - np.float32(self._top)) / np.float32(ridge.height + 0.04), 0, 1)
        fog = (0.6 * (1 - near) ** 1.4 + 0.05) * below**1.7
        lines = base + (mist - base) * fog[:, None]
        lit = palette.glow * np.exp(-np.abs(self._columns - np.float32(scene.light_x)) * 2.4) * 0.3 * (1 - near) ** 0.8
        paint = np.repeat(lines[:, None, :], depth.shape[1], axis=1)
        paint += (palette.light - paint) * lit[None, :, None]
        if self._frame.detail > 2:
            self._texture(paint, rows, depth)
        return paint

    def _texture(self, paint: Floats, rows: Floats, depth: Floats) -> None:
        """Slopes that face the light are brighter; snow lies on the heights."""
        scene, ridge = self._scene, self._ridge
        strength = 0.07 + 0.2 * ridge.near * (1 - 0.55 * ridge.near)
        side = np.float32(np.sign(scene.light_x - scene.aspect / 2))
        if ridge.relief is Relief.MOUNTAINS:
            # Spurs run down the slopes, away from the crest.
            across = self._columns[None, :] * 9 + depth * (7 * side)
            spurs = self._noise.field(depth * 5 + 90, across, self._frame.octaves(9, 4), 0.55)
            shade = smoothstep(spurs, -0.25, 0.25) - 0.5
            if ridge.snow:
                line = 0.5 * ridge.height * (0.55 + 0.8 * (spurs + 0.2))
                snow = smoothstep(line - depth, -0.004, 0.012) * (0.85 - 0.35 * (1 - ridge.near))
                white = mix(scene.palette.horizon, np.ones(3, np.float32), 0.55)
                lay_over(paint, white * (0.84 + 0.24 * shade)[..., None], snow)
        elif ridge.relief is Relief.DUNES:
            ripple = self._noise.grid(rows * 46, self._columns * 5 + 3, self._frame.octaves(46, 2))
            # The crest winds down to the viewer; behind it lies the lee side.
            winding = depth * (0.9 + 1.4 * np.float32(ridge.near)) + 0.05 * self._noise.grid(
                rows * 9, self._columns * 0.2, 2
            )
            phase = self._dune_phase(self._columns[None, :] - side * winding)
            lee = smoothstep(phase, 0.695, 0.705) * smoothstep(phase, 1.0, 0.93)
            shade = 0.34 - (lee if side < 0 else 1 - lee) * 0.8 * np.exp(-np.maximum(depth, 0) * 2.2) + ripple * 0.13
            strength = 0.3
        else:
            shade = self._noise.grid(rows * 24, self._columns * 8, self._frame.octaves(24, 4), 0.6) * 0.55
        paint *= 1 + (shade * np.float32(strength * 1.6))[..., None]

    def _plant(self) -> list[tuple[Cover, Floats]]:
        if self._ridge.trees <= 0:
            return []
        return draw_trees(self._frame, self._scene, self._ridge, self._columns, self.outline)
