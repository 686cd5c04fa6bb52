"""What is known of models: by the vendor's own list, and before it was read."""

import copy
from typing import Any

import pytest
from imagegen_server.domain.capabilities import Capabilities, PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.providers.openrouter.models import guessed_model, model_of, models_of
from imagegen_server.providers.registry import ProviderEntry, Registry

from tests.support.openapi import validator
from tests.support.openrouter_api import MODELS, fake_openrouter
from tests.support.openrouter_provider import catalogue, openrouter_entry
from tests.support.vendor import Answer, html_answer, json_answer

SPEC = "OPENROUTER_OPENAPI_SPEC"
ALL = frozenset({"size", "aspect_ratio", "resolution", "quality", "background", "format", "compression", "seed"})
UNREADABLE: list[Any] = [{}, [], {"data": None}, {"data": [1]}, {"data": [{"name": "x"}]}, {"data": [{"id": 7}]}]


def capabilities(model_id: str) -> Capabilities:
    """Read an entry of the fake's list."""
    return model_of(MODELS[model_id]).capabilities


def test_a_listed_model_can_what_the_list_says() -> None:
    """Every kind of descriptor becomes the capability that it means."""
    found = model_of(MODELS["openai/gpt-image-2"])

    assert (found.known, found.display_name, found.retire_time) == (True, "GPT Image 2", None)
    assert found.capabilities == Capabilities(
        generate=True,
        streaming=True,
        edit=True,
        max_images=10,
        max_input_images=16,
        mask=False,
        previews=PreviewSupport.IMAGES,
        options=ALL - {"seed"},
        aspect_ratios=("1:1", "3:2", "2:3", "auto"),
        resolutions=("1K", "2K", "4K"),
        qualities=("auto", "low", "medium", "high"),
        backgrounds=("auto", "opaque"),
        formats=("png", "jpeg", "webp"),
    )


def test_a_model_that_does_not_stream_shows_nothing() -> None:
    """And what its entry does not name is not taken."""
    can = capabilities("bytedance-seed/seedream-4.5")

    assert (can.streaming, can.previews) == (False, PreviewSupport.NONE)
    assert (can.max_images, can.max_input_images, can.edit) == (4, 14, True)
    assert can.options == frozenset({"size", "aspect_ratio", "resolution", "seed"})


def test_an_entry_without_any_field_has_not_been_filled_in() -> None:
    """Such entries are in the real list: nothing is concluded from what they do not say."""
    can = capabilities("meta/muse-image")

    assert (can.options, can.max_images, can.edit) == (ALL, None, None)


def test_a_model_of_words_does_not_edit() -> None:
    """Both places that could tell of input images say that there are none; text that streams is no preview."""
    can = capabilities("quiver/arrow-1")

    assert (can.generate, can.edit, can.max_images) == (True, False, 1)
    assert (can.streaming, can.previews, can.formats) == (True, PreviewSupport.NONE, ("svg",))


def test_a_model_that_needs_an_image_only_edits() -> None:
    """The least number of references is one."""
    can = capabilities("quiver/trace-1")

    assert (can.generate, can.edit, can.max_input_images) == (False, True, 1)


def test_of_a_stranger_only_what_holds_for_all_is_claimed() -> None:
    """No masks, at most 16 images, and OpenAI's models stream."""
    stranger, guessed = guessed_model("acme/paint-9"), guessed_model("openai/gpt-image-9")

    assert not stranger.known
    assert not guessed.known
    assert (stranger.capabilities.streaming, stranger.capabilities.previews) == (None, PreviewSupport.UNKNOWN)
    assert (guessed.capabilities.streaming, guessed.capabilities.previews) == (True, PreviewSupport.IMAGES)
    for can in (stranger.capabilities, guessed.capabilities):
        assert (can.mask, can.edit, can.max_images, can.max_input_images) == (False, None, None, 16)
        assert can.options == ALL


@pytest.mark.parametrize(
    "odd",
    [
        {"supported_parameters": ["n", "size"]},
        {"supported_parameters": None, "supports_streaming": "yes", "architecture": None, "name": 7},
        {"supported_parameters": {"n": {"type": "range", "max": float("nan")}, "quality": {"values": [1, "low"]}}},
        {"supported_parameters": {"n": 4, "seed": True, "input_references": {"max": "many"}, "of_tomorrow": {}}},
        {"supported_parameters": {"n": {"max": float("inf")}, "input_references": {"max": -1, "min": None}}},
    ],
    ids=range(5),
)
def test_an_odd_entry_is_read_as_far_as_it_goes(odd: dict[str, Any]) -> None:
    """One that was built tomorrow must not take the others away."""
    entry = copy.deepcopy(MODELS["openai/gpt-image-2"]) | odd
    first, second = models_of({"data": [entry, MODELS["meta/muse-image"]]})

    assert (first.id, second.id) == ("openai/gpt-image-2", "meta/muse-image")
    assert first.capabilities.generate is True
    assert first.capabilities.max_images in {None, 1}


def test_the_fake_lists_models_as_the_openapi_document_says() -> None:
    """No entry has a member that the vendor does not have."""
    assert list(validator("ImageModelsListResponse", (), SPEC).iter_errors({"data": list(MODELS.values())})) == []


async def listed(told: Catalogue, entry: ProviderEntry) -> list[str]:
    """Ask for the list as the model service does."""
    return [model.id for model in await told.models(entry)]


async def test_the_list_is_the_vendors_and_is_remembered() -> None:
    """Asked for once; from then on a model is what the list said of it."""
    async with fake_openrouter() as fake:
        entry, told = openrouter_entry(fake.base_url), catalogue()
        assert not entry.provider.model("quiver/trace-1").known
        assert await entry.provider.models() == []
        names = [await listed(told, entry) for _ in range(3)]
        model, known = entry.provider.model("quiver/trace-1"), await entry.provider.models()
        await Registry([entry]).close()

    assert names == [list(MODELS)] * 3
    assert [(call.method, call.path) for call in fake.requests] == [("GET", "/api/v1/images/models")]
    assert model == model_of(MODELS["quiver/trace-1"])
    assert [model.id for model in known] == list(MODELS)


async def test_a_newer_list_replaces_the_older_one() -> None:
    """A model that left the list is a stranger again."""
    async with fake_openrouter() as fake:
        fake.answer_next(json_answer(200, {"data": [MODELS["meta/muse-image"] | {"id": "acme/gone"}]}))
        entry = openrouter_entry(fake.base_url)
        assert await listed(catalogue(), entry) == ["acme/gone"]
        assert entry.provider.model("acme/gone").known
        await listed(catalogue(), entry)
        await Registry([entry]).close()

    assert not entry.provider.model("acme/gone").known


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (html_answer(503), Reason.PROVIDER_UNAVAILABLE),
        (html_answer(200), Reason.INVALID_RESPONSE),
        (Answer(500), Reason.PROVIDER_ERROR),
        (json_answer(401, {"error": {"code": 401, "message": "User not found."}}), Reason.AUTHENTICATION_FAILED),
        *((json_answer(200, body), Reason.INVALID_RESPONSE) for body in UNREADABLE),
    ],
)
async def test_a_list_that_cannot_be_read_is_an_error(answer: Answer, reason: Reason) -> None:
    """So that the provider is told as unreachable, and what was known before stays known."""
    async with fake_openrouter() as fake:
        entry = openrouter_entry(fake.base_url)
        await listed(catalogue(), entry)
        fake.answer_next(answer)
        with pytest.raises(ImageError) as caught:
            await listed(catalogue(), entry)
        await Registry([entry]).close()

    assert caught.value.reason is reason
    assert entry.provider.model("meta/muse-image").known
