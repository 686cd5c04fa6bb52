"""Which models there are, what each family can do, and what becomes of those that the vendor has ended."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.generation import fitting
from imagegen_server.providers.openai import OpenAISettings, provider
from imagegen_server.providers.openai.models import family_of, find_model, living_models
from imagegen_server.providers.openai.provider import OpenAI

from tests.support.generation import drawing, planner
from tests.support.openai_checks import MODELS
from tests.support.openai_provider import openai_entry

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ENDING = {"gpt-image-1.5", "gpt-image-1.5-2025-12-16", "gpt-image-1-mini", "chatgpt-image-latest"}
ENDED = {"gpt-image-1", "dall-e-2", "dall-e-3"}
LASTING = MODELS - ENDING
NOWHERE = "http://127.0.0.1:9/v1"


def at(moment: datetime) -> SimpleNamespace:
    """Stand for the class datetime at a moment."""
    return SimpleNamespace(now=lambda _zone: moment)


async def warnings_of(model: str) -> list[Warning]:
    """Plan a drawing by a model and list its warnings."""
    return list((await planner(openai_entry(NOWHERE)).plan(drawing(f"openai/{model}"))).first.warnings)


@pytest.mark.parametrize("model", sorted(LASTING | ENDING))
def test_a_model_of_today_draws_edits_and_streams(model: str) -> None:
    """What the fake of the vendor takes is known here, with the limits of its requests."""
    found = find_model(model)
    can = found.capabilities

    assert found.known
    assert (can.generate, can.edit, can.mask, can.streaming, can.previews) == (*[True] * 4, PreviewSupport.IMAGES)
    assert (can.max_images, can.max_input_images, can.max_previews) == (10, 16, 3)
    assert can.options is not None
    assert "seed" not in can.options
    assert "negative_prompt" not in can.options


@pytest.mark.parametrize(
    ("model", "any_size", "qualities", "formats"),
    [
        ("gpt-image-1-mini", False, 4, 3),
        ("gpt-image-1.5-2025-12-16", False, 4, 3),
        ("chatgpt-image-latest", False, 4, 3),
        ("gpt-image-2", True, 4, 3),
        ("gpt-image-2-2026-04-21", True, 4, 3),
        ("gpt-image-2.5-flare-2026-09-08", True, 6, 3),
        ("gpt-image-2.6-sunburst", True, 6, 5),
        ("gpt-image-2.6-sunburst-2027-01-01", True, 6, 5),
        ("gpt-image-3", True, 4, 3),
    ],
)
def test_a_family_shares_what_it_can(model: str, any_size: bool, qualities: int, formats: int) -> None:
    """Three sizes or any, four qualities or six, GIF and SVG of the latest; snapshots and heirs go by their names."""
    can = find_model(model).capabilities

    assert family_of(model).any_size is any_size
    assert bool(can.sizes) is not any_size
    assert (can.resolutions == ("1K", "2K", "4K")) is any_size
    assert (len(can.qualities), len(can.formats)) == (qualities, formats)


@pytest.mark.parametrize("model", ["gpt-image-3", "gpt-image-2-2027-01-01", "flux-1", "org/some model:tag", "ü"])
async def test_any_id_passes_as_it_is(model: str) -> None:
    """An id that was never seen is asked for without a warning, and said to be unknown."""
    assert not find_model(model).known

    planned = (await planner(openai_entry(NOWHERE)).plan(drawing(f"openai/{model}"))).first

    assert planned.task.model == model
    assert planned.warnings == ()


async def test_of_a_stranger_nothing_is_claimed() -> None:
    """A model of another house may be able to do anything; it is asked for one image a request and no previews."""
    can = find_model("flux-1").capabilities

    assert (can.generate, can.edit, can.mask, can.streaming, can.max_images) == (None,) * 5
    assert can.previews is PreviewSupport.UNKNOWN
    planned = (await planner(openai_entry(NOWHERE)).plan(drawing("openai/flux-1", count=3))).first
    assert [task.count for _, task in planned.batches] == [1, 1, 1]


@pytest.mark.parametrize("model", sorted(ENDING))
@pytest.mark.parametrize(("moment", "verb"), [(DECEMBER - SECOND, "ends"), (DECEMBER, "ended")])
async def test_a_model_with_an_end_is_warned_about(
    model: str, moment: datetime, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning names the day, before it and after it; the vendor has the last word, so the call is made."""
    monkeypatch.setattr(fitting, "datetime", at(moment))

    assert await warnings_of(model) == [
        Warning("model", WarningReason.MODEL_RETIRING, f"the provider {verb} this model on 2026-12-01")
    ]


async def test_a_model_that_has_ended_says_when() -> None:
    """Each has its own day, which is over."""
    told = {model: (await warnings_of(model))[0].message.rpartition(" ")[2] for model in ENDED}

    assert told == {"gpt-image-1": "2026-10-23", "dall-e-2": "2026-05-12", "dall-e-3": "2026-05-12"}


@pytest.mark.parametrize("model", sorted(LASTING))
async def test_a_model_without_an_end_is_not_warned_about(model: str) -> None:
    """No end was announced, so none is told."""
    assert find_model(model).retire_time is None
    assert await warnings_of(model) == []


@pytest.mark.parametrize(
    ("moment", "living"), [(DECEMBER - SECOND, LASTING | ENDING), (DECEMBER, LASTING), (DECEMBER + SECOND, LASTING)]
)
async def test_the_list_holds_the_living_only(
    moment: datetime, living: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model leaves the list in the second of its end, and is found by its id all the same."""
    monkeypatch.setattr(provider, "datetime", at(moment))

    listed = await OpenAI("openai", OpenAISettings()).models()

    assert {model.id for model in listed} == living
    assert listed == living_models(moment)
    assert all(find_model(model).known for model in ENDING | ENDED)
