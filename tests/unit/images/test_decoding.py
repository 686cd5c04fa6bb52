"""Decoding with limits, and encoding."""

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib

import pytest
from imagegen_server.images.decoding import MOST_PIXELS, UnreadableImage, decode
from imagegen_server.images.encoding import FORMATS, encode
from imagegen_server.images.facts import is_truncated, read_facts
from PIL import Image


def _file(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bomb(width: int, height: int) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_types_of_the_api_are_decoded(kind: str) -> None:
    """PNG, JPEG, WebP and GIF come out with their size."""
    assert decode(_file(Image.new("RGB", (7, 5), "red"), kind)).size == (7, 5)


def test_sixteen_bits_become_eight() -> None:
    """Scaled, not clipped: half bright stays half bright."""
    image = Image.frombytes("I;16", (3, 1), b"\0\0\0\x80\xff\xff")

    assert [*decode(_file(image, "PNG")).tobytes()] == [0, 128, 255]


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "AVIF", "ICO"])
def test_no_other_parser_is_reached(kind: str) -> None:
    """Types beyond the API are refused, however well Pillow knows them."""
    with pytest.raises(UnreadableImage, match="not a PNG"):
        decode(_file(Image.new("RGB", (7, 5)), kind))


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    """A few hundred bytes that would unpack to more than the limit cost nothing."""
    data = _bomb(MOST_PIXELS // 1024 + 1, 1024)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage, match="are more than the 67,108,864"):
            decode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_files_are_refused(kind: str, keep: float) -> None:
    """A file cut short is an error with one name, not a grey picture and not Pillow's own exception."""
    data = _file(Image.effect_noise((60, 60), 80).convert("RGB"), kind)

    with pytest.raises(UnreadableImage, match="damaged or cut short"):
        decode(data[: int(len(data) * keep)])


def test_a_header_cut_short_is_refused() -> None:
    """Without a size nothing is decoded."""
    with pytest.raises(UnreadableImage, match="cut short"):
        decode(_file(Image.new("L", (9, 9)), "PNG")[:20])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("file_format", FORMATS)
def test_every_mode_is_written_in_every_format(file_format: str, mode: str) -> None:
    """The file is whole, of the right type and size."""
    data = encode(Image.new(mode, (7, 5)), file_format)
    facts = read_facts(data)
    assert facts is not None

    assert (f"image/{file_format}", 7, 5) == (facts.media_type, facts.width, facts.height)
    assert not is_truncated(data, facts.media_type)


def test_png_is_lossless() -> None:
    """Also with transparency."""
    image = Image.effect_noise((20, 20), 90).convert("RGB")
    image.putalpha(Image.linear_gradient("L").resize((20, 20)))

    assert image.tobytes() == decode(encode(image, "png", 3)).tobytes()


@pytest.mark.parametrize("file_format", ["jpeg", "webp"])
def test_quality_costs_bytes(file_format: str) -> None:
    """0 and 100 are both taken, and make a difference."""
    image = Image.effect_noise((64, 64), 90).convert("RGB")
    sizes = [len(encode(image, file_format, quality)) for quality in (0, 50, 100)]

    assert sorted(set(sizes)) == sizes


def test_a_clear_picture_is_white_in_jpeg() -> None:
    """Transparency is laid on white, not on what hides in the clear pixels."""
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))

    assert decode(encode(clear, "jpeg", 100)).getpixel((4, 4)) == (255, 255, 255)


def test_an_unknown_format_is_refused() -> None:
    """A name that is not in the list is the caller's mistake."""
    with pytest.raises(ValueError, match="no writer for 'tiff'"):
        encode(Image.new("L", (1, 1)), "tiff")


def test_pillow_is_imported_on_first_use_only() -> None:
    """The rooms can be imported by a server that never draws."""
    program = (
        "import imagegen_server.images.decoding, imagegen_server.images.encoding, imagegen_server.images.masks, sys;"
        "sys.exit('PIL' in sys.modules or 'numpy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
