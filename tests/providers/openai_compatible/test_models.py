"""Models: what the table declares, what the server lists, and what is known of all others."""

import httpx
import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.openai_compatible import CompatibleSettings
from imagegen_server.providers.openai_compatible.provider import OpenAICompatible
from imagegen_server.providers.openai_compatible.settings import PRESETS, ModelSettings

from tests.support.openai_compatible_api import MODEL, SERVERS
from tests.support.openai_compatible_provider import compatible_workshop


def answering(status: int, body: str) -> HttpClient:
    """Reach a server that says this."""
    return HttpClient(
        HttpSettings("http://127.0.0.1:9/v1"), httpx.MockTransport(lambda _: httpx.Response(status, text=body))
    )


def test_of_a_model_nobody_named_the_switches_tell() -> None:
    """What depends on the model is unknown, and nothing is refused for it."""
    able = OpenAICompatible("house", CompatibleSettings("sd-server")).model("any")

    assert not able.known
    assert (able.capabilities.generate, able.capabilities.edit, able.capabilities.mask) == (None, None, None)
    assert able.capabilities.options == frozenset({"size", "format", "compression", "seed", "negative_prompt"})
    assert (able.capabilities.max_images, able.capabilities.previews) == (8, PreviewSupport.NONE)


@pytest.mark.parametrize(
    ("settings", "edit", "mask"),
    [
        (CompatibleSettings(edits="none"), False, False),
        (CompatibleSettings(mask="none"), None, False),
        (CompatibleSettings(edits="none", mask_edits="form"), None, None),
        (CompatibleSettings("together"), None, False),
    ],
)
def test_what_no_model_of_the_server_does_is_said(
    settings: CompatibleSettings, edit: bool | None, mask: bool | None
) -> None:
    """Edits and masks that cannot be sent are refused before anything is."""
    able = OpenAICompatible("house", settings).model("any").capabilities

    assert (able.edit, able.mask) == (edit, mask)


def test_previews_are_told_where_they_are_switched_on() -> None:
    """As many as OpenAI shows."""
    able = OpenAICompatible("house", CompatibleSettings(streaming=True)).model("any").capabilities

    assert (able.streaming, able.previews, able.max_previews) == (True, PreviewSupport.IMAGES, 3)


async def test_a_declared_model_is_what_the_table_says() -> None:
    """Known, and never more than the server is sent."""
    said = ModelSettings(edit=True, mask=True, max_images=2, sizes=("512x512",), options=("seed", "quality"))
    provider = OpenAICompatible("house", CompatibleSettings("sglang", {"flux": said, "plain": ModelSettings()}))
    flux, plain = provider.model("flux"), provider.model("plain")

    assert (flux.known, flux.capabilities.generate, flux.capabilities.edit) == (True, True, True)
    assert (flux.capabilities.mask, flux.capabilities.max_images) == (False, 2)
    assert (flux.capabilities.options, flux.capabilities.sizes) == (frozenset({"seed"}), ("512x512",))
    assert plain.capabilities.options == provider.model("other").capabilities.options
    assert [model.id for model in await provider.models()] == ["flux", "plain"]


def test_recrafts_generations_differ() -> None:
    """The fourth knows no negative prompt and has a list of ratios; the third edits and takes masks."""
    provider = OpenAICompatible("house", CompatibleSettings("recraft"))
    fourth, third = (provider.model(name).capabilities for name in ("recraftv4_1", "recraftv3"))

    assert fourth.options == frozenset({"size", "aspect_ratio", "seed"})
    assert third.options == frozenset({"size", "aspect_ratio", "seed", "negative_prompt"})
    assert (len(fourth.aspect_ratios), len(fourth.sizes), third.sizes) == (14, 14, ())
    assert (third.edit, third.mask, fourth.edit) == (True, True, None)
    assert not provider.model("recraftv9").known


async def test_a_model_that_does_not_edit_takes_neither_images_nor_masks() -> None:
    """Whatever its server takes of others."""
    able = OpenAICompatible("house", CompatibleSettings("recraft", {"m": ModelSettings(edit=False)})).model("m")

    assert (able.capabilities.edit, able.capabilities.mask, able.capabilities.max_input_images) == (False, False, None)


@pytest.mark.parametrize("dialect", SERVERS)
async def test_the_list_is_that_of_the_server(dialect: str) -> None:
    """Where it has one, pictures only; what it named is known from then on."""
    async with compatible_workshop(dialect) as made:  # type: ignore[arg-type]
        provider, http = made.entry.provider, made.entry.http
        assert http is not None
        before = {model.id for model in await provider.models()}
        listed = [model.id for model in await provider.list_models(http, Secret("compatible-test-key-0123456789"))]
        asked = [call.path for call in made.fake.requests]

    assert before == set(PRESETS[dialect].models)
    if not PRESETS[dialect].list_models:
        assert (set(listed), asked) == (before, [])
        return
    assert asked == [SERVERS[dialect].prefix + "/models"]
    expected = {"together": [MODEL], "sd-server": ["sd-cpp-local"]}.get(dialect, [MODEL, "acme/painter-2"])
    assert listed == expected
    assert provider.model(listed[0]).known


async def test_what_the_table_declares_stands_beside_the_list() -> None:
    """And goes before it."""
    provider = OpenAICompatible("house", CompatibleSettings("sglang", {"b": ModelSettings(edit=False)}))
    listed = await provider.list_models(answering(200, '{"data": [{"id": "a"}, {"id": "b"}]}'), None)

    assert [(model.id, model.capabilities.edit) for model in listed] == [("a", None), ("b", False)]


@pytest.mark.parametrize(
    "body", ["", "[", "7", "{}", '{"data": 7}', "[7]", '[{"name": "a"}]', '[{"id": 7}]', '[{"id": ""}]', "[" * 9000]
)
async def test_a_list_that_cannot_be_read_is_an_invalid_response(body: str) -> None:
    """And is not taken for an empty one."""
    provider = OpenAICompatible("house", CompatibleSettings("localai"))
    with pytest.raises(ImageError) as caught:
        await provider.list_models(answering(200, body), None)

    assert caught.value.reason is Reason.INVALID_RESPONSE
    assert await provider.models() == []


async def test_a_list_that_is_refused_has_its_reason() -> None:
    """That of the server, free of charge."""
    provider = OpenAICompatible("house", CompatibleSettings("localai"))
    with pytest.raises(ImageError) as caught:
        await provider.list_models(answering(401, '{"error": "Unauthorized"}'), Secret("k-1"))

    assert (caught.value.reason, caught.value.billed) == (Reason.AUTHENTICATION_FAILED, Billed.NO)
