"""The segments of a JPEG file (ITU-T T.81, annex B), without looking into the pixels."""

import re
from collections.abc import Iterator

FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15: the segments that tell the size. The three left out are DHT, JPG and DAC."""

START_OF_SCAN = 0xDA

_MOST_SEGMENTS = 4096
"""More than any writer makes: 64 MiB of metadata alone are 1,024 segments."""

_AFTER_FILL = re.compile(rb"[^\xff]")
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, offset of its length field) from the start to the first scan, or to where the file makes no sense.

    Markers may be preceded by any number of fill bytes.
    """
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return
        found = _AFTER_FILL.search(data, at)
        if not found:
            return
        marker, at = data[found.start()], found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        if marker in {0x00, 0xD8, 0xD9} or at + 2 > len(data):
            return
        yield marker, at
        if marker == START_OF_SCAN:
            return
        length = data[at] << 8 | data[at + 1]
        if length < 2:
            return
        at += length
