"""The blocks of a GIF file (GIF89a), without looking into the pixels."""

from collections.abc import Iterator

EXTENSION, FRAME = 0x21, 0x2C
GRAPHIC_CONTROL = 0xF9

_MOST_STEPS = 100_000
"""Blocks and sub-blocks looked at in one file: some 25 MB of pixels."""


class Unclear(Exception):
    """The file has more blocks than are looked at, or one that the format does not know."""


def blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (introducer, offset of the introducer) of each extension and frame; ends at the trailer.

    :raises IndexError: the file ends before its trailer
    :raises Unclear: see there
    """
    at = 13 + _colour_bytes(data[10])
    steps = _MOST_STEPS
    while data[at] in {EXTENSION, FRAME}:
        yield data[at], at
        at += 2 if data[at] == EXTENSION else 11 + _colour_bytes(data[at + 9])
        while data[at]:
            at += data[at] + 1
            steps -= 1
            if steps < 0:
                raise Unclear
        at += 1
        steps -= 1
        if steps < 0:
            raise Unclear
    if data[at] != 0x3B:
        raise Unclear


def _colour_bytes(flags: int) -> int:
    """Length of the colour table that the flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
