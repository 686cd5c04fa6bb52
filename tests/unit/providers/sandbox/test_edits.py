"""Edits: the mask is kept to the pixel."""

from typing import Any

import numpy as np
import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import PixelSize
from PIL import Image

from tests.unit.providers.sandbox.kit import file, pixels, run, sandbox, task

_SIZE = (60, 40)


def _picture(mode: str = "RGB") -> Image.Image:
    bands = [Image.effect_noise(_SIZE, 40 + 20 * band) for band in range(3)]
    image = Image.merge("RGB", bands)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(_SIZE))
        return image
    return image.convert(mode)


def _white_mask() -> Image.Image:
    mask = Image.new("L", _SIZE, 0)
    mask.paste(255, (10, 5, 50, 35))
    return mask


def _clear_mask() -> Image.Image:
    mask = Image.new("RGBA", _SIZE, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (10, 5, 50, 35))
    return mask


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
async def test_outside_the_mask_every_pixel_stays(mode: str) -> None:
    """Bit for bit, in every mode of the input, transparency included."""
    picture = _picture(mode)
    edited = pixels((await run(task(images=(file(picture),), mask=file(_white_mask())))).image)
    before = np.asarray(picture.convert("RGBA" if mode == "RGBA" else "RGB")).astype(np.int16)
    inside = np.asarray(_white_mask()) == 255

    assert before.shape == edited.shape
    assert (before[~inside] == edited[~inside]).all()
    assert (before[inside] != edited[inside]).any(axis=-1).mean() > 0.9


async def test_both_conventions_mean_the_same() -> None:
    """White on black and clear on opaque select the same pixels."""
    image = file(_picture())
    white, clear = [await run(task(images=(image,), mask=file(mask))) for mask in (_white_mask(), _clear_mask())]

    assert white.image == clear.image


async def test_a_soft_mask_blends() -> None:
    """Half selected is half way between picture and scene."""
    image = file(Image.new("RGB", _SIZE, "black"))
    half = pixels((await run(task(images=(image,), mask=file(Image.new("L", _SIZE, 128))))).image)
    whole = pixels((await run(task(images=(image,), mask=file(Image.new("L", _SIZE, 255))))).image)

    assert np.abs(half - whole * 128 / 255).max() <= 1


async def test_without_a_mask_the_whole_picture_takes_the_light() -> None:
    """Everything changes, and what was in the picture can still be seen."""
    picture = _picture("L")
    edited = pixels((await run(task(images=(file(picture),), prompt="at night"))).image).mean(axis=2)
    before = np.asarray(picture).astype(float)

    assert (edited != before).mean() > 0.95
    assert np.corrcoef(edited.ravel(), before.ravel())[0, 1] > 0.8


async def test_words_decide_the_light() -> None:
    """Night is darker than day."""
    image = file(_picture())
    night, day = [pixels((await run(task(images=(image,), prompt=words))).image).mean() for words in ("night", "day")]

    assert night < day - 20


async def test_weather_comes_over_the_picture() -> None:
    """Snow asked for in an edit falls in front of it."""
    image = file(Image.new("RGB", (240, 180), "black"))
    dry, snowing = [await run(task(images=(image,), prompt=words, seed=1)) for words in ("night", "night snow")]

    assert pixels(snowing.image).max() > pixels(dry.image).max() + 20


async def test_other_images_lend_their_colours() -> None:
    """A red reference makes the scene redder than a blue one does."""
    image, mask = file(_picture()), file(Image.new("L", _SIZE, 255))
    red, blue = [
        pixels((await run(task(images=(image, file(Image.new("RGB", (9, 9), tone))), mask=mask, seed=1))).image).mean(
            (0, 1)
        )
        for tone in ("red", "blue")
    ]

    assert red[0] > blue[0]
    assert red[2] < blue[2]


@pytest.mark.parametrize("masked", [False, True])
async def test_the_same_edit_gives_the_same_bytes(masked: bool) -> None:
    """With a mask and without."""
    wanted = task(images=(file(_picture()),), mask=file(_white_mask()) if masked else None, seed=3)

    assert (await run(wanted)).image == (await run(wanted)).image


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
async def test_every_input_type_is_taken(kind: str) -> None:
    """The result is as large as the input, and a PNG unless asked otherwise."""
    edited = (await run(task(images=(file(_picture(), kind),)))).image

    assert (_SIZE[1], _SIZE[0]) == pixels(edited).shape[:2]
    assert edited.startswith(b"\x89PNG")


async def test_a_single_pixel_can_be_edited() -> None:
    """Inputs may be smaller than what is drawn from words alone."""
    image = file(Image.new("RGB", (1, 1), "red"))

    assert pixels((await run(task(images=(image,), preview_count=1))).image).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"size": PixelSize(99, 99)}, ["options.size"]),
        ({"size": PixelSize(*_SIZE)}, []),
        ({"aspect_ratio": "1:1", "resolution": "2K"}, ["options.aspect_ratio", "options.resolution"]),
    ],
)
def test_an_edit_keeps_its_size(options: dict[str, Any], fields: list[str]) -> None:
    """Another size is not done, and not passed over in silence."""
    _, warnings = sandbox().prepare(task(images=(file(_picture()),), **options))

    assert [(field, WarningReason.ADJUSTED) for field in fields] == [(note.field, note.reason) for note in warnings]


@pytest.mark.parametrize(
    ("images", "mask", "field"),
    [
        ([b"no image"], None, "input.images[0]"),
        ([file(_picture()), file(_picture(), "BMP")], None, "input.images[1]"),
        ([file(_picture())], b"no image", "input.mask"),
        ([file(_picture())], file(Image.new("L", (9, 9))), "input.mask"),
        ([file(Image.new("1", (8200, 1)))], None, "input.images[0]"),
        ([file(Image.new("1", (5000, 5000)))], None, "input.images[0]"),
    ],
    ids=["garbage", "second", "mask", "mask size", "long side", "many pixels"],
)
def test_wrong_inputs_are_refused_before_anything_is_done(images: list[bytes], mask: bytes | None, field: str) -> None:
    """By name, and from the header alone."""
    with pytest.raises(ImageError) as caught:
        sandbox().prepare(task(images=tuple(images), mask=mask))

    assert Reason.INVALID_REQUEST is caught.value.reason
    assert [field] == [violation.field for violation in caught.value.violations]


@pytest.mark.parametrize("which", ["image", "reference", "mask"])
async def test_damaged_inputs_are_told_by_name(which: str) -> None:
    """A sound header with broken pixels behind it is the caller's mistake too."""
    good, damaged = file(_picture()), file(_picture())[:2000]
    images = {"image": (damaged, good), "reference": (good, damaged), "mask": (good,)}[which]
    with pytest.raises(ImageError) as caught:
        await run(task(images=images, mask=damaged if which == "mask" else None))
    expected = {"image": "input.images[0]", "reference": "input.images[1]", "mask": "input.mask"}[which]

    assert Reason.INVALID_REQUEST is caught.value.reason
    assert [expected] == [violation.field for violation in caught.value.violations]
