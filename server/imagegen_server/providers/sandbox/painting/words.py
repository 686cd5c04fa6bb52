"""Which words of a prompt the sandbox knows, and what they put into the picture."""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import blake2b

import numpy as np

from .colour import Floats, colour


class Motif(Enum):
    """Something to be seen."""

    SUN = auto()
    MOON = auto()
    STARS = auto()
    CLOUDS = auto()
    CLEAR = auto()
    FOG = auto()
    RAIN = auto()
    SNOWFALL = auto()
    LIGHTNING = auto()
    AURORA = auto()
    MOUNTAINS = auto()
    SNOWCAPS = auto()
    HILLS = auto()
    DUNES = auto()
    TREES = auto()
    LEAVES = auto()
    CITY = auto()
    VILLAGE = auto()
    WATER = auto()
    ISLAND = auto()
    BOATS = auto()
    LIGHTHOUSE = auto()
    BIRDS = auto()
    BALLOONS = auto()
    CALM = auto()
    WAVES = auto()


_PLACES = frozenset({Motif.MOUNTAINS, Motif.HILLS, Motif.DUNES, Motif.TREES, Motif.CITY, Motif.VILLAGE, Motif.ISLAND})


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a word does: the sky it wants, what it shows, the colour of the ground, a tint for everything."""

    sky: str = ""
    motifs: tuple[Motif, ...] = ()
    ground: str = ""
    tint: tuple[str, float] | None = None


LEXICON = {
    "dawn sunrise daybreak": _Meaning("dawn", (Motif.SUN,)),
    "morning": _Meaning("morning", (Motif.SUN,)),
    "day noon midday afternoon summer": _Meaning("day", (Motif.SUN,)),
    "sunset evening": _Meaning("sunset", (Motif.SUN,)),
    "dusk twilight gloaming": _Meaning("dusk", (Motif.STARS,)),
    "night midnight nocturne": _Meaning("night", (Motif.MOON, Motif.STARS)),
    "sun sunny": _Meaning("", (Motif.SUN,)),
    "moon moonlight moonlit": _Meaning("night", (Motif.MOON, Motif.STARS)),
    "star starry galaxy": _Meaning("night", (Motif.STARS,)),
    "storm stormy thunder tempest": _Meaning("storm", (Motif.CLOUDS, Motif.RAIN, Motif.WAVES)),
    "lightning": _Meaning("storm", (Motif.CLOUDS, Motif.LIGHTNING)),
    "rain rainy drizzle": _Meaning("grey", (Motif.CLOUDS, Motif.RAIN)),
    "cloud cloudy overcast": _Meaning("", (Motif.CLOUDS,)),
    "clear cloudless": _Meaning("", (Motif.CLEAR,)),
    "fog foggy mist misty haze hazy": _Meaning("", (Motif.FOG,)),
    "snow snowy": _Meaning("", (Motif.SNOWCAPS, Motif.SNOWFALL), ground="#aebccb"),
    "winter ice icy frozen arctic": _Meaning("", (Motif.SNOWCAPS,), ground="#a9bccd", tint=("#9db4d0", 0.2)),
    "aurora borealis": _Meaning("night", (Motif.AURORA, Motif.STARS, Motif.CLEAR)),
    "mountain alps alpine peak summit": _Meaning("", (Motif.MOUNTAINS,)),
    "hill hills valley meadow field moor": _Meaning("", (Motif.HILLS,), ground="#3f5b33"),
    "forest wood woods woodland pine fir jungle tree": _Meaning("", (Motif.HILLS, Motif.TREES), ground="#1f3d33"),
    "autumn fall october": _Meaning(
        "", (Motif.TREES, Motif.LEAVES, Motif.HILLS), ground="#8a4420", tint=("#d99a55", 0.12)
    ),
    "spring": _Meaning("morning", (Motif.HILLS,), ground="#4d7a3c"),
    "desert dune sahara sand": _Meaning("", (Motif.DUNES, Motif.CLEAR), ground="#b36b38"),
    "canyon mars": _Meaning("", (Motif.MOUNTAINS, Motif.CLEAR), ground="#9a4a2c", tint=("#e0925f", 0.25)),
    "city skyline metropolis downtown skyscraper town": _Meaning("", (Motif.CITY,)),
    "village hamlet cottage house": _Meaning("", (Motif.VILLAGE, Motif.HILLS)),
    "harbour harbor port marina bay quay": _Meaning(
        "", (Motif.VILLAGE, Motif.HILLS, Motif.WATER, Motif.BOATS, Motif.LIGHTHOUSE, Motif.BIRDS, Motif.CALM)
    ),
    "sea ocean coast beach shore": _Meaning("", (Motif.WATER, Motif.WAVES, Motif.BIRDS)),
    "lake pond fjord lagoon reflection": _Meaning("", (Motif.WATER, Motif.CALM)),
    "river water": _Meaning("", (Motif.WATER,)),
    "island isle archipelago": _Meaning("", (Motif.WATER, Motif.ISLAND)),
    "wave waves surf": _Meaning("", (Motif.WATER, Motif.WAVES)),
    "boat sail sailboat sailing ship yacht regatta": _Meaning("", (Motif.WATER, Motif.BOATS)),
    "lighthouse beacon": _Meaning("", (Motif.WATER, Motif.LIGHTHOUSE)),
    "bird gull seagull goose flock crane": _Meaning("", (Motif.BIRDS,)),
    "balloon": _Meaning("", (Motif.BALLOONS,)),
    "calm still quiet serene tranquil": _Meaning("", (Motif.CALM,)),
    "red crimson scarlet": _Meaning(tint=("#d8483e", 0.35)),
    "orange amber": _Meaning(tint=("#ee9440", 0.35)),
    "gold golden yellow": _Meaning(tint=("#f0c050", 0.32)),
    "green emerald": _Meaning(tint=("#4fae74", 0.32)),
    "teal turquoise cyan": _Meaning(tint=("#3fb4b4", 0.35)),
    "blue azure cobalt": _Meaning(tint=("#4a86d8", 0.35)),
    "purple violet lavender": _Meaning(tint=("#8f6cc8", 0.35)),
    "pink rose magenta": _Meaning(tint=("#e582a8", 0.32)),
    "sepia vintage": _Meaning(tint=("#b08a5c", 0.6)),
    "grey gray monochrome noir": _Meaning(tint=("#a4a8ac", 0.85)),
    "warm": _Meaning(tint=("#f0a868", 0.18)),
    "cold cool": _Meaning(tint=("#7fa6d8", 0.18)),
}

_WORDS = {word: meaning for words, meaning in LEXICON.items() for word in words.split()}

_PLACES_BY_CHANCE: tuple[tuple[Motif, ...], ...] = (
    (Motif.MOUNTAINS, Motif.WATER, Motif.CALM),
    (Motif.MOUNTAINS, Motif.TREES),
    (Motif.HILLS, Motif.WATER),
    (Motif.HILLS, Motif.TREES, Motif.BIRDS),
    (Motif.ISLAND, Motif.WATER, Motif.BOATS),
    (Motif.CITY, Motif.WATER),
    (Motif.DUNES, Motif.CLEAR),
)
_WITHOUT_DISC = frozenset({"storm", "grey"})
"""Skies in which sun and moon are hidden, unless they are asked for."""
_SKIES_BY_CHANCE = ("dawn", "morning", "day", "sunset", "dusk", "night", "sunset", "dawn")


@dataclass(frozen=True, slots=True)
class Mood:
    """What a prompt means to the sandbox. `chance` is a hash of the words that mean nothing to it."""

    sky: str
    motifs: frozenset[Motif]
    ground: Floats | None
    tints: tuple[tuple[Floats, float], ...]
    chance: int
    words: tuple[str, ...] = field(default=())


def read_mood(prompt: str, negative_prompt: str = "") -> Mood:
    """Read the words, and let the unknown ones decide what the others leave open."""
    known, unknown = _sorted_out(prompt)
    unwanted = {motif for word in _sorted_out(negative_prompt)[0] for motif in _WORDS[word].motifs}
    meanings = [_WORDS[word] for word in known]
    digest = blake2b(" ".join(sorted(unknown)).encode(), digest_size=8).digest()
    chance = int.from_bytes(digest, "big")
    motifs = {motif for meaning in meanings for motif in meaning.motifs}
    if not motifs & _PLACES and Motif.WATER not in motifs:
        motifs.update(_PLACES_BY_CHANCE[digest[0] % len(_PLACES_BY_CHANCE)])
    if not motifs & _PLACES and digest[1] & 1:
        motifs.add(Motif.HILLS)
    if Motif.CLEAR not in motifs and digest[2] % 3:
        motifs.add(Motif.CLOUDS)
    skies = [meaning.sky for meaning in meanings if meaning.sky]
    sky = skies[0] if skies else _SKIES_BY_CHANCE[digest[3] % len(_SKIES_BY_CHANCE)]
    if not motifs & {Motif.SUN, Motif.MOON} and sky not in _WITHOUT_DISC:
        motifs.add(Motif.MOON if sky == "night" else Motif.SUN)
    grounds = [colour(meaning.ground) for meaning in meanings if meaning.ground]
    tints = tuple((colour(tint[0]), tint[1]) for tint in dict.fromkeys(meaning.tint for meaning in meanings) if tint)
    ground: Floats | None = np.stack(grounds).mean(axis=0) if grounds else None
    return Mood(sky, frozenset(motifs - unwanted), ground, tints, chance, tuple(known))


def _sorted_out(text: str) -> tuple[list[str], list[str]]:
    """The known words in order, each once and as the table spells it, and the others."""
    known: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for word in re.findall(r"\w+", text.casefold()):
        stem = next((stem for stem in (word, word.removesuffix("s"), word.removesuffix("es")) if stem in _WORDS), None)
        if stem is None:
            unknown[word] = None
        else:
            known[stem] = None
    return list(known), list(unknown)
