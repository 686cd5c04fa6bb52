"""The colours of a picture: those of the time of day, bent by the words of the prompt."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .colour import Floats, colour, luminance, mix, turned
from .noise import stream
from .words import Mood


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of the sky from the zenith down to the horizon, of the light, the air, and what stands in it.

    `altitude` is the height of the sun or moon above the horizon as a share of the sky, `glow` the strength of its
    light, `stars` and `lamps` how much of them is seen; all from 0 to 1.
    """

    zenith: Floats
    upper: Floats
    lower: Floats
    horizon: Floats
    light: Floats
    haze: Floats
    land: Floats
    cloud_lit: Floats
    cloud_dark: Floats
    altitude: float
    glow: float
    stars: float
    lamps: float


def _palette(colours: str, altitude: float, glow: float, stars: float, lamps: float) -> Palette:
    named = zip((field.name for field in fields(Palette)), colours.split(), strict=False)
    paints: dict[str, Any] = {name: colour(f"#{text}") for name, text in named}
    return Palette(**paints, altitude=altitude, glow=glow, stars=stars, lamps=lamps)


# Zenith, upper, lower, horizon, light, haze, land, lit cloud, dark cloud.
_SKIES = {
    "dawn": _palette("27386a 7c78b4 f0a793 ffe0b0 ffe9c0 b99ab8 17203f ffd2c0 837aac", 0.12, 0.9, 0.12, 0.8),
    "morning": _palette("3f78b4 86b4d8 cfdfe2 f7ebd0 fff3d2 cfdbd8 23404a fff6e6 a9b9cc", 0.42, 0.6, 0.0, 0.0),
    "day": _palette("2f6fb8 6fa9da b9d9ea e6f0ea fffbe8 c3d8de 1f4440 ffffff a3b7c9", 0.62, 0.45, 0.0, 0.0),
    "sunset": _palette("2a2559 8a3f74 ee6f4c ffc46b ffd58a b4657e 1a1230 ffab78 6b3a6c", 0.1, 0.95, 0.08, 0.8),
    "dusk": _palette("141b42 44447f a8678f f2a486 ffb99a 86668c 121430 d98fa0 3f3b6c", 0.02, 0.6, 0.45, 1.0),
    "night": _palette("050a1c 0e1c3c 1d3659 3a5f7d dfe8f7 2b4763 060b18 5d7a9a 15243f", 0.62, 0.42, 1.0, 1.0),
    "storm": _palette("1b222b 3b4650 6e7c82 b3b6a6 e9e4c8 7f8a8c 11171c 98a3a4 2c343c", 0.22, 0.4, 0.0, 0.45),
    "grey": _palette("6f7f8d 93a1aa b6bfc2 d6d8d3 f3efe2 b9c1c3 2a353b d9dddc 8c989f", 0.45, 0.35, 0.0, 0.25),
}


def palette_of(mood: Mood) -> Palette:
    """Mix the palette for the words. Words that mean nothing to the sandbox turn it by their hash."""
    palette = _SKIES[mood.sky]
    chance = stream(mood.chance, "palette")
    turn, saturation = chance.normal(0, 0.018), 1 + chance.normal(0, 0.07)
    palette = _each(palette, lambda paint: turned(paint, turn, saturation))
    for tint, share in mood.tints:
        palette = graded(palette, tint, share)
    # Air in the distance has the colour of the low sky.
    palette = replace(palette, haze=mix(palette.haze, palette.lower, 0.25) * np.float32(0.95))
    if mood.ground is not None:
        # The ground takes its colour from what grows on it, seen in the light of the sky; snow gives back most of it.
        lit = mood.ground * mix(palette.upper, palette.horizon, 0.5)
        share = 0.28 + 0.5 * max(float(luminance(mood.ground)) - 0.25, 0.0)
        palette = replace(
            palette,
            haze=_tinted(palette.haze, mood.ground, 0.22),
            land=mix(_tinted(palette.land, mood.ground, 0.85), lit, share),
        )
    return palette


def graded(palette: Palette, reference: Floats, share: float) -> Palette:
    """Bend a palette towards the colour of a reference picture."""
    return _each(palette, lambda paint: _tinted(paint, reference, share))


def _each(palette: Palette, change: Callable[[Floats], Floats]) -> Palette:
    changed: dict[str, Any] = {
        field.name: change(getattr(palette, field.name))
        for field in fields(palette)
        if isinstance(getattr(palette, field.name), np.ndarray)
    }
    return replace(palette, **changed)


def _tinted(paint: Floats, tint: Floats, share: float) -> Floats:
    """The paint in the colour of the tint, as bright as before."""
    wanted = tint * (luminance(paint) / max(float(luminance(tint)), 0.05))
    return np.clip(mix(paint, wanted, share), 0, 1)
