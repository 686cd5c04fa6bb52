"""What is told of models: by the vendor's collections, by its models, or by what is known here."""

from dataclasses import replace

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import PixelSize
from imagegen_server.providers.replicate import ReplicateSettings, models
from imagegen_server.providers.replicate.inputs import inputs_in
from imagegen_server.providers.replicate.models import known_ids, known_inputs

from tests.support.generation import drawing, editing
from tests.support.pictures import png
from tests.support.replicate_api import said
from tests.support.replicate_models import COLLECTIONS, MODELS, VERSION, version_of
from tests.support.replicate_provider import replicate_provider, replicate_workshop
from tests.support.vendor import html_answer

QWEN = "replicate/someone/secret"


async def test_the_list_is_that_of_the_collections() -> None:
    """Each model once, with capabilities from its own document; one without a document in the list is asked."""
    async with replicate_workshop() as made:
        before = [model.id for model in await made.entry.provider.models()]
        listed = {model.id: model for model in await made.list_models()}
        after = [model.id for model in await made.entry.provider.models()]
    paths = [call.path for call in made.fake.requests]

    assert before == list(known_ids())
    assert set(listed) == {name for names in COLLECTIONS.values() for name in names}
    assert after == list(listed)
    assert paths == ["/v1/collections/text-to-image", "/v1/collections/image-editing", "/v1/models/someone/two-images"]
    schnell = listed["black-forest-labs/flux-schnell"].capabilities
    assert (schnell.generate, schnell.edit, schnell.mask, schnell.max_images) == (True, False, False, 4)
    assert schnell.formats == ("webp", "jpeg", "png")
    assert schnell.options == frozenset({"aspect_ratio", "resolution", "format", "compression", "seed"})
    assert (schnell.streaming, schnell.previews) == (False, PreviewSupport.PROGRESS)
    flux_2 = listed["black-forest-labs/flux-2-pro"].capabilities
    assert (flux_2.max_input_images, flux_2.aspect_ratios[:2]) == (8, ("auto", "1:1"))
    assert (flux_2.resolutions, flux_2.sizes) == (("1K", "2K"), ())
    gpt = listed["openai/gpt-image-1.5"].capabilities
    assert (gpt.max_images, gpt.max_input_images, gpt.backgrounds) == (10, 16, ("auto", "transparent", "opaque"))
    diffusion = listed["someone/diffusion"].capabilities
    assert (diffusion.streaming, diffusion.previews) == (True, PreviewSupport.IMAGES)
    two = listed["someone/two-images"].capabilities
    assert (two.generate, two.edit, two.max_input_images) == (False, True, 2)
    upscaler = listed["someone/upscaler"].capabilities
    assert (upscaler.generate, upscaler.edit, upscaler.edits_without_words) == (False, True, True)
    assert all(model.known for model in listed.values())


async def test_models_of_the_table_are_listed_too() -> None:
    """Also one that only its owner may run, and a version."""
    own = ("someone/secret", f"qwen/qwen-image:{VERSION}")
    async with replicate_workshop(settings=ReplicateSettings((), own)) as made:
        listed = await made.list_models()

    assert [model.id for model in listed] == list(own)
    assert all(model.known and "negative_prompt" in (model.capabilities.options or ()) for model in listed)


async def test_one_model_without_an_answer_does_not_spoil_the_list() -> None:
    """It is listed as what it is: unknown."""
    async with replicate_workshop(settings=ReplicateSettings((), ("someone/gone", "someone/secret"))) as made:
        listed = await made.list_models()

    assert [(model.id, model.known) for model in listed] == [("someone/gone", False), ("someone/secret", True)]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, {"detail": "You did not pass a valid authentication token"}, Reason.AUTHENTICATION_FAILED),
        (503, {"detail": "Unavailable"}, Reason.PROVIDER_UNAVAILABLE),
        (200, {"models": 5}, Reason.INVALID_RESPONSE),
        (200, [], Reason.INVALID_RESPONSE),
    ],
    ids=["key", "down", "odd", "list"],
)
async def test_a_list_that_cannot_be_read_is_an_error(status: int, body: object, reason: Reason) -> None:
    """Nothing that was known is forgotten."""
    async with replicate_workshop() as made:
        made.fake.answer_next(said(status, body))
        with pytest.raises(ImageError) as caught:
            await made.list_models()

    assert caught.value.reason is reason
    assert len(await made.entry.provider.models()) == len(known_ids())


async def test_odd_entries_of_a_collection_are_passed_over() -> None:
    """The others are listed."""
    odd = [None, {}, {"owner": "a", "name": "../b"}, {"owner": 3, "name": "x"}, {"owner": "a", "name": "b"}]
    async with replicate_workshop(settings=ReplicateSettings(("text-to-image",))) as made:
        made.fake.answer_next(said(200, {"models": odd}))
        listed = await made.list_models()

    assert [(model.id, model.known) for model in listed] == [("a/b", False)]


async def test_a_model_that_nobody_has_asked_after_is_asked_for_its_inputs() -> None:
    """Once, before its prediction; what it has no input for is not sent, and told; the next time it is a warning."""
    async with replicate_workshop() as made:
        wish = drawing(QWEN, aspect_ratio="16:9", size=PixelSize(64, 64), quality="low", negative_prompt="rain")
        first = await made.workshop.result(wish)
        second = await made.workshop.result(wish)
    creations = [call for call in made.fake.requests if call.method == "POST"]
    questions = [call.path for call in made.fake.requests if call.path.startswith("/v1/models/") and not call.body]

    assert questions == ["/v1/models/someone/secret"]
    assert creations[1].json["input"] == {"prompt": "a boat", "aspect_ratio": "16:9", "negative_prompt": "rain"}
    assert first.metadata["replicate"]["left_out"] == ["options.size", "options.quality"]
    assert {(warning.field, warning.reason) for warning in second.warnings} == {
        ("options.size", WarningReason.IGNORED),
        ("options.quality", WarningReason.IGNORED),
    }
    assert "left_out" not in second.metadata["replicate"]


@pytest.mark.parametrize("listed", [False, True])
async def test_a_model_that_is_not_official_is_run_by_its_latest_version(listed: bool) -> None:
    """Only official ones have a path of their own for predictions."""
    async with replicate_workshop() as made:
        if listed:
            await made.list_models()
        await made.workshop.result(drawing("replicate/someone/diffusion", seed=3))
    (created,) = [call for call in made.fake.requests if call.method == "POST"]

    assert created.path == "/v1/predictions"
    assert created.json == {"version": version_of("someone/diffusion"), "input": {"prompt": "a boat", "seed": 3}}


async def test_strict_refuses_what_a_model_turns_out_not_to_have() -> None:
    """Before anything is spent."""
    async with replicate_workshop() as made:
        broken = await made.workshop.broken(replace(drawing(QWEN, quality="low"), strict=True))

    assert (broken.error.reason, broken.error.billed) == (Reason.OPTION_NOT_SUPPORTED, Billed.NO)
    assert [violation.field for violation in broken.error.violations] == ["options.quality"]
    assert [call.method for call in made.fake.requests] == ["GET"]


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (editing(png(), model=QWEN), Reason.OPERATION_NOT_SUPPORTED),
        (drawing("replicate/someone/upscaler"), Reason.OPERATION_NOT_SUPPORTED),
        (drawing("replicate/someone/gone"), Reason.MODEL_NOT_FOUND),
        (drawing(f"replicate/qwen/qwen-image:{'a' * 64}"), Reason.MODEL_NOT_FOUND),
    ],
    ids=["no edits", "needs an image", "no such model", "no such version"],
)
async def test_a_model_that_turns_out_not_to_do_it(wish: object, reason: Reason) -> None:
    """Nothing is spent, and nothing created."""
    async with replicate_workshop() as made:
        broken = await made.workshop.broken(wish)  # type: ignore[arg-type]

    assert (broken.error.reason, broken.error.billed) == (reason, Billed.NO)
    assert [call.method for call in made.fake.requests] == ["GET"]


@pytest.mark.parametrize("model", ["someone/upscaler", "someone/two-images", "someone/gone-silent"])
async def test_no_image_is_left_out(model: str) -> None:
    """More than a model turns out to take, or is thought to take, are refused before anything is spent."""
    async with replicate_workshop() as made:
        made.fake.retouch = lambda _, answer: answer if "silent" not in model else html_answer(503)
        broken = await made.workshop.broken(editing(png(), png(), png(), model=f"replicate/{model}"))

    assert (broken.error.reason, broken.error.billed) == (Reason.INVALID_REQUEST, Billed.NO)
    assert [violation.field for violation in broken.error.violations] == ["input.images"]
    assert [call.method for call in made.fake.requests] == ["GET"]


async def test_a_model_that_cannot_be_asked_is_guessed_at() -> None:
    """Its inputs are called as most authors call them."""
    async with replicate_workshop() as made:
        made.fake.answer_next(replace(html_answer(503), checks=False))
        result = await made.workshop.result(
            drawing(f"replicate/qwen/qwen-image:{VERSION}", aspect_ratio="16:9", format="jpeg", seed=3)
        )

    sent = made.fake.requests[1].json["input"]
    assert sent == {"prompt": "a boat", "aspect_ratio": "16:9", "output_format": "jpg", "seed": 3}
    assert len(result.images) == 1


async def test_images_have_an_input_each_where_the_model_wants_it_so() -> None:
    """In their order."""
    async with replicate_workshop() as made:
        await made.workshop.result(editing(png(), png(shade=9), model="replicate/someone/two-images"))
    sent = made.fake.requests[1].json["input"]

    assert sorted(sent) == ["input_image_1", "input_image_2", "prompt"]
    assert sent["input_image_1"] != sent["input_image_2"]


@pytest.mark.parametrize("model_id", sorted(set(MODELS) & set(known_ids())))
def test_what_is_known_here_agrees_with_the_fakes_documents(model_id: str) -> None:
    """Fields and lists that stand in both are equal in kind: what is known here is a part of it."""
    known, told = known_inputs(model_id), inputs_in(MODELS[model_id].document, public=True)
    assert told is not None

    assert known.fields <= told.fields
    assert known.lists == told.lists & known.fields
    assert (known.image_fields, known.mask_field, known.black_mask) == (
        told.image_fields,
        told.mask_field,
        told.black_mask,
    )
    assert (known.capabilities().options or frozenset()) <= (told.capabilities().options or frozenset())


def test_no_model_that_is_known_here_has_ended() -> None:
    """And each has a name that passes."""
    provider = replicate_provider()

    for model_id in known_ids():
        model = provider.model(model_id)
        assert (model.known, model.retire_time) == (True, None)
        assert model.capabilities.options
    assert not provider.model("nobody/knows").known
    assert models.known_inputs("nobody/knows").guessed


@pytest.mark.parametrize("document", [None, {}, {"components": {"schemas": {"Input": []}}}])
def test_a_document_without_inputs_tells_none(document: object) -> None:
    """The model then counts as one that was not told."""
    assert inputs_in(document, public=True) is None
