"""What is known of models and services, by themselves and beside the forms of the fake."""

from datetime import UTC, datetime

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.providers.registry import Registry
from imagegen_server.providers.stability.models import find_model, known_models, model_field, path_of, shape_of

from tests.support.recording import Part
from tests.support.stability_api import KEY, fake_stability
from tests.support.stability_fields import FORMS, MODELS, OneOf
from tests.support.stability_provider import stability_entry

PREFIX = "/v2beta/stable-image/"


def test_the_known_models_are_those_of_the_forms() -> None:
    """Every path, and at the one that several share every model."""
    known = {model.id for model in known_models()}

    assert {path_of(model).removeprefix(PREFIX) for model in known} == set(FORMS)
    assert {model for model in known if model_field(model)} == set(MODELS)
    assert all(model.known and model.display_name and model.retire_time is None for model in known_models())


@pytest.mark.parametrize("model", [model.id for model in known_models()])
def test_what_is_claimed_is_what_the_fake_takes(model: str) -> None:
    """Each option is a field, words, images and masks too; one picture a request, and nothing is shown on the way."""
    can, shape, form = find_model(model).capabilities, shape_of(model), FORMS[path_of(model).removeprefix(PREFIX)]
    spelled = {"format": "output_format"}
    files = {"image", "init_image", "style_image", "subject_image", "background_reference", "light_reference"}

    assert set(can.options or ()) == {
        option
        for option in ("aspect_ratio", "seed", "negative_prompt", "format")
        if spelled.get(option, option) in form.fields
    }
    assert can.edit is bool(form.fields.keys() & files)
    assert can.generate is not bool(form.wanted.keys() & files)
    assert can.mask is ("mask" in form.fields)
    assert can.edits_without_words is ("prompt" not in form.wanted)
    assert (shape.prompt in form.fields) is bool(shape.prompt)
    if can.edit:
        assert set(shape.images) == form.fields.keys() & files
        assert can.max_input_images == len(shape.images)
    assert (can.max_images, can.streaming, can.previews) == (1, False, PreviewSupport.NONE)
    assert set(can.formats) == set(words(form.fields["output_format"]))
    if can.aspect_ratios:
        assert set(can.aspect_ratios) == set(words(form.fields["aspect_ratio"]))


def words(check: object) -> tuple[str, ...]:
    """Tell the words of which a field takes one."""
    assert isinstance(check, OneOf)
    assert check(Part("x", None, None, b"no such word"))
    return check.words


@pytest.mark.parametrize(
    ("model", "path", "known"),
    [
        ("core", "generate/core", True),
        ("generate/core", "generate/core", True),
        ("stable-image-core", "generate/core", True),
        ("inpaint", "edit/inpaint", True),
        ("edit/inpaint", "edit/inpaint", True),
        ("sketch", "control/sketch", True),
        ("sd3.5-large", "generate/sd3", True),
        ("sd3-large", "generate/sd3", True),
        ("sd4-huge", "generate/sd3", False),
        ("sd3", "generate/sd3", False),
        ("nova", "generate/nova", False),
        ("edit/next", "edit/next", False),
        ("stable-diffusion-xl-1024-v1-0", "generate/stable-diffusion-xl-1024-v1-0", False),
    ],
)
def test_any_id_has_a_path(model: str, path: str, known: bool) -> None:
    """Whether it is known or not; what is not known may be able to do anything."""
    can = find_model(model).capabilities

    assert (path_of(model), find_model(model).known) == (PREFIX + path, known)
    if not known and not model.startswith("sd"):
        assert (can.generate, can.edit, can.mask, can.edits_without_words) == (None, None, None, False)


@pytest.mark.parametrize(
    "model", ["", ".", "..", "a/..", "a/b/c", "a b", "core?x", "core#x", "a%2fb", "/core", "core/"]
)
def test_what_cannot_be_a_name_is_none(model: str) -> None:
    """The key goes to no other address of the vendor's."""
    with pytest.raises(ImageError) as caught:
        path_of(model)

    assert caught.value.reason is Reason.MODEL_NOT_FOUND


@pytest.mark.parametrize("model", ["sd3-large", "sd3-large-turbo", "sd3-medium"])
def test_names_that_another_model_answers_have_ended(model: str) -> None:
    """They are known, with the day, and not listed."""
    assert find_model(model).retire_time == datetime(2025, 4, 17, tzinfo=UTC)
    assert model not in {known.id for known in known_models()}


async def test_the_list_asks_nobody() -> None:
    """The vendor publishes none, so it is never unreachable."""
    async with fake_stability() as fake:
        entry = stability_entry(fake.base_url)
        catalogue = Catalogue({entry.name: Upstream(UpstreamSettings((ProviderKey(Secret(KEY)),)))})
        models = await catalogue.models(entry)
        await Registry([entry]).close()

    assert models == known_models()
    assert fake.requests == []
