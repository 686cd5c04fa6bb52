"""Whether an image file was cut short, as far as its structure tells without decoding."""

from collections.abc import Callable
from struct import unpack_from

from . import gif, heif, jpeg

_MOST_BLOCKS = 100_000

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def is_truncated(data: bytes, media_type: str) -> bool:
    """True if the file must be longer than it is; False if it is whole, or nobody can say.

    Cheap: sound files are recognised by their end. Tells for PNG, JPEG, WebP, GIF, AVIF and HEIC. Never raises.
    """
    check = _CHECKS.get(media_type)
    return check is not None and check(data)


def _png(data: bytes) -> bool:
    if data.endswith(_PNG_END):
        return False
    at = 8
    for _ in range(_MOST_BLOCKS):
        if at + 12 > len(data):
            return True
        length, kind = unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return False
        at += length + 12
    return False


def _jpeg(data: bytes) -> bool:
    """An end marker after the start of the first scan: one before may belong to a thumbnail in the metadata."""
    if data.endswith(b"\xff\xd9"):
        return False
    end = 2
    for marker, at in jpeg.segments(data):
        if marker == jpeg.START_OF_SCAN:
            return data.rfind(b"\xff\xd9", at) < 0
        end = at + int.from_bytes(data[at : at + 2], "big")
    return end + 4 > len(data)


def _webp(data: bytes) -> bool:
    return len(data) < 12 or int.from_bytes(data[4:8], "little") + 8 > len(data)


def _gif(data: bytes) -> bool:
    if data.endswith(b"\x3b"):
        return False
    try:
        for _ in gif.blocks(data):
            pass
    except IndexError:
        return True
    except gif.Unclear:
        pass
    return False


def _heif(data: bytes) -> bool:
    return any(end > len(data) for _, _, end in heif.boxes(data, 0, len(data)))


_CHECKS: dict[str, Callable[[bytes], bool]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/gif": _gif,
    "image/avif": _heif,
    "image/heic": _heif,
    "image/heif": _heif,
}
