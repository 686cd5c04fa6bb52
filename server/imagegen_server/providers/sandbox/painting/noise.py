"""Noise that is the same at every resolution: a function of place, not of pixels."""

import zlib

import numpy as np
from numpy.typing import NDArray

from .colour import Floats

_SIDE = 256
"""Of the lattice; it repeats beyond."""

_LACUNARITY = 2.03
"""How much finer each octave is; not quite 2, so that the lattices never meet."""


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers for one part of a picture: other parts do not change when this one takes more of them."""
    entropy = [seed & 0xFFFF_FFFF, seed >> 32 & 0xFFFF_FFFF, zlib.crc32(name.encode())]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


class Noise:
    """Smooth noise from -1 to 1 in one and two dimensions, and sums of octaves of it.

    Octaves weigh the same however many follow: a preview with fewer of them shows the same forms, only smoother.
    """

    def __init__(self, random: np.random.Generator) -> None:
        """Draw the lattice."""
        self._lattice: Floats = random.random((_SIDE, _SIDE), np.float32) * 2 - 1
        self._flat = self._lattice.ravel()

    def line(self, x: Floats, octaves: int, gain: float = 0.5) -> Floats:
        """Octaves of noise along a line; the first has one bump a unit."""
        total = np.zeros_like(x)
        weight, scale = 1 - gain, 1.0
        for octave in range(octaves):
            total += np.float32(weight) * self._along(
                self._lattice[octave * 7 % _SIDE], x * np.float32(scale) + octave * 17
            )
            weight, scale = weight * gain, scale * _LACUNARITY
        return total

    def ridges(self, x: Floats, octaves: int, gain: float = 0.5) -> Floats:
        """Like `line`, but with sharp crests and rounded valleys, from 0 to 1: what erosion leaves."""
        total = np.zeros_like(x)
        weight, scale = 1 - gain, 1.0
        carry = np.ones_like(x)
        for octave in range(octaves):
            crest = 1 - np.abs(self._along(self._lattice[octave * 11 % _SIDE], x * np.float32(scale) + octave * 29))
            crest *= crest
            total += np.float32(weight) * crest * carry
            # Valleys fill up: what lies low gets little of the finer octaves.
            carry = np.clip(crest * 1.6, 0, 1)
            weight, scale = weight * gain, scale * _LACUNARITY
        return total

    def grid(self, y: Floats, x: Floats, octaves: int, gain: float = 0.5) -> Floats:
        """Octaves of noise where the rows `y` cross the columns `x`."""
        total = np.zeros((len(y), len(x)), np.float32)
        weight, scale = 1 - gain, 1.0
        for octave in range(octaves):
            total += np.float32(weight) * self._crossing(
                y * np.float32(scale) + octave * 13, x * np.float32(scale) + octave * 31
            )
            weight, scale = weight * gain, scale * _LACUNARITY
        return total

    def field(self, y: Floats, x: Floats, octaves: int, gain: float = 0.5) -> Floats:
        """Octaves of noise at any places; `y` and `x` have the same shape."""
        total = np.zeros_like(x)
        weight, scale = 1 - gain, 1.0
        for octave in range(octaves):
            total += np.float32(weight) * self._anywhere(
                y * np.float32(scale) + octave * 13, x * np.float32(scale) + octave * 31
            )
            weight, scale = weight * gain, scale * _LACUNARITY
        return total

    def _along(self, row: Floats, x: Floats) -> Floats:
        cell, share = _cells(x)
        values: Floats = row[cell & _SIDE - 1]
        values += (row[cell + 1 & _SIDE - 1] - values) * share
        return values

    def _crossing(self, y: Floats, x: Floats) -> Floats:
        row, down = _cells(y)
        upper = self._lattice[row & _SIDE - 1]
        rows = upper + (self._lattice[row + 1 & _SIDE - 1] - upper) * down[:, None]
        column, right = _cells(x)
        values: Floats = rows[:, column & _SIDE - 1]
        values += (rows[:, column + 1 & _SIDE - 1] - values) * right
        return values

    def _anywhere(self, y: Floats, x: Floats) -> Floats:
        row, down = _cells(y)
        column, right = _cells(x)
        row &= _SIDE - 1
        column &= _SIDE - 1
        below, beside = (row + 1 & _SIDE - 1) * _SIDE, column + 1 & _SIDE - 1
        row *= _SIDE
        upper: Floats = self._flat[row + column]
        upper += (self._flat[row + beside] - upper) * right
        lower = self._flat[below + column]
        lower += (self._flat[below + beside] - lower) * right
        upper += (lower - upper) * down
        return upper


def _cells(places: Floats) -> tuple[NDArray[np.int32], Floats]:
    """The cell of each place, and the smoothed share of it that lies behind."""
    floor = np.floor(places)
    share: Floats = places - floor
    share *= share * (3 - 2 * share)
    return floor.astype(np.int32), share
