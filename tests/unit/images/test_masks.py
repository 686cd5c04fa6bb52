"""Masks: what a caller's mask means, and the forms that providers want."""

import io
from collections.abc import Callable

import pytest
from imagegen_server.images.decoding import UnreadableImage
from imagegen_server.images.masks import Mask, Selection, read_mask, to_alpha_png, to_black_png, to_white_png
from PIL import Image

LEFT_MAY_CHANGE = Mask(4, 2, bytes([255, 255, 0, 0] * 2))


def _file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _white_left(mode: str) -> Image.Image:
    image = Image.new("L", (4, 2), 0)
    image.paste(255, (0, 0, 2, 2))
    return image.convert(mode)


def _clear_left(shade: int) -> Image.Image:
    image = Image.new("RGBA", (4, 2), (shade, shade, shade, 255))
    image.paste((shade, shade, shade, 0), (0, 0, 2, 2))
    return image


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_without_transparency_white_may_change(mode: str) -> None:
    """Half white, half black, opaque: the white half is selected, in every mode."""
    assert read_mask(_file(_white_left(mode))) == LEFT_MAY_CHANGE


def test_sixteen_bits_are_scaled() -> None:
    """A 16-bit mask keeps its steps instead of being clipped to white."""
    values = b"".join(value.to_bytes(2, "little") for value in (65535, 65535, 128, 0))
    image = Image.frombytes("I;16", (4, 2), values * 2)

    assert read_mask(_file(image)) == LEFT_MAY_CHANGE


@pytest.mark.parametrize("shade", [0, 255])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_with_transparency_the_clear_part_may_change(mode: str, shade: int) -> None:
    """Half clear, half opaque: the clear half is selected, whatever its colour."""
    assert read_mask(_file(_clear_left(shade).convert(mode))) == LEFT_MAY_CHANGE


def test_a_transparent_palette_colour_counts() -> None:
    """Transparency of a palette is transparency."""
    image = Image.new("P", (4, 2), 1)
    image.paste(0, (0, 0, 2, 2))

    assert read_mask(_file(image, "GIF", transparency=0)) == LEFT_MAY_CHANGE


def test_steps_between_are_kept() -> None:
    """A soft edge stays soft: half clear is half selected."""
    image = Image.new("RGBA", (1, 1), (0, 0, 0, 55))

    assert Mask(1, 1, bytes([200])) == read_mask(_file(image))


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [
        ([0, 0], Selection.NOTHING),
        ([255, 255], Selection.EVERYTHING),
        ([0, 255], Selection.PART),
        ([0, 1], Selection.PART),
        ([255, 254], Selection.PART),
    ],
)
def test_what_a_mask_selects(coverage: list[int], expected: Selection) -> None:
    """Nothing and everything are told from a part, so that a mask without effect can be a warning."""
    assert expected is Mask(2, 1, bytes(coverage)).selects()


@pytest.mark.parametrize(
    ("convert", "mode", "changing", "staying"),
    [
        (to_alpha_png, "RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
        (to_white_png, "L", 255, 0),
        (to_black_png, "L", 0, 255),
    ],
)
def test_each_conversion_has_its_polarity(
    convert: Callable[[Mask], bytes], mode: str, changing: object, staying: object
) -> None:
    """A half-and-half mask comes out clear, white or black on the half that may change."""
    with Image.open(io.BytesIO(convert(LEFT_MAY_CHANGE))) as image:
        assert (mode, (4, 2), "PNG") == (image.mode, image.size, image.format)
        assert (changing, staying) == (image.getpixel((0, 0)), image.getpixel((3, 1)))


@pytest.mark.parametrize("convert", [to_alpha_png, to_white_png])
def test_conversions_read_back(convert: Callable[[Mask], bytes]) -> None:
    """What is written in one of the two conventions of the API means the same when it is read."""
    mask = Mask(3, 1, bytes([0, 90, 255]))

    assert mask == read_mask(convert(mask))


def test_a_mask_that_is_no_image_is_refused() -> None:
    """With an error that a provider can turn into a violation."""
    with pytest.raises(UnreadableImage, match="not a PNG"):
        read_mask(b"no image")


def test_a_large_mask_is_refused() -> None:
    """The limit is the caller's to set."""
    with pytest.raises(UnreadableImage, match="4x2 pixels are more than"):
        read_mask(_file(_white_left("L")), most_pixels=7)
