"""Where things stand: decided by the words of the prompt and the seed, before anything is drawn."""

from dataclasses import dataclass, field
from enum import Enum, auto

from .noise import stream
from .palette import Palette
from .words import Mood, Motif


class Relief(Enum):
    """How a ridge rises."""

    MOUNTAINS = auto()
    HILLS = auto()
    DUNES = auto()


@dataclass(frozen=True, slots=True)
class Ridge:
    """One line of land from edge to edge. `near` runs from 0 (far away, in haze) to 1.

    `foot` is where it meets water or the next ridge, `height` how far it rises at most. `side` -1 or 1: it rises on
    the left or right only; 0 = everywhere. `trees` is their height; 0 = bare.
    """

    name: str
    relief: Relief
    near: float
    foot: float
    height: float
    side: int = 0
    trees: float = 0.0
    snow: bool = False


@dataclass(frozen=True, slots=True)
class Composition:
    """A picture before it is painted. Lengths are shares of the picture's height."""

    mood: Mood
    palette: Palette
    seed: int
    aspect: float
    horizon: float
    has_water: bool
    light_x: float
    light_y: float
    light_radius: float
    is_moon: bool
    ridges: tuple[Ridge, ...] = field(default=())
    town_at: int = 0
    """How many ridges are behind the town."""
    town_foot: float = 0.0
    """Where a city stands, as y."""
    side: int = 1
    """Where the near land is: -1 left, 1 right. The light stands on the other side."""

    def shows(self, motif: Motif) -> bool:
        """The words ask for it."""
        return motif in self.mood.motifs


def compose(mood: Mood, palette: Palette, seed: int, aspect: float) -> Composition:
    """Decide where everything stands."""
    random = stream(seed, "composition")
    has_water = Motif.WATER in mood.motifs
    horizon = float(random.uniform(0.56, 0.64) if has_water else random.uniform(0.5, 0.6))
    side = 1 if random.random() < 0.5 else -1
    # On a third of the width, away from the near land.
    light_x = aspect * float(0.5 - side * random.uniform(0.1, 0.22))
    is_moon = (Motif.MOON in mood.motifs and Motif.SUN not in mood.motifs) or mood.sky == "night"
    altitude = palette.altitude * float(random.uniform(0.85, 1.15))
    radius = float(random.uniform(0.026, 0.034)) * (1.25 if altitude < 0.2 else 1.0) * min(1.0, 0.6 + 0.4 * aspect)
    ridges = _ridges(mood, seed, horizon, side, has_water=has_water)
    return Composition(
        mood=mood,
        palette=palette,
        seed=seed,
        aspect=aspect,
        horizon=horizon,
        has_water=has_water,
        light_x=light_x,
        light_y=horizon * (1 - altitude) - 0.02,
        light_radius=radius,
        is_moon=is_moon,
        ridges=ridges,
        town_at=len(ridges) if has_water else 4 if Motif.VILLAGE in mood.motifs else 2,
        town_foot=horizon if has_water else horizon + 0.15,
        side=side,
    )


def _ridges(mood: Mood, seed: int, horizon: float, side: int, *, has_water: bool) -> tuple[Ridge, ...]:
    random = stream(seed, "ridges")
    motifs = mood.motifs
    snow = Motif.SNOWCAPS in motifs
    trees = 0.05 if Motif.TREES in motifs else 0.0
    ridges: list[Ridge] = []

    def add(relief: Relief, near: float, foot: float, height: float, side: int = 0, trees: float = 0.0) -> None:
        steady = height * float(random.uniform(0.85, 1.15))
        ridges.append(Ridge(f"ridge {len(ridges)}", relief, near, foot, steady, side, trees, snow))

    if Motif.DUNES in motifs:
        for step in range(5):
            share = step / 4
            add(Relief.DUNES, 0.12 + 0.88 * share, horizon + 0.06 + 0.5 * share**1.5, 0.05 + 0.16 * share)
    elif has_water:
        if Motif.MOUNTAINS in motifs:
            add(Relief.MOUNTAINS, 0.08, horizon, 0.28)
            add(Relief.MOUNTAINS, 0.24, horizon, 0.21)
            add(Relief.MOUNTAINS, 0.42, horizon, 0.16, side)
            add(Relief.HILLS, 0.62, horizon, 0.085, side, trees or 0.022)
        elif Motif.HILLS in motifs or Motif.CITY in motifs:
            add(Relief.HILLS, 0.1, horizon, 0.15)
            add(Relief.HILLS, 0.26, horizon, 0.11, -side)
            add(Relief.HILLS, 0.45, horizon, 0.1, side, trees / 2)
        if Motif.ISLAND in motifs:
            add(Relief.HILLS, 0.2, horizon, 0.05)
            add(Relief.MOUNTAINS, 0.55, horizon, 0.2, side, trees / 2)
    else:
        relief = Relief.MOUNTAINS if Motif.MOUNTAINS in motifs else Relief.HILLS
        heights = (0.3, 0.24, 0.17) if relief is Relief.MOUNTAINS else (0.16, 0.13, 0.12)
        add(relief, 0.06, horizon + 0.04, heights[0])
        add(relief, 0.2, horizon + 0.09, heights[1])
        add(relief, 0.38, horizon + 0.16, heights[2])
        add(Relief.HILLS, 0.58, horizon + 0.25, 0.12, 0, 0.0 if Motif.VILLAGE in motifs else trees * 0.7)
        add(Relief.HILLS, 0.8, horizon + 0.36, 0.13, 0, trees * 1.3)
        add(Relief.HILLS, 1.0, 1.08, 0.16, side, trees * 2.6)
    return tuple(ridges)
