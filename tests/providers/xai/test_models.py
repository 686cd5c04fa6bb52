"""What is known of models, by themselves and from the vendor's own list."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.providers.registry import Registry
from imagegen_server.providers.xai.models import find_model, living_models

from tests.support.vendor import Answer, html_answer, json_answer
from tests.support.xai_api import KEY, LISTED, MODELS, fake_xai
from tests.support.xai_provider import xai_entry

NOVEMBER = datetime(2026, 11, 2, tzinfo=UTC)
SECOND = timedelta(seconds=1)
UNREADABLE: list[Any] = [{}, [], {"models": None}, {"models": [1]}, {"models": [{"name": "x"}]}, {"data": []}]


@pytest.mark.parametrize("model", MODELS)
def test_a_model_of_today_draws_and_edits(model: str) -> None:
    """What the fake of the vendor takes is known here; nothing streams, and there are no masks."""
    found, can = find_model(model), find_model(model).capabilities

    assert found.known
    assert (can.generate, can.edit, can.mask, can.streaming, can.max_images) == (True, True, False, False, 10)
    assert can.previews is PreviewSupport.NONE
    assert can.options is not None
    assert {"aspect_ratio", "resolution"} <= can.options


@pytest.mark.parametrize(
    ("model", "images", "quality", "ratios"),
    [
        ("grok-imagine-image", 3, False, 14),
        ("grok-imagine-image-2.0", 5, True, 16),
        ("grok-imagine-image-2.0-20260801", 5, True, 16),
        ("grok-imagine-image-3.0", 5, True, 16),
        ("grok-imagine-image-quality", 5, False, 16),
        ("grok-imagine-image-quality-latest", 5, False, 16),
        ("grok-imagine-image-pro", 5, False, 16),
    ],
)
def test_a_family_shares_what_it_can(model: str, images: int, quality: bool, ratios: int) -> None:
    """Inputs, quality and ratios go by the name; ended names are the second generation at a quality that is set."""
    can = find_model(model).capabilities

    assert can.options is not None
    assert can.max_input_images == images
    assert (("quality" in can.options) is quality) is (bool(can.qualities) is quality)
    assert len(can.aspect_ratios) == ratios


def test_of_a_stranger_nothing_is_claimed_but_what_the_vendor_lacks() -> None:
    """No way to send a mask or to stream, whatever the model."""
    can = find_model("flux-9").capabilities

    assert not find_model("flux-9").known
    assert (can.generate, can.edit, can.max_images, can.max_input_images) == (None,) * 4
    assert (can.mask, can.streaming, can.previews) == (False, False, PreviewSupport.NONE)


def test_the_ended_generation_only_draws() -> None:
    """It is nowhere listed, and not said to be known."""
    found = find_model("grok-2-image-1212")

    assert not found.known
    assert (found.capabilities.generate, found.capabilities.edit) == (True, False)
    assert found.capabilities.options == frozenset()


def test_a_model_leaves_the_list_in_the_second_of_its_end() -> None:
    """And is found by its id all the same."""
    ending = "grok-imagine-image-quality"

    assert find_model(ending).retire_time == NOVEMBER
    assert ending in {model.id for model in living_models(NOVEMBER - SECOND)}
    assert ending not in {model.id for model in living_models(NOVEMBER)}


async def listing(*answers: Answer, key: str = KEY, times: int = 1) -> tuple[list[Any], int]:
    """Ask for the list as the model service does; tells the answers and how often the vendor was asked."""
    async with fake_xai() as fake:
        fake.answer_next(*answers)
        entry = xai_entry(fake.base_url)
        catalogue = Catalogue({"xai": Upstream(UpstreamSettings((ProviderKey(Secret(key)),)))})
        try:
            told = [await catalogue.models(entry) for _ in range(times)]
        finally:
            await Registry([entry]).close()
        assert {(call.method, call.path) for call in fake.requests} == {("GET", "/v1/image-generation-models")}
        return told, len(fake.requests)


async def test_the_list_is_the_vendors_and_is_remembered() -> None:
    """All that it names, one never seen here included, with what their families can do; asked for once."""
    told, asked = await listing(times=3)

    assert asked == 1
    assert told[0] == told[1] == told[2] == [find_model(name, listed=True) for name in LISTED]
    assert all(model.known for model in told[0])
    assert told[0][-1].capabilities.max_input_images == 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (html_answer(503), Reason.PROVIDER_UNAVAILABLE),
        (html_answer(200), Reason.INVALID_RESPONSE),
        (Answer(500), Reason.PROVIDER_ERROR),
        *((json_answer(200, body), Reason.INVALID_RESPONSE) for body in UNREADABLE),
    ],
)
async def test_a_list_that_cannot_be_read_is_an_error(answer: Answer, reason: Reason) -> None:
    """So that the provider is told as unreachable, and asked again next time."""
    with pytest.raises(ImageError) as caught:
        await listing(answer)

    assert caught.value.reason is reason


async def test_a_wrong_key_gets_no_list() -> None:
    """By the words of the vendor; its status is that of a bad request."""
    with pytest.raises(ImageError) as caught:
        await listing(key="xai-wrong-key-9876543210")

    assert caught.value.reason is Reason.AUTHENTICATION_FAILED
    assert "9876543210" not in str(caught.value)
