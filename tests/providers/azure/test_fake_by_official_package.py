"""The fake Azure as the official package sees it: what works, and what goes wrong."""

import base64

import pytest
from imagegen_server.providers.azure.settings import PATHS

from tests.support.azure_api import DEPLOYMENTS, KEY, TOKEN
from tests.support.azure_package import azure_package_on_fake
from tests.support.openai_wire import picture
from tests.support.pictures import png
from tests.support.tools import require_package

WISH = {"model": "pictures", "prompt": "a grey square"}
IMAGE = ("a.png", png(), "image/png")
MASK = ("mask.png", picture((8, 8), "png", transparent=True), "image/png")

pytestmark = pytest.mark.parametrize("url_style", sorted(PATHS))


@pytest.mark.parametrize("credentials", [{"api_key": KEY}, {"azure_ad_token": TOKEN}], ids=["key", "token"])
async def test_generate(url_style: str, credentials: dict[str, str]) -> None:
    """A picture with what the filters found, for a key and for a token."""
    async with azure_package_on_fake(url_style, **credentials) as (fake, client):
        answer = await client.images.generate(**WISH, n=2, size="1536x864")
    first, second = answer.data

    assert base64.b64decode(first.b64_json) != base64.b64decode(second.b64_json)
    assert first.content_filter_results["hate"] == {"filtered": False, "severity": "safe"}
    assert second.prompt_filter_results["jailbreak"] == {"detected": False, "filtered": False}
    assert answer._request_id == "other-1"
    assert len(fake.requests) == 1


async def test_edit(url_style: str) -> None:
    """A form, also at the older address."""
    async with azure_package_on_fake(url_style) as (fake, client):
        answer = await client.images.edit(image=[IMAGE, IMAGE], mask=MASK, **WISH)

    assert len(answer.data) == 1
    assert [file.name for file in fake.requests[0].files] == ["image[]", "image[]", "mask"]


async def test_stream(url_style: str) -> None:
    """Previews, then the picture."""
    async with azure_package_on_fake(url_style) as (_, client):
        stream = await client.images.generate(**WISH, stream=True, partial_images=2)
        kinds = [event.type async for event in stream]

    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


async def test_a_wrong_key_is_refused(url_style: str) -> None:
    """As an authentication error."""
    openai = require_package("openai")
    async with azure_package_on_fake(url_style, api_key="wrong-key-0123456789") as (_, client):
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.images.generate(**WISH)

    assert caught.value.code == "401"


async def test_a_name_that_is_no_deployment_is_not_found(url_style: str) -> None:
    """Also if it is a model's; names with a slash are names."""
    openai = require_package("openai")
    async with azure_package_on_fake(url_style) as (_, client):
        for name in ("gpt-image-1.5", "none"):
            with pytest.raises(openai.NotFoundError) as caught:
                await client.images.generate(model=name, prompt="x")
            assert caught.value.code == "DeploymentNotFound"
        for name in DEPLOYMENTS:
            assert (await client.images.generate(model=name, prompt="x")).data
