"""Facts read from headers, with Pillow as the other opinion."""

import io
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.image import ImageFacts
from imagegen_server.images.facts import read_facts
from PIL import Image

_MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "ICO": "image/vnd.microsoft.icon",
}

_MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("1", "L", "P", "RGB"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"),
    "AVIF": ("RGB", "RGBA"),
}


def _file(kind: str, mode: str = "RGB", size: tuple[int, int] = (37, 21), **options: Any) -> bytes:
    image = Image.new(mode, size)
    if mode in {"RGBA", "LA"}:
        image.putalpha(Image.linear_gradient("L").resize(size))
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


_SAMPLES = [_file(kind, mode) for kind, modes in _MODES.items() for mode in modes] + [
    _file("JPEG", progressive=True),
    _file("WEBP", "RGBA", lossless=True),
    _file("GIF", save_all=True, append_images=[Image.new("RGB", (37, 21), "red")], comment=b"c" * 700),
]


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in _MODES.items() for mode in modes])
@pytest.mark.parametrize("size", [(1, 1), (37, 21), (300, 2)])
def test_facts_agree_with_pillow(kind: str, mode: str, size: tuple[int, int]) -> None:
    """Type, size and alpha of every mode that Pillow writes are what Pillow reads."""
    data = _file(kind, mode, size)
    with Image.open(io.BytesIO(data)) as image:
        expected = ImageFacts(_MEDIA_TYPES[kind], *image.size, alpha=image.has_transparency_data)

    assert expected == read_facts(data)


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"exif": b"Exif\0\0" + b"x" * 9000}, {"comment": b"c" * 60000}]
)
def test_jpeg_segments_before_the_frame_are_skipped(options: dict[str, Any]) -> None:
    """Metadata in front of the frame, and progressive frames, do not hide the size."""
    assert ImageFacts("image/jpeg", 37, 21, alpha=False) == read_facts(_file("JPEG", **options))


def test_jpeg_orientation_is_not_applied() -> None:
    """The size is that of the stored pixels, whatever EXIF says about turning them."""
    exif = Image.Exif()
    exif[0x0112] = 6

    assert ImageFacts("image/jpeg", 37, 21, alpha=False) == read_facts(_file("JPEG", exif=exif.tobytes()))


def test_jpeg_fill_bytes_are_skipped() -> None:
    """Any number of 0xFF may stand in front of a marker."""
    data = _file("JPEG")

    assert read_facts(data) == read_facts(data[:2] + b"\xff" * 1000 + data[2:])


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("WEBP", {"save_all": True})])
def test_every_webp_container_tells(kind: str, options: dict[str, Any]) -> None:
    """Lossless and animated files have other headers and tell the same."""
    frames: dict[str, Any] = {"append_images": [Image.new("RGBA", (37, 21), "red")]} if "save_all" in options else {}

    assert ImageFacts("image/webp", 37, 21, alpha=True) == read_facts(_file(kind, "RGBA", **options, **frames))


def test_gif_transparency_is_that_of_the_first_frame() -> None:
    """The graphic control in front of the first frame tells, also behind a long comment."""
    data = _file("GIF", "P", transparency=0, comment=b"c" * 3000)

    assert ImageFacts("image/gif", 37, 21, alpha=True) == read_facts(data)


def test_png_transparent_colour_is_alpha() -> None:
    """A tRNS chunk makes a PNG without alpha channel transparent."""
    assert ImageFacts("image/png", 37, 21, alpha=True) == read_facts(_file("PNG", "RGB", transparency=(0, 0, 0)))


def test_ico_tells_its_largest_picture() -> None:
    """An icon holds several sizes; 0 stands for 256."""
    data = _file("ICO", "RGBA", (256, 256), sizes=[(16, 16), (256, 256), (32, 32)])

    assert ImageFacts("image/vnd.microsoft.icon", 256, 256, alpha=True) == read_facts(data)


def _bmp(header: bytes) -> bytes:
    return b"BM" + bytes(12) + header + bytes(64)


_LONG_SVG = (
    b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a > b -->\n<!DOCTYPE svg PUBLIC "a" "b" [<!ENTITY c "d">]>\n'
    b'<x:svg xmlns:x="http://www.w3.org/2000/svg">'
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_bmp(struct.pack("<IHHHH", 12, 5, 6, 1, 24)), ImageFacts("image/bmp", 5, 6, alpha=False)),
        (_bmp(struct.pack("<IiiHHI", 40, 5, -6, 1, 24, 0)), ImageFacts("image/bmp", 5, 6, alpha=False)),
        (_bmp(struct.pack("<IiiHHI", 41, 5, -6, 1, 24, 0)), None),
        (b"BMW is a car maker, not a bitmap header", None),
        (b"\xff\x0a" + bytes(20), ImageFacts("image/jxl", None, None, alpha=False)),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), ImageFacts("image/jxl", None, None, alpha=False)),
        (b"<svg/>", ImageFacts("image/svg+xml", None, None, alpha=True)),
        (_LONG_SVG, ImageFacts("image/svg+xml", None, None, alpha=True)),
        (b"<!DOCTYPE html><html><svg></svg></html>", None),
        (b"<!-- <svg> -->", None),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(40), None),
        (b"", None),
        (b"not an image at all", None),
    ],
)
def test_rarer_headers(data: bytes, expected: ImageFacts | None) -> None:
    """What Pillow does not write is read as its specification says; what is no image is none."""
    assert expected == read_facts(data)


def _tiff(order: str, *, big: bool) -> bytes:
    entries = [(256, 4, 70_000), (257, 4, 3), (338, 3, 2)]
    if big:
        start, entry = (
            struct.pack(order + "2sHHHQQ", b"II" if order == "<" else b"MM", 43, 8, 0, 16, len(entries)),
            "HHQ",
        )
    else:
        start, entry = struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(entries)), "HHI"
    width = 8 if big else 4
    values = [struct.pack(order + ("I" if kind == 4 else "H"), value).ljust(width, b"\0") for _, kind, value in entries]
    return start + b"".join(
        struct.pack(order + entry, tag, kind, 1) + value for (tag, kind, _), value in zip(entries, values, strict=True)
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_in_either_byte_order(order: str, *, big: bool) -> None:
    """Both byte orders and BigTIFF tell size and alpha."""
    assert ImageFacts("image/tiff", 70_000, 3, alpha=True) == read_facts(_tiff(order, big=big))


def _box(kind: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I4s", len(data) + 8, kind) + data


def _heic(primary: int, *, brand: bytes = b"heic", alpha: bool = False) -> bytes:
    sizes = [struct.pack(">III", 0, 64, 48), struct.pack(">III", 0, 4032, 3024)]
    properties = [_box(b"ispe", size) for size in sizes]
    if alpha:
        properties.append(_box(b"auxC", bytes(4), b"urn:mpeg:hevc:2015:auxid:1\0"))
    linked = struct.pack(">IIHBBHBB", 0, 2, 1, 1, 0x81, 2, 1, 0x82)
    meta = _box(
        b"meta",
        bytes(4),
        _box(b"pitm", struct.pack(">IH", 0, primary)),
        _box(b"iprp", _box(b"ipco", *properties), _box(b"ipma", linked)),
    )
    return _box(b"ftyp", b"mif1", bytes(4), brand) + _box(b"free", bytes(99)) + meta


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_heic(1), ImageFacts("image/heic", 64, 48, alpha=False)),
        (_heic(2), ImageFacts("image/heic", 4032, 3024, alpha=False)),
        (_heic(3), ImageFacts("image/heic", 4032, 3024, alpha=False)),
        (_heic(1, brand=b"avif", alpha=True), ImageFacts("image/avif", 64, 48, alpha=True)),
        (_heic(1, brand=b"miaf"), ImageFacts("image/heif", 64, 48, alpha=False)),
        (_heic(1)[:150], ImageFacts("image/heic", None, None, alpha=False)),
    ],
)
def test_heif_size_is_that_of_the_primary_item(data: bytes, expected: ImageFacts) -> None:
    """Thumbnails do not count; without a primary item the largest size does."""
    assert expected == read_facts(data)


def test_a_header_cut_short_tells_the_type_only() -> None:
    """Width and height are absent, not wrong, where the file ends too soon."""
    assert ImageFacts("image/png", None, None, alpha=False) == read_facts(_file("PNG")[:20])
    assert ImageFacts("image/jpeg", None, None, alpha=False) == read_facts(_file("JPEG")[:20])
    assert ImageFacts("image/gif", None, None, alpha=False) == read_facts(b"GIF89a\0")


def test_a_size_of_nothing_is_not_told() -> None:
    """Zero pixels, or more than any file has, are no size."""
    data = _file("PNG")

    for size in (bytes(8), b"\xff" * 8):
        assert ImageFacts("image/png", None, None, alpha=False) == read_facts(data[:16] + size + data[24:])


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    """Nothing raises, whatever the bytes."""
    read_facts(data)


@given(st.sampled_from([*_SAMPLES, _heic(1, alpha=True), _tiff("<", big=True), _tiff(">", big=False)]), st.data())
def test_damaged_files_are_survived(sample: bytes, draw: st.DataObject) -> None:
    """Nothing raises on a real file with a piece overwritten, cut off at any place."""
    at = draw.draw(st.integers(0, min(len(sample), 200)))
    piece = draw.draw(st.binary(max_size=12))
    end = draw.draw(st.integers(0, len(sample)))

    read_facts((sample[:at] + piece + sample[at + len(piece) :])[:end])


_LARGE = 8 * 1024 * 1024


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"\xff\xd8" + b"\xff\xe0\0\2" * (_LARGE // 4),
        lambda: b"\xff\xd8" + b"\xff" * _LARGE,
        lambda: _file("PNG")[:33] + b"\0\0\0\0teSt\0\0\0\0" * (_LARGE // 12),
        lambda: b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b"\x21\xfe\1c\0" * (_LARGE // 5),
        lambda: b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b"\x21\xfe" + b"\1c" * (_LARGE // 2),
        lambda: _box(b"ftyp", b"avif", bytes(4)) + _box(b"free") * (_LARGE // 8),
        lambda: b"<!-- -->" * (_LARGE // 8),
        lambda: b"<?" * (_LARGE // 2),
        lambda: b"<!DOCTYPE svg [" * (_LARGE // 15),
        lambda: b"\0\0\1\0\xff\xff" + bytes(4) + b"\1\0\x20\0" + b"\1\0\0\0\xff\xff\xff\0" + bytes(_LARGE),
        lambda: b"II*\0\x08\0\0\0\xff\xff" + b"\0\1\4\0" * (_LARGE // 4),
    ],
)
def test_hostile_files_cost_little(make: Callable[[], bytes]) -> None:
    """Megabytes of tiny blocks are given up on long before the end."""
    data = make()
    start = time.thread_time()
    read_facts(data)

    assert time.thread_time() - start < 0.5


def test_no_image_library_is_imported() -> None:
    """A server that only hands bytes through never loads Pillow or numpy for their facts."""
    program = "import imagegen_server.images.facts, sys; sys.exit('PIL' in sys.modules or 'numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
