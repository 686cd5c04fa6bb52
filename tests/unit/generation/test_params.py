"""The provider's own parameters: whose they are, and those that say what an option says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import PixelSize
from imagegen_server.generation.plan import Candidate

from tests.support.generation import as_entry, drawing, planner, told
from tests.support.provider import ABLE, ScriptedProvider


class TunedProvider(ScriptedProvider):
    """A provider with a param for every kind of option."""

    param_options = {  # noqa: RUF012 - the declaration of the base class
        "n": "count",
        "seed": "seed",
        "size": "size",
        "quality": "quality",
        "output_compression": "compression",
        "partial_images": "preview_count",
    }


async def plan(params: Mapping[str, Any], **options: Any) -> Candidate:
    """Plan with one provider "test" of type "scripted", and another one, "other"."""
    entries = as_entry(TunedProvider()), as_entry(name="other", type_name="another")
    return (await planner(*entries).plan(drawing(params=params, **options))).first


async def refusal(params: Mapping[str, Any], **options: Any) -> ImageError:
    """Return the error with which params are refused."""
    with pytest.raises(ImageError) as caught:
        await plan(params, **options)
    return caught.value


@pytest.mark.parametrize("key", ["test", "scripted"])
async def test_params_are_found_by_name_and_by_type(key: str) -> None:
    """Both keys mean the provider, and the params reach it as they are."""
    params = {"style": "vivid", "n_iter": 3, "deep": {"list": [1, 2.5, None, True, "x"]}}

    planned = await plan({key: params})

    assert planned.task.params == params
    assert planned.warnings == ()


async def test_the_name_goes_before_the_type() -> None:
    """A provider that has params under its own name does not get those of its type."""
    planned = await plan({"scripted": {"style": "type"}, "test": {"style": "name"}})

    assert planned.task.params == {"style": "name"}


async def test_params_of_another_provider_are_left_alone() -> None:
    """Params for a provider that is not called are no warning, so that a fallback can have its own."""
    planned = await plan({"other": {"style": "x"}, "another": {"style": "y"}})

    assert planned.task.params == {}
    assert planned.warnings == ()


async def test_a_key_that_means_nobody_is_refused() -> None:
    """A key that is neither a name nor a type is a typo, and is told."""
    error = await refusal({"tset": {}, "test": {}})

    assert error.reason is Reason.INVALID_REQUEST
    assert told(error) == ["params.tset"]


async def test_params_under_the_adapters_control_are_refused() -> None:
    """A param that the server itself must set is refused by its path, under either key."""
    assert told(await refusal({"test": {"prompt": "x", "model": "y", "style": "z"}})) == [
        "params.test.prompt",
        "params.test.model",
    ]
    assert told(await refusal({"scripted": {"prompt": "x"}})) == ["params.scripted.prompt"]


async def test_a_param_that_says_what_an_option_says_is_that_option() -> None:
    """The count, size and seed of params count for fan-out and capabilities, and are not sent twice."""
    planned = await plan(
        {"test": {"n": 3, "size": "640x480", "seed": -7, "quality": "high", "partial_images": 1, "style": "vivid"}}
    )

    options = planned.task.options
    assert (options.count, options.size, options.seed) == (3, PixelSize(640, 480), -7)
    assert (options.quality, options.preview_count) == ("high", 1)
    assert planned.task.params == {"style": "vivid"}
    assert planned.warnings == ()


async def test_params_win_over_options() -> None:
    """If both say it the param counts, and a warning tells so for each option."""
    planned = await plan({"test": {"n": 2, "seed": 5}}, count=3, seed=6)

    assert (planned.task.options.count, planned.task.options.seed) == (2, 5)
    assert [(warning.field, warning.reason) for warning in planned.warnings] == [
        ("options.count", WarningReason.OVERRIDDEN_BY_PARAMS),
        ("options.seed", WarningReason.OVERRIDDEN_BY_PARAMS),
    ]


@pytest.mark.parametrize("size", ["auto", "2K", "", "square_hd", "1024 x 1024", "1024x"])
async def test_a_size_that_is_no_pixels_is_sent_as_it_is(size: str) -> None:
    """Vendors have sizes that no option can say; they reach the provider unmodified."""
    planned = await plan({"test": {"size": size}})

    assert planned.task.params == {"size": size}
    assert planned.task.options.size is None


async def test_a_size_that_is_no_pixels_wins_over_the_option() -> None:
    """The option is not sent beside it, and the warning says so."""
    planned = await plan({"test": {"size": "auto"}}, size=PixelSize(64, 64))

    assert planned.task.options.size is None
    assert [warning.reason for warning in planned.warnings] == [WarningReason.OVERRIDDEN_BY_PARAMS]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 0),
        ("n", -1),
        ("n", True),
        ("n", 1.5),
        ("n", "2"),
        ("n", None),
        ("seed", 0.5),
        ("seed", [1]),
        ("size", 1024),
        ("size", {"width": 1}),
        ("size", "0x5"),
        ("size", "16385x1"),
        ("size", "999999999x1"),
        ("quality", 3),
        ("quality", False),
        ("output_compression", 101),
        ("output_compression", -1),
        ("partial_images", 17),
        ("partial_images", -1),
    ],
)
async def test_a_param_that_cannot_be_read_as_its_option_is_refused(name: str, value: object) -> None:
    """Values outside the option's own limits are told by the path of the param."""
    error = await refusal({"test": {name: value}})

    assert error.reason is Reason.INVALID_REQUEST
    assert told(error) == [f"params.test.{name}"]


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [
        ("n", 1, "count"),
        ("seed", -(2**53) + 1, "seed"),
        ("seed", 0, "seed"),
        ("output_compression", 100, "compression"),
        ("output_compression", 0, "compression"),
        ("partial_images", 0, "preview_count"),
    ],
)
async def test_the_limits_of_an_option_are_those_of_its_param(name: str, value: int, option: str) -> None:
    """The first and last value of each option are good as params too."""
    knows_all = as_entry(TunedProvider(capabilities=replace(ABLE, options=None)))

    planned = (await planner(knows_all).plan(drawing(params={"test": {name: value}}))).first

    assert getattr(planned.task.options, option) == value


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16_384, 16_384)])
async def test_the_limits_of_a_size_are_those_of_its_param(width: int, height: int) -> None:
    """The smallest and the largest size are good as params too."""
    planned = await plan({"test": {"size": f"{width}x{height}"}})

    assert planned.task.options.size == PixelSize(width, height)


async def test_a_count_in_params_is_held_against_the_model() -> None:
    """The limit of options.count is that of the param."""
    assert told(await refusal({"test": {"n": 9}})) == ["options.count"]
