"""Masks that change nothing, do not fit or cannot be read."""

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.image import UNRECOGNISED, ImageFacts, InputImage
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import Wish
from PIL import Image

from tests.support.generation import editing, planner, told, wrong
from tests.support.pictures import encoded, png

BLACK, GREY, WHITE = png(), png(shade=128), png(shade=255)
CLEAR = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG")
UNREADABLE = InputImage(b"", ImageFacts(UNRECOGNISED, None, None, alpha=False))


async def violated(wish: Wish, *found: str) -> list[str]:
    """List the fields that are wrong, those that reading the request has found included."""
    with pytest.raises(ImageError) as caught:
        await planner().plan(wish, [wrong(field) for field in found])
    return told(caught.value)


@pytest.mark.parametrize(
    ("mask", "warned"), [(BLACK, True), (WHITE, True), (CLEAR, True), (GREY, False)], ids=["no", "all", "clear", "part"]
)
async def test_a_mask_without_effect_is_told(mask: bytes, warned: bool) -> None:
    """A mask that selects nothing or everything is a warning, since the caller meant something else."""
    planned = (await planner().plan(editing(png(), mask=mask))).first

    expected = [("input.mask", WarningReason.MASK_WITHOUT_EFFECT)] if warned else []
    assert [(warning.field, warning.reason) for warning in planned.warnings] == expected


async def test_a_mask_has_the_size_of_the_first_image() -> None:
    """Another size is a violation that names both; the other images do not matter."""
    assert await violated(editing(png(9, 8), png(), mask=GREY)) == ["input.mask"]
    await planner().plan(editing(png(), png(9, 8), mask=GREY))


@pytest.mark.parametrize("mask", [GREY[:50], GREY[:-20] + bytes(20)], ids=["cut short", "damaged"])
async def test_a_mask_that_cannot_be_decoded_is_a_violation(mask: bytes) -> None:
    """Its header alone looked good; the caller hears of it, and nothing is spent."""
    assert await violated(editing(png(), mask=mask)) == ["input.mask"]


async def test_a_mask_that_reading_refused_already_is_told_once() -> None:
    """What stands in for an unreadable mask is not decoded."""
    wish = editing(png())
    wish = Wish(wish.operation, wish.model, wish.prompt, wish.options, images=wish.images, mask=UNREADABLE)

    assert await violated(wish, "input.mask.data") == ["input.mask.data"]


async def test_a_mask_beside_an_unreadable_image_is_not_blamed() -> None:
    """Without the size of the first image nothing can be said of that of the mask."""
    wish = editing(png(), mask=GREY)
    wish = Wish(wish.operation, wish.model, wish.prompt, wish.options, images=(UNREADABLE,), mask=wish.mask)

    assert await violated(wish, "input.images[0].data") == ["input.images[0].data"]
