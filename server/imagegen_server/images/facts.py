"""What the header of an image file tells: type, size in pixels, whether it can hold transparency.

Nothing is decoded and no image library is needed. Whatever the bytes, the work is bounded: every walk has a fixed
number of steps and only goes forward.

Specifications: PNG (W3C, third edition), JPEG (ITU-T T.81), WebP (RFC 9649), GIF89a, BMP (Windows DIB headers),
ICO (its directory), TIFF 6.0 and BigTIFF, HEIF and AVIF (ISO/IEC 14496-12 and 23008-12, the AV1 image file format),
JPEG XL (ISO/IEC 18181-2, the signatures only), SVG (the root element only).
"""

import re
from collections.abc import Callable
from struct import error as OutOfBounds  # noqa: N812 - what it means here
from struct import unpack_from

from imagegen_server.domain.image import ImageFacts

from . import gif, heif, jpeg, tiff
from .truncation import is_truncated

__all__ = ["is_truncated", "read_facts"]

_MOST_BLOCKS = 4096
"""Blocks of a file that are looked at before the answer "not told" is given."""

_LONGEST_SIDE = 2**31 - 1
"""In pixels, as in PNG; a longer one is nonsense."""

_SVG_WINDOW = 16 * 1024
"""Bytes in which the root element of an SVG must begin."""


def read_facts(data: bytes) -> ImageFacts | None:
    """Read what the header tells; None = no image type that we know.

    Width and height are those of the stored pixels: an orientation in EXIF or HEIF (`irot`) is not applied. They are
    None where the header is cut short, or does not tell (SVG, JPEG XL). Never raises, whatever the bytes.
    """
    for matches, media_type, parse in _TYPES:
        if matches(data):
            try:
                width, height, alpha = parse(data)
            except OutOfBounds:
                return ImageFacts(media_type, None, None, alpha=False)
            if not (width and height and max(width, height) <= _LONGEST_SIDE):
                width = height = None
            return ImageFacts(media_type, width, height, alpha=alpha)
    family = heif.media_type(data)
    if family:
        return ImageFacts(family, *heif.read(data))
    return None


_Parsed = tuple[int | None, int | None, bool]
"""Width, height, alpha."""


def _png(data: bytes) -> _Parsed:
    kind, width, height, colour = unpack_from(">12x4sIIxB", data)
    if kind != b"IHDR":
        return None, None, False
    has_alpha_channel = colour in {4, 6}
    return width, height, has_alpha_channel or _png_has_transparent_colour(data)


def _png_has_transparent_colour(data: bytes) -> bool:
    """Look for tRNS, which must stand before the first IDAT."""
    at = 33
    for _ in range(_MOST_BLOCKS):
        if at + 8 > len(data):
            return False
        length, kind = unpack_from(">I4s", data, at)
        if kind == b"tRNS":
            return True
        if kind in {b"IDAT", b"IEND"}:
            return False
        at += length + 12
    return False


def _jpeg(data: bytes) -> _Parsed:
    for marker, at in jpeg.segments(data):
        if marker in jpeg.FRAME_MARKERS:
            height, width = unpack_from(">HH", data, at + 3)
            return width, height, False
    return None, None, False


def _webp(data: bytes) -> _Parsed:
    chunk = data[12:16]
    if chunk == b"VP8 ":
        start, width, height = unpack_from("<3sHH", data, 23)
        return (width & 0x3FFF, height & 0x3FFF, False) if start == b"\x9d\x01\x2a" else (None, None, False)
    if chunk == b"VP8L":
        signature, bits = unpack_from("<BI", data, 20)
        if signature != 0x2F:
            return None, None, False
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if chunk == b"VP8X":
        flags, width_low, width_high, height_low, height_high = unpack_from("<BxxxHBHB", data, 20)
        return (width_high << 16 | width_low) + 1, (height_high << 16 | height_low) + 1, bool(flags & 0x10)
    return None, None, False


def _gif(data: bytes) -> _Parsed:
    width, height = unpack_from("<6xHH", data)
    return width, height, _gif_first_frame_is_transparent(data)


def _gif_first_frame_is_transparent(data: bytes) -> bool:
    """The graphic control in front of the first frame tells."""
    try:
        for introducer, at in gif.blocks(data):
            if introducer == gif.FRAME:
                return False
            if data[at + 1] == gif.GRAPHIC_CONTROL:
                return bool(data[at + 3] & 1)
    except (IndexError, gif.Unclear):
        pass
    return False


def _bmp(data: bytes) -> _Parsed:
    (header_size,) = unpack_from("<I", data, 14)
    if header_size == 12:
        width, height = unpack_from("<HH", data, 18)
        return width, height, False
    width, height, depth, compression = unpack_from("<iixxHI", data, 18)
    has_alpha_mask = header_size >= 56 and depth == 32 and compression == 3 and unpack_from("<I", data, 66) != (0,)
    return abs(width), abs(height), has_alpha_mask


def _ico(data: bytes) -> _Parsed:
    """The largest of the pictures in the directory; 0 stands for 256 there."""
    (count,) = unpack_from("<4xH", data)
    sizes = [unpack_from("<BB", data, 6 + 16 * index) for index in range(min(count, _MOST_BLOCKS))]
    width, height = max(((width or 256, height or 256) for width, height in sizes), key=lambda size: size[0] * size[1])
    return width, height, True


def _unsized(_data: bytes) -> _Parsed:
    return None, None, False


def _svg(_data: bytes) -> _Parsed:
    return None, None, True


def _is_bmp(data: bytes) -> bool:
    """Two letters are a weak signature: the size of the header must be one of those in use, the planes one."""
    if data[:2] != b"BM" or len(data) < 28:
        return False
    (header_size,) = unpack_from("<I", data, 14)
    planes = unpack_from("<H", data, 22 if header_size == 12 else 26)
    return header_size in {12, 16, 40, 52, 56, 64, 108, 124} and planes == (1,)


def _is_ico(data: bytes) -> bool:
    """Four common bytes are a weak signature: the first entry must make sense too."""
    if data[:4] != b"\0\0\1\0" or len(data) < 22:
        return False
    count: int
    count, reserved, planes, depth, size, offset = unpack_from("<4xHxxxBHHII", data)
    return count > 0 and reserved == 0 and planes <= 1 and depth <= 32 and size > 0 and offset >= 6 + 16 * count


_SVG_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?svg[\s>/]")
_SVG_PROLOGUE = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>", re.DOTALL)


def _is_svg(data: bytes) -> bool:
    """The first element must be `svg`: an HTML page with a drawing in it is no image."""
    head = data[:_SVG_WINDOW].removeprefix(b"\xef\xbb\xbf")
    at = 0
    while skipped := _SVG_PROLOGUE.match(head, at):
        at = skipped.end()
    return _SVG_ROOT.match(head, at) is not None


def _starts(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(signatures)


_TYPES: tuple[tuple[Callable[[bytes], bool], str, Callable[[bytes], _Parsed]], ...] = (
    (_starts(b"\x89PNG\r\n\x1a\n"), "image/png", _png),
    (_starts(b"\xff\xd8\xff"), "image/jpeg", _jpeg),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", "image/webp", _webp),
    (_starts(b"GIF87a", b"GIF89a"), "image/gif", _gif),
    (_starts(b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"), "image/tiff", tiff.read),
    (_starts(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), "image/jxl", _unsized),
    (_is_bmp, "image/bmp", _bmp),
    (_is_ico, "image/vnd.microsoft.icon", _ico),
    (_is_svg, "image/svg+xml", _svg),
)
