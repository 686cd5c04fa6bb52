"""The fakes as the official packages see them: `openai` on all whose pages name it, `together` on its own."""

import base64
from typing import Any

import pytest

from tests.support.openai_compatible_api import KEY, MODEL, SERVERS
from tests.support.openai_compatible_package import openai_on_fake, together_on_fake
from tests.support.openai_compatible_provider import NAMES
from tests.support.pictures import png
from tests.support.tools import require_package

IMAGE = ("a.png", png(), "image/png")
DATA_URL = "data:image/png;base64," + base64.b64encode(png()).decode()
FORMATS = {"together": "base64", "sd-server": None}


def wish(dialect: str, **further: Any) -> dict[str, Any]:
    """Ask as the server wants to be asked."""
    form = FORMATS.get(dialect, "b64_json")
    return (
        {"model": NAMES.get(dialect, MODEL), "prompt": "a grey square"}
        | ({"response_format": form} if form else {})
        | further
    )


@pytest.mark.parametrize("dialect", SERVERS)
async def test_generate(dialect: str) -> None:
    """Two pictures by the package of OpenAI."""
    async with openai_on_fake(dialect) as (_, client):
        answer = await client.images.generate(**wish(dialect, n=2))

    first, second = (base64.b64decode(item.b64_json) for item in answer.data)
    assert first != second


@pytest.mark.parametrize("dialect", ["deepinfra", "sglang", "vllm-omni"])
@pytest.mark.parametrize("several", [False, True])
async def test_edit(dialect: str, several: bool) -> None:
    """One image or several, as files."""
    async with openai_on_fake(dialect) as (fake, client):
        answer = await client.images.edit(**wish(dialect), image=[IMAGE, IMAGE] if several else IMAGE)

    assert answer.data[0].b64_json
    assert {file.name for file in fake.requests[0].files} == {"image[]" if several else "image"}


async def test_settings_of_a_server_of_diffusion_models() -> None:
    """In the extra body, as the pages of SGLang and vLLM-Omni say."""
    for dialect in ("sglang", "vllm-omni"):
        async with openai_on_fake(dialect) as (fake, client):
            extra = {"seed": 7, "negative_prompt": "rain", "num_inference_steps": 20}
            await client.images.generate(**wish(dialect, extra_body=extra))
        assert fake.requests[0].json.items() >= extra.items()


async def test_recraft_by_the_package_of_openai() -> None:
    """As the vendor's pages do: its own fields in the extra body, and credits beside the pictures."""
    async with openai_on_fake("recraft") as (_, client):
        answer = await client.images.generate(
            **wish("recraft", size="16:9", extra_body={"random_seed": 7, "controls": {"no_text": True}})
        )

    assert answer.credits == 40
    assert answer.data[0].image_id == "id-0"


@pytest.mark.parametrize("dialect", ["together", "recraft", "deepinfra"])
async def test_a_wrong_key_is_refused(dialect: str) -> None:
    """By those that are hosted."""
    openai = require_package("openai")
    async with openai_on_fake(dialect, "key-of-somebody-else") as (_, client):
        with pytest.raises(openai.AuthenticationError):
            await client.images.generate(**wish(dialect))


@pytest.mark.parametrize("dialect", ["localai", "sglang", "vllm-omni", "sd-server"])
async def test_models(dialect: str) -> None:
    """A list under `data`. Together's is a bare one that its package asks for no more."""
    async with openai_on_fake(dialect) as (_, client):
        listed = [model.id async for model in client.models.list()]

    assert listed[0] == NAMES.get(dialect, MODEL)


async def test_together_by_its_own_package() -> None:
    """A picture, an edit of one image, one of several, and a refusal."""
    together = require_package("together")
    async with together_on_fake() as (fake, client):
        drawn = await client.images.generate(**wish("together", n=2, width=512, height=256, steps=4, seed=1))
        await client.images.generate(**wish("together", image_url=DATA_URL))
        await client.images.generate(**wish("together", reference_images=[DATA_URL, DATA_URL], output_format="png"))
        with pytest.raises(together.NotFoundError):
            await client.images.generate(model="acme/painter-9", prompt="x")

    assert [item.index for item in drawn.data] == [0, 1]
    assert base64.b64decode(drawn.data[0].b64_json).startswith(b"\xff\xd8")
    assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in fake.requests)
