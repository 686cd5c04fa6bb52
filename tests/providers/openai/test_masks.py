"""Masks on their way to the vendor: a PNG that is transparent where the picture may change."""

import io

import pytest
from PIL import Image

from tests.support.generation import editing
from tests.support.openai_provider import MODEL, openai_workshop
from tests.support.pictures import encoded, noisy_png, png


def half(mode: str, *, clear: bool) -> Image.Image:
    """Draw a mask whose left half may change: by transparency, or by white."""
    if clear:
        image = Image.new("RGBA", (16, 16), (9, 9, 9, 255))
        image.paste((9, 9, 9, 0), (0, 0, 8, 16))
        return image.convert(mode)
    image = Image.new("L", (16, 16), 0)
    image.paste(255, (0, 0, 8, 16))
    return image.convert(mode)


def opened(data: bytes) -> Image.Image:
    """Read a picture."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


async def mask_sent(mask: bytes) -> bytes:
    """Edit with a mask that the fake takes, and return what it was sent."""
    async with openai_workshop() as made:
        await made.workshop.result(editing(png(16, 16), png(8, 8), mask=mask, model=MODEL))
    (sent,) = [file for file in made.fake.requests[0].files if file.name == "mask"]
    assert (sent.filename, sent.content_type) == ("mask.png", "image/png")
    return sent.data


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (half("1", clear=False), "PNG"),
        (half("L", clear=False), "PNG"),
        (half("RGB", clear=False), "WEBP"),
        (half("RGBA", clear=False), "PNG"),
        (half("RGBA", clear=True), "WEBP"),
        (half("P", clear=True), "PNG"),
    ],
    ids=["1", "L", "RGB", "RGBA", "clear-webp", "clear-palette"],
)
async def test_a_mask_becomes_transparent_where_the_picture_may_change(image: Image.Image, kind: str) -> None:
    """White or clear to the left: what the vendor is sent is a PNG with alpha 0 to the left and 255 to the right."""
    file = io.BytesIO()
    image.save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))

    sent = opened(await mask_sent(file.getvalue()))

    assert (sent.format, sent.mode, sent.size) == ("PNG", "RGBA", (16, 16))
    assert sent.getchannel("A").tobytes() == (bytes(8) + bytes([255] * 8)) * 16


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
async def test_a_mask_that_is_right_already_stays_as_it_is(mode: str) -> None:
    """Byte for byte."""
    mask = encoded(half(mode, clear=True), "PNG")

    assert await mask_sent(mask) == mask


async def test_a_mask_that_is_too_large_is_written_anew() -> None:
    """The vendor takes less than 4 MB, and the picture that may stand under the mask is none of its business."""
    picture = opened(noisy_png(1216, 1216)).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 608, 1216))
    mask = encoded(picture, "PNG")
    while len(mask) < 4_000_000:
        mask = mask[:-12] + b"\x00\x10\x00\x00paDd" + bytes(1 << 20) + b"\x2d\x03\x0d\x7e" + mask[-12:]
    async with openai_workshop() as made:
        await made.workshop.result(editing(png(1216, 1216), mask=mask, model=MODEL))
    sent = made.fake.requests[0].files[1].data

    assert len(sent) < 100_000
    assert opened(sent).getchannel("A").getextrema() == (0, 255)
    assert opened(sent).getchannel("A").tobytes() == opened(mask).getchannel("A").tobytes()
