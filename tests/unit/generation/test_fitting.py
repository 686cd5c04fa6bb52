"""What of a wish a model can do: limits, options and their values, previews."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.capabilities import Model, PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import PixelSize, Wish
from imagegen_server.generation.fitting import MAX_COUNT

from tests.support.generation import able, as_entry, as_input, drawing, editing, planner, told
from tests.support.pictures import png
from tests.support.provider import ABLE, ScriptedProvider

IGNORED, ADJUSTED = WarningReason.IGNORED, WarningReason.ADJUSTED


async def warned(wish: Wish, provider: ScriptedProvider) -> list[tuple[str, WarningReason]]:
    """List the warnings of a plan."""
    planned = (await planner(as_entry(provider)).plan(wish)).first
    return [(warning.field, warning.reason) for warning in planned.warnings]


async def violated(wish: Wish, provider: ScriptedProvider) -> list[str]:
    """List the fields that are wrong."""
    with pytest.raises(ImageError) as caught:
        await planner(as_entry(provider)).plan(wish)
    assert caught.value.reason is Reason.INVALID_REQUEST
    return told(caught.value)


async def test_an_option_that_a_model_does_not_know_is_left_out_with_a_warning() -> None:
    """The adapter does not get it, and the caller hears of it."""
    provider = able(options=frozenset({"seed"}))
    wish = drawing(seed=1, quality="high", background="transparent", count=2, preview_count=1)

    planned = (await planner(as_entry(provider)).plan(wish)).first

    assert [(warning.field, warning.reason) for warning in planned.warnings] == [
        ("options.quality", IGNORED),
        ("options.background", IGNORED),
    ]
    assert planned.task.options.given() == ["count", "seed", "preview_count"]


async def test_a_model_of_which_nothing_is_known_gets_every_option() -> None:
    """Where the options are unknown the adapter decides."""
    wish = drawing(seed=1, quality="high", negative_prompt="fog", resolution="2K", compression=3)

    assert await warned(wish, able(options=None)) == []


VALUES = [
    ("size", "sizes", PixelSize(64, 64), PixelSize(64, 65)),
    ("aspect_ratio", "aspect_ratios", "16:9", "16:10"),
    ("resolution", "resolutions", "2K", "3K"),
    ("quality", "qualities", "high", "highest"),
    ("background", "backgrounds", "opaque", "pink"),
    ("format", "formats", "png", "tiff"),
]


@pytest.mark.parametrize(("option", "capability", "good", "bad"), VALUES, ids=str)
async def test_values_are_held_against_the_models_lists(option: str, capability: str, good: Any, bad: Any) -> None:
    """A value that is not on the list is left out with a warning; an empty list allows all."""
    listed = able(**{"options": None, capability: (str(good),)})
    unlisted = able(**{"options": None, capability: ()})

    assert await warned(drawing(**{option: good}), listed) == []
    assert await warned(drawing(**{option: bad}), listed) == [(f"options.{option}", IGNORED)]
    assert await warned(drawing(**{option: bad}), unlisted) == []


async def test_the_lists_of_a_model_never_seen_are_only_a_guess() -> None:
    """An id that nobody knows may have more values than its family."""
    provider = able(options=None, qualities=("high",))

    assert await warned(drawing("test/unknown", quality="ultra"), provider) == []
    assert await warned(drawing("test/any", quality="ultra"), provider) == [("options.quality", IGNORED)]


@pytest.mark.parametrize(
    ("capabilities", "default", "wanted", "asked", "warnings"),
    [
        ({}, 2, None, 2, []),
        ({}, 0, None, 0, []),
        ({}, 2, 0, 0, []),
        ({}, 0, 3, 3, []),
        ({"max_previews": 1}, 2, None, 1, []),
        ({"max_previews": 1}, 2, 3, 1, [("options.preview_count", ADJUSTED)]),
        ({"max_previews": None}, 2, 16, 16, []),
        ({"previews": PreviewSupport.PROGRESS}, 2, None, 0, []),
        ({"previews": PreviewSupport.PROGRESS}, 2, 0, 0, []),
        ({"previews": PreviewSupport.NONE}, 2, 1, 0, [("options.preview_count", IGNORED)]),
        ({"previews": PreviewSupport.UNKNOWN, "max_previews": None}, 2, None, 0, []),
        ({"previews": PreviewSupport.UNKNOWN, "max_previews": None}, 2, 3, 3, []),
    ],
)
async def test_how_many_previews_are_asked_for(
    capabilities: Mapping[str, Any],
    default: int,
    wanted: int | None,
    asked: int,
    warnings: list[tuple[str, WarningReason]],
) -> None:
    """The default of the form where the model is known to have previews; a wish as far as the model goes."""
    wish = replace(drawing(preview_count=wanted), preview_default=default)

    planned = (await planner(as_entry(able(**capabilities))).plan(wish)).first

    assert planned.task.preview_count == asked
    assert [(warning.field, warning.reason) for warning in planned.warnings] == warnings


@pytest.mark.parametrize(("most", "limit"), [(3, 3), (None, MAX_COUNT)])
async def test_the_count_is_held_against_the_model(most: int | None, limit: int) -> None:
    """As many as the model takes are planned; one more is a violation."""
    provider = able(max_count=most)

    assert await warned(drawing(count=limit), provider) == []
    assert await violated(drawing(count=limit + 1), provider) == ["options.count"]


async def test_input_images_are_held_against_the_model() -> None:
    """As many as the model takes are good; one more is a violation."""
    provider = able(max_input_images=2)

    assert await warned(editing(png(), png()), provider) == []
    assert await violated(editing(png(), png(), png()), provider) == ["input.images"]
    assert await warned(editing(*[png()] * 5), able(max_input_images=None)) == []


async def test_an_edit_needs_words_unless_the_model_does_without() -> None:
    """Only a model that edits without words takes an empty prompt."""
    assert await violated(editing(png(), prompt=""), able()) == ["input.prompt"]
    assert await warned(editing(png(), prompt=""), able(edits_without_words=True)) == []


async def test_metadata_that_the_adapter_does_not_read_is_told() -> None:
    """Metadata given for a provider that needs none comes back as a warning; for another provider it does not."""
    wish = editing(png(), png())
    images = (
        replace(as_input(png()), metadata={"other": {"id": 1}}),
        replace(as_input(png()), metadata={"test": {"id": 1}, "other": {}}),
    )

    class Reading(ScriptedProvider):
        uses_image_metadata = True

    assert await warned(replace(wish, images=images), able()) == [("input.images[1].metadata", IGNORED)]
    assert await warned(replace(wish, images=images), Reading()) == []


async def test_everything_that_fits_is_in_the_task() -> None:
    """Prompt, images, mask and params reach the adapter."""
    wish = editing(png(), png(shade=7), mask=png(shade=9))

    task = (await planner().plan(replace(wish, params={"test": {"style": 1}}))).first.task

    assert (task.operation, task.model, task.prompt) == (wish.operation, "any", "a boat")
    assert (task.images, task.mask, task.params) == (wish.images, wish.mask, {"style": 1})


async def test_a_model_is_looked_up_where_the_provider_lists_it() -> None:
    """Each model of a provider has its own capabilities."""
    provider = ScriptedProvider(known_models=[Model("mute", replace(ABLE, options=frozenset()))])

    assert await warned(drawing("test/mute", seed=1), provider) == [("options.seed", IGNORED)]
    assert await warned(drawing("test/any", seed=1), provider) == []
