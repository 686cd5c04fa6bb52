"""What is known of models. The vendor has no list to ask for."""

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.providers.bfl.models import find_model, known_models
from imagegen_server.providers.registry import Registry

from tests.support.bfl_api import KEY, fake_bfl
from tests.support.bfl_fields import MODELS
from tests.support.bfl_provider import bfl_entry

FINETUNED = {"flux-pro-1.1-ultra-finetuned", "flux-pro-1.0-fill-finetuned"}
"""Models of one account."""

_FIELDS = {"seed": "seed", "format": "output_format", "aspect_ratio": "aspect_ratio", "resolution": "resolution"}


def test_the_models_are_those_of_the_vendors_document() -> None:
    """As the fake has them, but those that need something of the account's own."""
    assert {model.id for model in known_models()} == set(MODELS) - FINETUNED
    assert all(model.known and model.display_name and model.retire_time is None for model in known_models())


@pytest.mark.parametrize("model_id", MODELS)
def test_what_a_model_can_do_follows_from_its_fields(model_id: str) -> None:
    """Options, input images and masks are fields; what has no field is not promised."""
    able = find_model(model_id).capabilities
    fields, needed = MODELS[model_id]
    inputs = {
        "image",
        "image_prompt",
        "person",
        "garment",
        *(name for name in fields if name.startswith("input_image")),
    }

    assert able.options is not None
    # A ratio and a resolution can be said in pixels, too, unless these must be named.
    in_pixels = {"aspect_ratio", "resolution"} if "width" in fields and "width" not in needed else set()
    for option, field in _FIELDS.items():
        assert (option in able.options) is (field in fields or option in in_pixels), option
    assert ("size" in able.options) is ("width" in fields)
    assert able.max_input_images == (10 if "images" in fields else len(inputs & set(fields)))
    assert able.mask is ("mask" in fields)
    assert able.generate is not bool({"image", "input_image", "person"} & set(needed))
    assert able.edits_without_words is ("prompt" not in needed)
    assert (able.edit, able.streaming, able.max_images) == (True, False, 1)
    assert able.previews is PreviewSupport.UNKNOWN


def test_of_a_stranger_nothing_is_claimed() -> None:
    """It may draw, edit, or take a mask; its options go as they are."""
    found = find_model("flux-9-image")
    can = found.capabilities

    assert not found.known
    assert (can.generate, can.edit, can.mask) == (None,) * 3
    assert can.options == frozenset({"size", "aspect_ratio", "resolution", "seed", "format"})


@pytest.mark.parametrize("model_id", ["flux-3-video", "flux-video-edit", "flux-tools/video-upscale-v1"])
def test_what_makes_videos_makes_no_pictures(model_id: str) -> None:
    """It is refused before it costs."""
    can = find_model(model_id).capabilities

    assert (can.generate, can.edit) == (False, False)


@pytest.mark.parametrize(
    ("model_id", "like"),
    [
        ("flux-2-klein-9b-kv", "flux-2-klein-9b"),
        ("flux-2-ultra", "flux-2-pro"),
        ("flux-kontext-dev", "flux-kontext-pro"),
        ("flux-tools/vto-v3", "flux-tools/vto-v2"),
    ],
)
def test_a_new_model_is_guessed_by_its_family(model_id: str, like: str) -> None:
    """And not said to be known."""
    assert find_model(model_id).capabilities == find_model(like).capabilities
    assert not find_model(model_id).known


async def test_listing_asks_nobody() -> None:
    """There is nobody to ask."""
    async with fake_bfl() as fake:
        entry = bfl_entry(fake.base_url)
        catalogue = Catalogue({"bfl": Upstream(UpstreamSettings((ProviderKey(Secret(KEY)),)))})
        try:
            told = await catalogue.models(entry)
        finally:
            await Registry([entry]).close()

    assert list(told) == known_models()
    assert fake.requests == []
