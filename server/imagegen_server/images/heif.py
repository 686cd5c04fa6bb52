"""The boxes of HEIF and AVIF files (ISO/IEC 14496-12 and 23008-12): brand, size of the primary picture, alpha."""

from collections.abc import Iterator
from struct import error as OutOfBounds  # noqa: N812 - what it means here
from struct import unpack_from

_MOST_BOXES = 4096
_MOST_ASSOCIATIONS = 65536
_MOST_BRANDS = 64

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF = frozenset({b"mif1", b"mif2", b"msf1"})
_ALPHA_URNS = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")

_Box = tuple[bytes, int, int]
"""Type, offset of the content, offset of the end as the box says it (may lie beyond the data)."""


def media_type(data: bytes) -> str:
    """Tell AVIF, HEIC and HEIF from their brands; empty = none of them (a film, say)."""
    if data[4:8] != b"ftyp":
        return ""
    end = min(int.from_bytes(data[:4], "big"), len(data), 16 + 4 * _MOST_BRANDS)
    brands = {data[8:12]} | {data[at : at + 4] for at in range(16, end - 3, 4)}
    for family, name in ((_AVIF, "image/avif"), (_HEIC, "image/heic"), (_HEIF, "image/heif")):
        if brands & family:
            return name
    return ""


def read(data: bytes) -> tuple[int | None, int | None, bool]:
    """Read width, height and alpha.

    The size is that of the primary item, or the largest in the file where none is named. Rotation is not applied.
    """
    try:
        for kind, start, end in boxes(data, 0, len(data)):
            if kind == b"meta":
                return _read_meta(data, start + 4, min(end, len(data)))
    except OutOfBounds:
        pass
    return None, None, False


def boxes(data: bytes, at: int, end: int) -> Iterator[_Box]:
    """Yield the boxes of one level, in order, up to the first that makes no sense or does not begin in the data."""
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        size, kind = unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            if at + 16 > end:
                return
            (size,) = unpack_from(">Q", data, at + 8)
            header = 16
        elif size == 0:
            size = end - at
        if size < header:
            return
        yield kind, at + header, at + size
        at += size


def _read_meta(data: bytes, start: int, end: int) -> tuple[int | None, int | None, bool]:
    primary: int | None = None
    properties: list[_Box] = []
    associations: dict[int, list[int]] = {}
    for kind, at, stop in boxes(data, start, end):
        if kind == b"pitm":
            (version,) = unpack_from(">B", data, at)
            (primary,) = unpack_from(">I" if version else ">H", data, at + 4)
        elif kind == b"iprp":
            for inner, inner_at, inner_stop in boxes(data, at, min(stop, end)):
                if inner == b"ipco":
                    properties = list(boxes(data, inner_at, min(inner_stop, end)))
                elif inner == b"ipma":
                    associations |= _read_associations(data, inner_at)
    # Properties are counted from 1.
    sizes = {
        number: unpack_from(">II", data, at + 4)
        for number, (kind, at, _) in enumerate(properties, 1)
        if kind == b"ispe"
    }
    alpha = any(kind == b"auxC" and data.startswith(_ALPHA_URNS, at + 4) for kind, at, _ in properties)
    wanted = [sizes[number] for number in associations.get(primary or 0, ()) if number in sizes]
    width, height = max(wanted or sizes.values(), key=lambda size: size[0] * size[1], default=(0, 0))
    return width or None, height or None, alpha


def _read_associations(data: bytes, at: int) -> dict[int, list[int]]:
    """Read `ipma`: the numbers of the properties of each item."""
    version, flags, count = unpack_from(">BxxBI", data, at)
    at += 8
    item_format, item_size = (">IB", 5) if version else (">HB", 3)
    found: dict[int, list[int]] = {}
    left = _MOST_ASSOCIATIONS
    for _ in range(min(count, _MOST_BOXES)):
        item, of_item = unpack_from(item_format, data, at)
        at += item_size
        left -= of_item
        if left < 0:
            break
        if flags & 1:
            found[item] = [number & 0x7FFF for number in unpack_from(f">{of_item}H", data, at)]
            at += 2 * of_item
        else:
            found[item] = [number & 0x7F for number in unpack_from(f">{of_item}B", data, at)]
            at += of_item
    return found
