"""The two pictures of the benchmark: real PNG files of one size in pixels, the same bytes in every run."""

import random
import struct
import zlib
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Size:
    """A file's size: `prompt` is the word that asks for it, in requests and in the names of results.

    Noise does not compress and the black below it does, so `noise` bytes of it make the file as large as is wanted.
    """

    prompt: str
    title: str
    noise: int


SIDE = 1024
"""Width and height in pixels."""

SIZES = (Size("10k", "10 KB", 6_200), Size("1500k", "1.5 MB", 1_570_000))
SMALL, LARGE = SIZES


@cache
def png(size: Size) -> bytes:
    """Make the PNG file, 8-bit RGB."""
    stride = SIDE * 3
    pixels = random.Random(size.prompt).randbytes(size.noise).ljust(stride * SIDE, b"\0")
    rows = b"".join(b"\0" + pixels[at : at + stride] for at in range(0, len(pixels), stride))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
