"""The first directory of a TIFF file (TIFF 6.0; BigTIFF with 64-bit offsets)."""

from struct import unpack_from

_MOST_TAGS = 4096

_WIDTH, _HEIGHT, _EXTRA_SAMPLES = 256, 257, 338
_ALPHA_KINDS = frozenset({1, 2})
"""Values of ExtraSamples that mean alpha: associated, unassociated. 0 = not told."""

_NUMBER_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""struct formats of the field types that a size can have: BYTE, SHORT, LONG, LONG8."""


def read(data: bytes) -> tuple[int | None, int | None, bool]:
    """Read width, height and alpha of the first picture.

    :raises struct.error: the directory lies outside of the data
    """
    order = "<" if data.startswith(b"II") else ">"
    if data[2:4] in {b"+\0", b"\0+"}:
        (at,) = unpack_from(order + "8xQ", data)
        (count,) = unpack_from(order + "Q", data, _inside(at, data))
        at, entry, value_format = at + 8, order + "HHQ", 12
    else:
        (at,) = unpack_from(order + "4xI", data)
        (count,) = unpack_from(order + "H", data, _inside(at, data))
        at, entry, value_format = at + 2, order + "HHI", 8
    size = value_format + (8 if value_format == 12 else 4)
    values: dict[int, int] = {}
    for index in range(min(count, _MOST_TAGS)):
        start = at + index * size
        tag, field_type, _ = unpack_from(entry, data, start)
        if tag in {_WIDTH, _HEIGHT, _EXTRA_SAMPLES} and field_type in _NUMBER_FORMATS:
            (values[tag],) = unpack_from(order + _NUMBER_FORMATS[field_type], data, start + value_format)
    return values.get(_WIDTH), values.get(_HEIGHT), values.get(_EXTRA_SAMPLES) in _ALPHA_KINDS


def _inside(at: int, data: bytes) -> int:
    """An offset that struct can take: beyond the data it raises struct.error, beyond 63 bits OverflowError."""
    return min(at, len(data))
