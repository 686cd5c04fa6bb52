"""Colours as arrays of red, green and blue from 0 to 1, in sRGB, where painters mix them."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def colour(text: str) -> Floats:
    """Read "#ff8800"."""
    paint: Floats = np.array([int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)], np.float32)
    return paint


def mix(first: Floats, second: Floats, share: float) -> Floats:
    """So much of the second colour in the first."""
    return first + (second - first) * np.float32(share)


def luminance(pixels: Floats) -> Floats:
    """How bright each colour looks."""
    bright: Floats = pixels[..., 0] * LUMA[0]
    bright += pixels[..., 1] * LUMA[1]
    bright += pixels[..., 2] * LUMA[2]
    return bright


def turned(pixels: Floats, turn: float, saturation: float = 1.0) -> Floats:
    """Turn the hue by a part of the circle and scale the saturation; brightness stays about the same."""
    cos, sin = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    # In YIQ, hue is an angle.
    to_yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    turn_hue = np.array([[1, 0, 0], [0, saturation * cos, -saturation * sin], [0, saturation * sin, saturation * cos]])
    matrix = np.linalg.inv(to_yiq) @ turn_hue @ to_yiq
    turned_pixels: Floats = np.clip(np.einsum("ij,...j->...i", matrix, pixels), 0, 1).astype(np.float32)
    return turned_pixels


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """From 0 at `low` to 1 at `high`, with soft ends. `high` may be the smaller."""
    share: Floats = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return share * share * (3 - 2 * share)


def lay_over(ground: Floats, paint: Floats, cover: Floats) -> None:
    """Lay paint (a colour, a row, or pixels) over pixels in place, as far as it covers them."""
    ground += (paint - ground) * cover[..., None]


def add_light(ground: Floats, light: Floats, strength: Floats) -> None:
    """Add light in place the way film does: it never burns out."""
    ground += light * strength[..., None] * (1 - ground)
