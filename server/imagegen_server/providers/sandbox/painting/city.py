"""A skyline: towers in rows, behind each other, with lit windows after dark."""

import numpy as np
from numpy.typing import NDArray

from .colour import Floats, colour, mix
from .composition import Composition
from .forms import Forms
from .frame import Frame
from .noise import stream
from .silhouettes import Cover, Sheet

_LAMP = colour("#ffd591")
_Tower = tuple[float, float, float]
"""Left, right, top."""


def build_city(frame: Frame, scene: Composition, forms: Forms) -> None:
    """Put the city at the horizon."""
    random = stream(scene.seed, "city")
    palette = scene.palette
    centre = scene.aspect * (0.5 + 0.1 * scene.side)
    for row, near in enumerate((0.16, 0.38, 0.66)):
        towers = _towers(random, scene, centre, row)
        sheet = Sheet(frame)
        for tower in towers:
            _draw_tower(sheet, random, scene.town_foot, tower)
        paint = mix(palette.haze, palette.land, near**0.7)
        forms.covers.append((sheet.coverage(), paint))
        windows = _windows(frame, scene, random, towers, 0.35 + 0.65 * near)
        lit = (
            mix(paint, _LAMP, 0.35 + 0.6 * max(palette.lamps, 0.0))
            if palette.lamps
            else mix(paint, palette.horizon, 0.4)
        )
        forms.covers.append((windows, lit))


def _towers(random: np.random.Generator, scene: Composition, centre: float, row: int) -> list[_Tower]:
    """High in the middle, falling off to the edges; the nearest row is the lowest."""
    towers: list[_Tower] = []
    x = -0.02
    while x < scene.aspect:
        wide = float(random.uniform(0.022, 0.058)) * (0.8 + 0.14 * row)
        middle = np.exp(-(((x + wide / 2 - centre) / (0.36 * max(scene.aspect, 0.7))) ** 2))
        tall = (0.34, 0.25, 0.13)[row] * middle * float(0.35 + 0.85 * random.random() ** 1.5) + 0.018
        towers.append((x, x + wide, scene.town_foot - min(tall, 0.42)))
        x += wide * float(random.uniform(0.95, 1.35))
    return towers


def _draw_tower(sheet: Sheet, random: np.random.Generator, foot: float, tower: _Tower) -> None:
    left, right, top = tower
    wide, tall = right - left, foot - top
    middle = (left + right) / 2
    kind = random.random()
    sheet.box(left, top, right, foot)
    if tall < 0.06:
        return
    if kind < 0.25:
        sheet.box(left + wide * 0.2, top - tall * 0.07, right - wide * 0.2, top)
    elif kind < 0.42:
        sheet.polygon([(left, top), (middle, top - wide * 0.75), (right, top)])
    elif kind < 0.55:
        sheet.polygon([(left, top), (left, top - wide * 0.4), (right, top)])
    if kind > 0.72 or kind < 0.1:
        sheet.line([(middle, top), (middle, top - tall * 0.2 - 0.01)], 0.0022)


def _windows(
    frame: Frame, scene: Composition, random: np.random.Generator, towers: list[_Tower], strength: float
) -> Cover:
    """Lit windows as coverage: a grid on each tower, of which some are lit, whole floors now and then."""
    first = max(int((scene.town_foot - 0.44) * frame.height), 0)
    last = min(int(scene.town_foot * frame.height), frame.height)
    shown = np.zeros((max(last - first, 1), frame.width), np.uint8)
    columns = frame.columns
    share = 0.12 + 0.4 * scene.palette.lamps
    for left, right, top in towers:
        step_x, step_y = float(random.uniform(0.0052, 0.0075)), float(random.uniform(0.0072, 0.0098))
        lit = random.random((80, 16)) < share * random.uniform(0.4, 1.3)
        lit |= random.random((80, 1)) < 0.03
        bright = lit * random.uniform(0.45, 1.0, lit.shape)
        begin, end = np.searchsorted(columns, (left + step_x * 0.5, right - step_x * 0.5))
        upper = max(int((top + step_y) * frame.height) - first, 0)
        rows = frame.rows(first + upper, last - max(int(0.008 * frame.height), 1))
        if end <= begin or not len(rows):
            continue
        across, pulse_x = _pulses(columns[begin:end] - np.float32(left + step_x * 0.5), step_x, 0.27, frame)
        down, pulse_y = _pulses(rows - np.float32(top + step_y), step_y, 0.3, frame)
        glow = bright[np.clip(down, 0, 79)[:, None], np.clip(across, 0, 15)[None, :]]
        panes = glow * pulse_y[:, None] * pulse_x[None, :] * strength * 255
        shown[upper : upper + len(rows), begin:end] = panes
    return Cover(first, 0, shown)


def _pulses(places: Floats, step: float, half: float, frame: Frame) -> tuple[NDArray[np.int32], Floats]:
    """Which cell each place is in, and how much of its pixel the pane in the cell covers."""
    share = places / np.float32(step)
    cell = np.floor(share)
    edge = step * frame.height
    inside = (np.float32(half) - np.abs(share - cell - np.float32(0.5))) * np.float32(edge) + np.float32(0.5)
    # A pane narrower than a pixel covers a part of it at most.
    return cell.astype(np.int32), np.clip(inside, 0, min(1.0, 2 * half * edge))
