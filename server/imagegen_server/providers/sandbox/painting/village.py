"""Houses by the shore with a church among them, moored masts, and a lighthouse."""

import numpy as np

from .boats import draw_boat
from .colour import Floats, colour, mix
from .composition import Composition
from .forms import Forms, Lights
from .frame import Frame
from .noise import stream
from .silhouettes import Sheet
from .words import Motif

_LAMP = colour("#ffb968")


def build_village(frame: Frame, scene: Composition, forms: Forms, ground: Floats) -> None:
    """Build houses on the near land, up its slope from the shore. `ground` is the outline of that land."""
    random = stream(scene.seed, "village")
    palette = scene.palette
    columns = frame.columns
    middle = scene.aspect * (0.5 + 0.27 * scene.side)
    spread = (0.2 if scene.has_water else 0.13) * max(scene.aspect, 0.8)
    for row, near in enumerate((0.5, 0.64, 0.8)):
        scale = 0.75 + 0.14 * row
        walls = [Sheet(frame) for _ in range(3)]
        roofs, windows = (Sheet(frame) for _ in range(2))
        lamps: list[tuple[float, float, float, float]] = []
        x = middle - spread * (1.0 + 0.1 * row)
        while x < middle + spread * (1.0 + 0.1 * row):
            wide = float(random.uniform(0.02, 0.034)) * scale
            tall = float(random.uniform(0.018, 0.034)) * scale
            slope = float(np.interp(x + wide / 2, columns, ground))
            if scene.has_water:
                # From the quay up the slope.
                foot = scene.horizon - max(scene.horizon - slope, 0.0) * (0.62, 0.3, 0.0)[row]
            else:
                foot = slope + 0.006 + 0.022 * row
            church = row == 1 and abs(x - middle - 0.04 * scene.side) < wide * 0.6
            _house(walls[int(random.integers(3))], roofs, x, foot, wide, tall * (0.9 if church else 1), random)
            if church:
                _steeple(walls[0], roofs, x + wide * 0.9, foot, scale)
            _light_up(windows, lamps, x, foot, wide, tall, random, palette.lamps)
            x += wide * float(random.uniform(0.92, 1.5))
        air = near**0.8
        dark = mix(palette.haze, palette.land, air)
        tones = (
            mix(palette.haze, palette.horizon, 0.35),
            mix(palette.land, palette.light, 0.5),
            mix(palette.land, palette.lower, 0.55),
        )
        for sheet, tone in zip(walls, tones, strict=True):
            forms.covers.append((sheet.coverage(), mix(tone, dark, 0.25 + 0.4 * air)))
        forms.covers.append((roofs.coverage(), mix(dark, palette.lower, 0.18)))
        if palette.lamps:
            forms.covers.append((windows.coverage(), mix(dark, _LAMP, 0.4 + 0.6 * palette.lamps)))
            forms.lights.append(Lights(frame, np.array(lamps, np.float32).reshape(-1, 4), _LAMP))


def moor_boats(frame: Frame, scene: Composition, forms: Forms) -> None:
    """Masts along the quay."""
    random = stream(scene.seed, "moorings")
    dark, sails = (Sheet(frame) for _ in range(2))
    middle = scene.aspect * (0.5 + 0.2 * scene.side)
    for _ in range(int(7 * max(scene.aspect, 0.6))):
        x = middle + float(random.normal(0, 0.17)) * scene.aspect
        size = float(random.uniform(0.055, 0.1))
        draw_boat(dark, sails, x, scene.horizon, size, 1 if random.random() < 0.5 else -1, under_sail=False)
    forms.covers.append((dark.coverage(), mix(scene.palette.haze, scene.palette.land, 0.82)))


def build_lighthouse(frame: Frame, scene: Composition, forms: Forms) -> None:
    """A lighthouse on a rock, across from the near land."""
    random = stream(scene.seed, "lighthouse")
    palette = scene.palette
    x = scene.aspect * float(0.5 - scene.side * random.uniform(0.36, 0.4))
    foot = scene.horizon - 0.022
    tall = 0.13
    rock, tower, bands, lamp = (Sheet(frame) for _ in range(4))
    outline = [(x - 0.15, scene.horizon + 0.002)]
    outline += [
        (
            x - 0.15 + 0.3 * step / 24,
            scene.horizon - 0.03 * float(np.sin(np.pi * step / 24)) ** 0.8 * float(random.uniform(0.72, 1.1)),
        )
        for step in range(1, 24)
    ]
    rock.polygon([*outline, (x + 0.15, scene.horizon + 0.002)])
    low, high = 0.0135, 0.0085
    tower.polygon([(x - low, foot), (x - high, foot - tall), (x + high, foot - tall), (x + low, foot)])
    for step in (0.18, 0.56):
        upper, lower = step + 0.19, step
        at = [low + (high - low) * share for share in (lower, upper)]
        bands.polygon(
            [
                (x - at[0], foot - tall * lower),
                (x - at[1], foot - tall * upper),
                (x + at[1], foot - tall * upper),
                (x + at[0], foot - tall * lower),
            ]
        )
    top = foot - tall
    bands.box(x - 0.0125, top - 0.003, x + 0.0125, top)
    lamp.box(x - 0.0062, top - 0.016, x + 0.0062, top - 0.003)
    bands.polygon([(x - 0.0095, top - 0.016), (x, top - 0.03), (x + 0.0095, top - 0.016)])
    bands.box(x + 0.016, foot - 0.016, x + 0.042, foot + 0.006)
    air = mix(palette.haze, palette.land, 0.72)
    forms.covers.append((rock.coverage(), air))
    forms.covers.append((tower.coverage(), mix(mix(palette.horizon, np.ones(3, np.float32), 0.3), air, 0.3)))
    forms.covers.append((bands.coverage(), mix(mix(colour("#b0402f"), palette.land, 0.3), palette.haze, 0.2)))
    forms.covers.append((lamp.coverage(), mix(_LAMP, np.ones(3, np.float32), 0.5 * palette.lamps)))
    if palette.lamps:
        places = [
            (top - 0.01, x, 0.004, 0.9),
            (top - 0.01, x, 0.02, 0.5 * palette.lamps),
            (top - 0.01, x, 0.075, 0.28 * palette.lamps),
        ]
        forms.lights.append(Lights(frame, np.array(places, np.float32), _LAMP))


def has_harbour(scene: Composition) -> bool:
    """Boats lie at a quay in front of houses."""
    return scene.has_water and scene.shows(Motif.VILLAGE) and scene.shows(Motif.BOATS)


def _house(
    walls: Sheet, roofs: Sheet, x: float, foot: float, wide: float, tall: float, random: np.random.Generator
) -> None:
    walls.box(x, foot - tall, x + wide, foot + 0.012)
    roof = wide * float(random.uniform(0.34, 0.5))
    eaves = wide * 0.06
    if random.random() < 0.45:
        # Gable towards the water.
        roofs.polygon(
            [(x - eaves, foot - tall), (x + wide / 2, foot - tall - roof * 1.25), (x + wide + eaves, foot - tall)]
        )
    else:
        ridge = foot - tall - roof * 0.85
        roofs.polygon(
            [
                (x - eaves, foot - tall),
                (x + wide * 0.1, ridge),
                (x + wide * 0.9, ridge),
                (x + wide + eaves, foot - tall),
            ]
        )
    if random.random() < 0.5:
        roofs.box(x + wide * 0.68, foot - tall - roof * 1.2, x + wide * 0.8, foot - tall - roof * 0.3)


def _steeple(walls: Sheet, roofs: Sheet, x: float, foot: float, scale: float) -> None:
    half, tall = 0.0085 * scale, 0.06 * scale
    walls.box(x - half, foot - tall, x + half, foot + 0.01)
    roofs.polygon([(x - half * 1.25, foot - tall), (x, foot - tall - 0.062 * scale), (x + half * 1.25, foot - tall)])


def _light_up(
    windows: Sheet,
    lamps: list[tuple[float, float, float, float]],
    x: float,
    foot: float,
    wide: float,
    tall: float,
    random: np.random.Generator,
    strength: float,
) -> None:
    """Some windows are lit, and shine on what is around them."""
    for floor in (0.3, 0.7):
        for place in (0.2, 0.5, 0.8):
            if random.random() > 0.4 * strength:
                continue
            middle, y = x + wide * place, foot - tall * floor
            windows.box(middle - wide * 0.07, y - tall * 0.13, middle + wide * 0.07, y + tall * 0.1)
            lamps.append((y, middle, 0.008, 0.13 * strength))
