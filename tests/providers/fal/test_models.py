"""What is known of models: without the vendor's list, by it, and by the OpenAPI document of each."""

from typing import Any

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.providers.fal.models import known_ids
from imagegen_server.providers.fal.schema import inputs_in

from tests.support.fal_api import KEY, said
from tests.support.fal_models import LISTED, PAGE, document_of, list_body
from tests.support.fal_provider import fal_provider, fal_workshop
from tests.support.generation import drawing
from tests.support.vendor import json_answer

PROVIDER = fal_provider()


@pytest.mark.parametrize(
    ("model_id", "does", "most", "inputs"),
    [
        ("fal-ai/flux/dev", "draws", 4, None),
        ("fal-ai/flux/dev/image-to-image", "edits", 4, 1),
        ("fal-ai/flux-pro/v1/fill", "edits masks", 4, 1),
        ("fal-ai/flux-pro/v1.1-ultra", "draws edits", 4, 1),
        ("fal-ai/flux-2-pro", "draws", 1, None),
        ("fal-ai/gpt-image-1.5/edit", "edits masks", 4, 16),
    ],
)
def test_what_a_known_model_can_do(model_id: str, does: str, most: int, inputs: int | None) -> None:
    """Draw, edit, with a mask or without, and how many pictures come out and go in."""
    model = PROVIDER.model(model_id)
    able = model.capabilities

    assert model.known
    can = {"draws": able.generate, "edits": able.edit, "masks": able.mask}
    assert [name for name, able in can.items() if able] == does.split()
    assert None not in can.values()
    assert (able.max_images, able.max_input_images) == (most, inputs)


def test_what_a_known_model_is_told_by() -> None:
    """Options and their values."""
    flux, banana, gpt, seedream = (
        PROVIDER.model(f"fal-ai/{name}").capabilities
        for name in ("flux/dev", "nano-banana-pro", "gpt-image-1.5", "bytedance/seedream/v4.5/text-to-image")
    )

    assert flux.options == frozenset({"size", "aspect_ratio", "format", "seed"})
    assert flux.aspect_ratios == ("1:1", "3:4", "9:16", "4:3", "16:9")
    assert flux.formats == ("jpeg", "png")
    assert (flux.streaming, flux.previews) == (True, PreviewSupport.IMAGES)
    assert banana.options == frozenset({"aspect_ratio", "resolution", "format", "seed"})
    assert banana.resolutions == ("1K", "2K", "4K")
    assert (banana.streaming, banana.previews) == (False, PreviewSupport.PROGRESS)
    assert gpt.sizes == ("1024x1024", "1536x1024", "1024x1536")
    assert gpt.qualities == ("low", "medium", "high")
    assert gpt.backgrounds == ("auto", "transparent", "opaque")
    assert seedream.resolutions == ("2K", "4K")


def test_an_unknown_model_gets_the_guess_of_its_kind() -> None:
    """Nothing that it can do is denied; its number of pictures is not known, so they are asked for one by one."""
    plain, ratio, edits = (
        PROVIDER.model(name) for name in ("someone/else", "fal-ai/nano-banana-9", "fal-ai/flux-9/edit")
    )

    assert not plain.known
    able = plain.capabilities
    assert (able.generate, able.edit, able.mask, able.max_images) == (None, None, None, None)
    assert able.options == frozenset({"size", "aspect_ratio", "format", "seed"})
    assert ratio.capabilities.options == frozenset({"aspect_ratio", "format", "seed"})
    assert (able.max_input_images, edits.capabilities.max_input_images) == (1, None)


async def test_the_vendors_list_counts() -> None:
    """All pages of both categories; a stream is no model of its own; a document says more than what is known here."""
    async with fal_workshop() as made:
        provider = made.entry.provider
        assert [model.id for model in await provider.models()] == list(known_ids())
        listed = await provider.list_models(made.entry.http, Secret(KEY))  # type: ignore[arg-type]
        tomorrow = provider.model("fal-ai/of-tomorrow")
        cutter = provider.model("someone/cutter").capabilities
        edits = provider.model("fal-ai/flux-2/edit").capabilities
        assert list(await provider.models()) == list(listed)
        unlisted = provider.model("fal-ai/flux/krea")

    assert {model.id for model in listed} == set(LISTED) - {"fal-ai/of-tomorrow/stream"}
    assert len(made.fake.requests) == 3 == len(LISTED) // PAGE + 1
    assert all(request.headers["authorization"] == f"Key {KEY}" for request in made.fake.requests)
    assert (tomorrow.known, tomorrow.capabilities.previews) == (True, PreviewSupport.IMAGES)
    assert tomorrow.capabilities.max_images == 4
    assert tomorrow.capabilities.options is not None
    assert "negative_prompt" in tomorrow.capabilities.options
    assert (cutter.generate, cutter.edit, cutter.edits_without_words) == (False, True, True)
    assert edits.max_input_images == 4
    assert provider.model("fal-ai/ideogram/v3/edit").capabilities.max_input_images == 1
    assert unlisted.known
    assert provider.model("someone/painter").display_name == "The painter"


async def test_fields_of_the_list_are_used() -> None:
    """A model that is not known here is asked for as its own document says."""
    async with fal_workshop() as made:
        await made.entry.provider.list_models(made.entry.http, Secret(KEY))  # type: ignore[arg-type]
        made.fake.requests.clear()
        result = await made.workshop.result(drawing("fal/fal-ai/of-tomorrow", count=2, negative_prompt="rain"))

    assert made.fake.requests[0].json == {
        "prompt": "a boat",
        "num_images": 2,
        "negative_prompt": "rain",
        "sync_mode": True,
    }
    assert len(result.images) == 2


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, {"detail": "No user found for Key ID and Secret"}, Reason.AUTHENTICATION_FAILED),
        (429, {"error": {"type": "rate_limited", "message": "Rate limit exceeded"}}, Reason.RATE_LIMITED),
        (500, {}, Reason.PROVIDER_ERROR),
        (200, {"models": {}}, Reason.INVALID_RESPONSE),
        (200, {"models": [{"metadata": {}}]}, Reason.INVALID_RESPONSE),
        (200, {"models": [5]}, Reason.INVALID_RESPONSE),
        (200, [], Reason.INVALID_RESPONSE),
        (200, "x", Reason.INVALID_RESPONSE),
    ],
)
async def test_a_list_that_cannot_be_read(status: int, body: object, reason: Reason) -> None:
    """Is an error, and what was known stays known."""
    async with fal_workshop() as made:
        provider, http = made.entry.provider, made.entry.http
        assert http is not None
        await provider.list_models(http, Secret(KEY))
        made.fake.answer_next(json_answer(status, body))
        with pytest.raises(ImageError) as caught:
            await provider.list_models(http, Secret(KEY))
        assert provider.model("fal-ai/of-tomorrow").known

    assert caught.value.reason is reason


async def test_a_list_without_end_ends() -> None:
    """A cursor that leads to itself is not followed for ever."""
    async with fal_workshop() as made:
        page = list_body("category=text-to-image")
        assert page is not None
        made.fake.answer_next(*[said(200, page | {"next_cursor": "again"}) for _ in range(4)])
        await made.entry.provider.list_models(made.entry.http, Secret(KEY))  # type: ignore[arg-type]

    assert len(made.fake.requests) == 4


def test_a_document_is_read() -> None:
    """References, alternatives, bounds and lists of values."""
    inputs = inputs_in(document_of("fal-ai/flux-2/edit"))

    assert inputs is not None
    assert inputs.required == {"prompt", "image_urls"}
    assert inputs.values["output_format"] == ("jpeg", "png", "webp")
    assert inputs.values["image_size"][0] == "square_hd"
    assert inputs.pixels
    assert (inputs.most_images, inputs.most_inputs) == (4, 4)
    ideogram = inputs_in(document_of("fal-ai/ideogram/v3/edit"))
    assert ideogram is not None
    assert (ideogram.image_field, ideogram.mask_field) == ("image_url", "mask_url")
    gpt = inputs_in(document_of("fal-ai/gpt-image-1.5"))
    assert gpt is not None
    assert not gpt.pixels


def schema_document(**properties: Any) -> dict[str, Any]:
    """Write a document with these fields in place."""
    body = {"schema": {"type": "object", "properties": properties}}
    return {"paths": {"/x": {"post": {"requestBody": {"content": {"application/json": body}}}}}}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ({"enum": ["a", "b"]}, ("a", "b")),
        ({"anyOf": [{"enum": ["a"]}, {"const": "b"}, {"type": "null"}]}, ("a", "b")),
        ({"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "string"}]}, ()),
        ({"allOf": [{"enum": ["a", 1, None]}]}, ("a",)),
        ({"type": "string"}, ()),
        ({}, ()),
    ],
)
def test_values_of_a_field(field: dict[str, Any], values: tuple[str, ...]) -> None:
    """A list only where nothing else is taken; what is no text is left out."""
    inputs = inputs_in(schema_document(aspect_ratio=field))

    assert inputs is not None
    assert inputs.values.get("aspect_ratio", ()) == values


LOOP = {"$ref": "#/components/schemas/Loop"}
ENDLESS = {"anyOf": [{"$ref": "#/components/schemas/Loop"}] * 3}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"paths": []},
        {"paths": {"/x": {"post": {"requestBody": {"content": []}}}}},
        schema_document(),
        {**schema_document(), "components": {"schemas": 5}},
        {
            "paths": {"/x": {"post": {"requestBody": {"content": {"application/json": {"schema": LOOP}}}}}},
            "components": {"schemas": {"Loop": LOOP}},
        },
    ],
)
def test_a_document_that_tells_nothing(document: object) -> None:
    """Is no reason to fail: what is known or guessed counts then."""
    assert inputs_in(document) is None


def test_a_document_that_leads_in_circles() -> None:
    """Is read as far as it says anything."""
    document = schema_document(aspect_ratio=LOOP, image_size=ENDLESS, num_images={"maximum": True}, image_urls=[])
    inputs = inputs_in({**document, "components": {"schemas": {"Loop": ENDLESS}}})

    assert inputs is not None
    assert inputs.values == {}
    assert (inputs.most_images, inputs.most_inputs) == (1, None)
