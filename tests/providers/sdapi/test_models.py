"""Models, samplers and limits, as the server tells them."""

import pytest
from imagegen_server.config.providers import ProviderTable, provider_config
from imagegen_server.config.values import ConfigError
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.task import PixelSize
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.sdapi import PROVIDER, SdapiSettings
from imagegen_server.providers.sdapi.models import is_another
from imagegen_server.providers.sdapi.provider import Sdapi

from tests.support.generation import drawing, told
from tests.support.sdapi_api import TITLES, Flavor
from tests.support.sdapi_provider import MODEL, SdapiWorkshop, sdapi_workshop
from tests.support.vendor import html_answer, json_answer


async def listed(made: SdapiWorkshop) -> list[str]:
    """Ask for the list."""
    http = HttpClient(HttpSettings(made.fake.base_url))
    try:
        return [model.id for model in await made.provider.list_models(http, None)]
    finally:
        await http.close()


@pytest.mark.parametrize("flavor", ["a1111", "forge", "sdnext", "koboldcpp", "sd-server"])
async def test_the_servers_checkpoints_are_the_models(flavor: Flavor) -> None:
    """By their titles; what is loaded is `default`, before and after."""
    async with sdapi_workshop(flavor) as made:
        before = [model.id for model in await made.provider.models()]
        names = await listed(made)
        after = await made.provider.models()

    assert (before, names) == (["default"], list(TITLES))
    assert [(model.id, model.display_name) for model in after] == [
        ("default", ""),
        (TITLES[0], "boats_v1"),
        (TITLES[1], "folder_harbours"),
    ]
    assert made.provider.model("another").known is False


async def test_limits_of_sd_server_are_kept() -> None:
    """Sizes, pictures at once, and samplers, of which it overlooks those that it does not have."""
    async with sdapi_workshop("sd-server", SdapiSettings(batch_size=16)) as made:
        await listed(made)
        most = made.provider.model("default").capabilities.max_images
        found = []
        for wish in (
            drawing(MODEL, size=PixelSize(32, 512)),
            drawing(MODEL, size=PixelSize(512, 8192)),
            drawing(MODEL, params={"sdapi": {"sampler_name": "Euler a"}}),
        ):
            with pytest.raises(ImageError) as caught:
                await made.workshop.run(wish)
            found += told(caught.value)
        fine = await made.workshop.run(
            drawing(MODEL, size=PixelSize(64, 128), params={"sdapi": {"sampler_name": "euler_a"}})
        )

    assert most == 8
    assert found == ["options.size", "options.size", "params.sdapi.sampler_name"]
    assert isinstance(fine[-1], Finished)


async def test_a_sampler_that_is_not_there_is_told_with_those_that_are() -> None:
    """Where they have been listed."""
    async with sdapi_workshop() as made:
        wish = drawing(MODEL, params={"sdapi": {"sampler_name": "no such"}})
        before = (await made.workshop.run(wish))[-1]
        await listed(made)
        after = (await made.workshop.run(wish))[-1]

    assert isinstance(before, Broken)
    assert isinstance(after, Broken)
    assert [(at.field, at.description) for at in (*before.error.violations, *after.error.violations)] == [
        ("params.sdapi.sampler_name", "Sampler not found"),
        ("params.sdapi.sampler_name", "Sampler not found; it has Euler a, DPM++ 2M"),
    ]


async def test_a_list_that_cannot_be_had_is_an_error() -> None:
    """What the server said; what it does not have besides is none."""
    async with sdapi_workshop() as made:
        made.fake.answer_next(html_answer(502))
        with pytest.raises(ImageError) as caught:
            await listed(made)
        made.fake.answer_next(json_answer(200, [{"title": "x"}]), html_answer(500), html_answer(500))
        assert await listed(made) == ["x"]

    assert caught.value.reason is Reason.PROVIDER_ERROR


async def test_an_unknown_model_of_forge_is_found_out() -> None:
    """It fails with 500 and without words; its list then tells why, at no cost."""
    async with sdapi_workshop("forge") as made:
        last = (await made.workshop.run(drawing("sdapi/other.safetensors")))[-1]

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.MODEL_NOT_FOUND, Billed.NO)


async def test_a_failure_of_a_model_that_is_there_stays_one() -> None:
    """And so does one whose list cannot be had, or is empty."""
    async with sdapi_workshop("forge") as made:
        for listing in (None, html_answer(500), json_answer(200, [])):
            made.fake.answer_next(html_answer(500), *([listing] if listing else []))
            last = (await made.workshop.run(drawing(f"sdapi/{TITLES[0] if listing is None else 'other'}")))[-1]

            assert isinstance(last, Broken)
            assert last.error.reason is Reason.PROVIDER_ERROR


async def test_another_model_that_draws_is_told() -> None:
    """AUTOMATIC1111 overlooks a name that it does not know. The result names the one that drew, and warns."""
    async with sdapi_workshop("a1111") as made:
        last = (await made.workshop.run(drawing("sdapi/other.safetensors")))[-1]

    assert isinstance(last, Finished)
    assert last.result.model == "sdapi/boats_v1"
    assert [warning.field for warning in last.result.warnings] == ["model"]


@pytest.mark.parametrize(
    ("asked", "name", "short_hash", "another"),
    [
        ("a.safetensors [0123456789]", "a", "0123456789", False),
        ("a.safetensors [0123456789]", "b", "0123456789", False),
        ("a.safetensors [0123456789]", "a", "abcdef0123", True),
        ("a.safetensors [0123456789abcdef]", "a", "0123456789", False),
        ("f/a.ckpt", "f_a", "", False),
        ("f\\a.ckpt", "a", "abcdef0123", False),
        ("a", "f/A.gguf", "", False),
        ("model_a_v1", "model_b_v1", "", True),
        ("a", "", "", False),
        ("a.b", "a.b.safetensors", "", False),
        ("", "x", "", True),
    ],
)
def test_names_of_a_model(asked: str, name: str, short_hash: str, another: bool) -> None:
    """A hash decides where both have one; else the name without folder and ending."""
    assert is_another(asked, name, short_hash) is another


def test_previews_are_claimed_until_the_server_has_none() -> None:
    """Before anybody has asked it, nobody knows."""
    able = Sdapi("sdapi", SdapiSettings()).model("default").capabilities

    assert (able.previews, able.max_images, able.max_input_images) == (PreviewSupport.IMAGES, 1, 1)


def test_a_table_is_enough() -> None:
    """No key, no address: the server's own default. A login is a key by reference."""
    config = provider_config("sdapi", ProviderTable(), {"sdapi": PROVIDER})
    assert config.http is not None

    assert (config.http.base_url, config.upstream.keys) == ("http://127.0.0.1:7860", ())


@pytest.mark.parametrize(
    "wrong", [{"poll_seconds": 0.01}, {"poll_seconds": 61}, {"preview_steps": -1}, {"batch_size": 0}]
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    """By the name of the key."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        provider_config("sdapi", ProviderTable.model_validate(wrong), {"sdapi": PROVIDER})
