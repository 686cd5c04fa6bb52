"""Small pictures, made by Pillow so that our own readers are checked by another hand."""

import io
import random

from PIL import Image


def png(width: int = 8, height: int = 8, *, shade: int = 0) -> bytes:
    """Make a grey PNG; another shade makes other bytes."""
    return encoded(Image.new("L", (width, height), shade), "PNG")


def noisy_png(width: int, height: int, *, seed: int = 1) -> bytes:
    """Make an RGB PNG of noise, so that it is as large as its pixels: about width * height * 3 bytes."""
    noise = Image.frombytes("RGB", (width, height), _noise(width * height * 3, seed))
    file = io.BytesIO()
    noise.save(file, "PNG", compress_level=1)  # noise gets no smaller, whatever the effort
    return file.getvalue()


def encoded(image: Image.Image, kind: str) -> bytes:
    """Write a picture in a format of Pillow's."""
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def _noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)
