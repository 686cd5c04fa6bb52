"""The fake OpenRouter as the vendor's own package `openrouter` sees it."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from tests.support.openrouter_api import COST, MODELS, PARTIALS
from tests.support.openrouter_package import package_on_fake
from tests.support.pictures import png
from tests.support.tools import require_package

WISH: dict[str, Any] = {"model": "openai/gpt-image-2", "prompt": "a grey square"}
REFERENCE = {
    "type": "image_url",
    "image_url": {"url": f"data:image/png;base64,{base64.b64encode(png()).decode()}"},
}


async def test_generate() -> None:
    """Different pictures in the format that was asked for, with their price."""
    async with package_on_fake() as (fake, images):
        answer = await images.generate_async(**WISH, n=2, quality="low", output_format="jpeg", aspect_ratio="3:2")
    first, second = (base64.b64decode(item.b64_json, validate=True) for item in answer.data)

    assert Image.open(io.BytesIO(first)).format == "JPEG"
    assert first != second
    assert [item.media_type for item in answer.data] == ["image/jpeg"] * 2
    assert answer.usage.cost == 2 * COST
    assert fake.requests[0].json == WISH | {"n": 2, "quality": "low", "output_format": "jpeg", "aspect_ratio": "3:2"}


async def test_edit() -> None:
    """Input images are references, in the same call."""
    async with package_on_fake() as (_, images):
        answer = await images.generate_async(**WISH, input_references=[REFERENCE])

    assert len(answer.data) == 1


async def test_stream() -> None:
    """The package knows each event by its type, and stops at the end."""
    async with package_on_fake() as (_, images):
        events = [event async for event in await images.generate_async(**WISH, stream=True)]

    kinds = [event.type for event in events]
    assert kinds == ["image_generation.partial_image"] * PARTIALS + ["image_generation.completed"]
    assert [event.partial_image_index for event in events[:-1]] == list(range(PARTIALS))
    assert events[-1].usage.cost == COST
    assert base64.b64decode(events[-1].b64_json, validate=True).startswith(b"\x89PNG")


async def test_stream_of_text() -> None:
    """SVG comes as text, in phases, and then whole."""
    wish = {"model": "quiver/arrow-1", "prompt": "a square", "output_format": "svg"}
    async with package_on_fake() as (_, images):
        events = [event async for event in await images.generate_async(**wish, stream=True)]

    assert [event.phase for event in events[:-1]] == ["reasoning", "content", "content"]
    assert base64.b64decode(events[-1].b64_json).startswith(b"<svg")


async def test_a_model_that_does_not_stream_ignores_the_wish() -> None:
    """It answers JSON."""
    wish = WISH | {"model": "bytedance-seed/seedream-4.5"}
    async with package_on_fake() as (_, images):
        answer = await images.generate_async(**wish, stream=True)

    assert len(answer.data) == 1


async def test_models() -> None:
    """The package reads each entry of the list, descriptors included."""
    async with package_on_fake() as (_, images):
        answer = await images.list_models_async()

    assert [model.id for model in answer.data] == list(MODELS)
    described = answer.data[0].supported_parameters
    assert described["quality"].values == ["auto", "low", "medium", "high"]
    assert (described["n"].min, described["n"].max) == (1, 10)
    assert answer.data[1].supported_parameters["seed"].type == "boolean"


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of what the package does not know either
@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"aspect_ratio": "7:1"}, 400),
        ({"quality": "ultra"}, 400),
        ({"resolution": "2k"}, 400),
        ({"output_format": "gif"}, 400),
        ({"n": 11}, 400),
        ({"output_compression": 101}, 400),
        ({"prompt": ""}, 400),
        ({"size": "huge"}, 400),
        ({"size": "2048x2048", "resolution": "1K"}, 400),
        ({"background": "transparent", "output_format": "jpeg"}, 400),
        ({"input_references": [REFERENCE] * 17}, 400),
        ({"input_references": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}, 400),
        ({"model": "google/gemini-3.1-flash-image", "n": 2}, 400),
        ({"model": "openai/gpt-image-99"}, 404),
    ],
    ids=range(14),
)
async def test_what_is_wrong_is_refused(wrong: dict[str, Any], status: int) -> None:
    """With the status that the package has an exception for."""
    errors = require_package("openrouter.errors")
    async with package_on_fake() as (_, images):
        with pytest.raises(errors.OpenRouterError) as caught:
            await images.generate_async(**WISH | wrong)

    assert caught.value.status_code == status
    assert type(caught.value) is (errors.BadRequestResponseError if status == 400 else errors.NotFoundResponseError)


async def test_a_key_is_looked_at() -> None:
    """A wrong one is refused."""
    errors = require_package("openrouter.errors")
    async with package_on_fake("sk-or-v1-wrong") as (fake, images):
        with pytest.raises(errors.UnauthorizedResponseError):
            await images.generate_async(**WISH)

    assert len(fake.requests) == 1
