"""The fake xAI as the official `openai` package sees it, which the vendor documents for drawing, not for editing."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import encoded, png
from tests.support.tools import require_package
from tests.support.xai_api import TICKS
from tests.support.xai_package import package_on_fake

WISH: dict[str, Any] = {"model": "grok-imagine-image-2.0", "prompt": "a grey square"}
OURS = {"aspect_ratio": "16:9", "resolution": "2k", "storage_options": {"filename": "a.jpg"}}
PICTURES = {
    "png": png(),
    "jpeg": encoded(Image.new("RGB", (8, 8), "red"), "JPEG"),
    "webp": encoded(Image.new("RGB", (8, 8), "red"), "WEBP"),
}


def reference(kind: str) -> dict[str, str]:
    """Write a picture as an edit names it."""
    data = base64.b64encode(PICTURES[kind]).decode()
    return {"url": f"data:image/{kind};base64,{data}", "type": "image_url"}


async def test_generate() -> None:
    """Different JPEG pictures in the answer itself, with their price."""
    async with package_on_fake() as (fake, client):
        answer = await client.images.generate(
            **WISH, n=2, quality="low", user="u-1", response_format="b64_json", extra_body=OURS
        )
    first, second = (base64.b64decode(item.b64_json, validate=True) for item in answer.data)
    assert Image.open(io.BytesIO(first)).format == "JPEG"
    assert first != second
    assert answer.usage.model_extra["cost_in_usd_ticks"] == 2 * TICKS
    assert answer._request_id == "req-1"
    sent = WISH | OURS | {"n": 2, "quality": "low", "user": "u-1", "response_format": "b64_json"}
    assert fake.requests[0].json == sent


async def test_generate_answers_urls_unless_told_otherwise() -> None:
    """The default of the vendor."""
    async with package_on_fake() as (_, client):
        answer = await client.images.generate(**WISH)
    assert answer.data[0].b64_json is None
    assert answer.data[0].url.startswith("https://imgen.x.ai/")


async def test_models_are_listed_under_their_own_key() -> None:
    """Not as the package's own list: `models`, not `data`."""
    async with package_on_fake() as (_, client):
        answer = await client.get("/image-generation-models", cast_to=dict[str, Any])
    assert "grok-imagine-image-2.0" in [model["id"] for model in answer["models"]]


async def test_edit_is_no_form() -> None:
    """The package's own edit is refused, as the vendor's page says."""
    openai = require_package("openai")
    async with package_on_fake() as (_, client):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.images.edit(image=("a.png", png(), "image/png"), **WISH)
    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    "images",
    [{"image": reference("png")}, {"images": [reference("png"), reference("jpeg"), reference("webp")]}],
    ids=["one", "several"],
)
async def test_edit_by_hand(images: dict[str, Any]) -> None:
    """JSON with data URLs, one or several."""
    async with package_on_fake() as (_, client):
        body = WISH | images | {"response_format": "b64_json"}
        answer = await client.post("/images/edits", body=body, cast_to=dict[str, Any])
    assert base64.b64decode(answer["data"][0]["b64_json"]).startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("path", "wrong", "status"),
    [
        ("generations", {"size": "1024x1024"}, 422),
        ("generations", {"mask": reference("png")}, 422),
        ("generations", {"image": reference("png")}, 422),
        ("generations", {"aspect_ratio": "5:1"}, 422),
        ("generations", {"resolution": "2K"}, 422),
        ("generations", {"quality": "hd"}, 422),
        ("generations", {"prompt": None}, 422),
        ("generations", {"n": 11}, 400),
        ("generations", {"n": True}, 400),
        ("generations", {"model": "grok-2-image"}, 404),
        ("edits", {}, 400),
        ("edits", {"image": reference("png"), "images": [reference("png")]}, 400),
        ("edits", {"image": reference("png"), "aspect_ratio": "1:1"}, 400),
        ("edits", {"images": [reference("png")] * 6}, 400),
        ("edits", {"image": {"url": "data:image/gif;base64,R0lGOA==", "type": "image_url"}}, 400),
        ("edits", {"image": reference("png") | {"url": reference("jpeg")["url"].replace("jpeg", "png")}}, 400),
        ("edits", {"image": {"image_url": reference("png")["url"]}}, 400),
        ("variations", {}, 404),
    ],
)
async def test_what_is_wrong_is_refused(path: str, wrong: dict[str, Any], status: int) -> None:
    """With the status of the published interface."""
    openai = require_package("openai")
    async with package_on_fake() as (_, client):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.post(f"/images/{path}", body=WISH | wrong, cast_to=dict[str, Any])
    assert caught.value.status_code == status


@pytest.mark.parametrize(("key", "status"), [("xai-wrong", 400), ("", 401)])
async def test_a_key_is_looked_at(key: str, status: int) -> None:
    """A wrong one is a bad request, none is unauthorized."""
    openai = require_package("openai")
    async with package_on_fake() as (fake, client):
        headers = {"Authorization": f"Bearer {key}" if key else openai.Omit()}
        with pytest.raises(openai.APIStatusError) as caught:
            await client.images.generate(**WISH, extra_headers=headers)
    assert caught.value.status_code == status
    assert len(fake.requests) == 1
