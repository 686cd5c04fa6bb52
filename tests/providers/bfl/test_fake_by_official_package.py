"""The fake is the vendor as its own package knows it, so that it is not wrong in our favour."""

import asyncio
import base64
from typing import Any

import pytest

from tests.support.bfl_api import SEED
from tests.support.bfl_package import MODELS, generated, package, package_on_fake, synchronous
from tests.support.pictures import png
from tests.support.vendor import json_answer

PICTURE = base64.b64encode(png(256, 256)).decode()
MASK = base64.b64encode(png(256, 256, shade=255)).decode()
WISHES: dict[str, dict[str, Any]] = {
    "flux-dev": {"prompt": "a boat", "width": 512, "height": 1024, "steps": 20, "guidance": 2.5},
    "flux-pro-1.1": {"prompt": "a boat", "image_prompt": PICTURE, "seed": 7},
    "flux-pro-1.1-ultra": {"prompt": "a boat", "aspect_ratio": "21:9", "raw": True, "output_format": "png"},
    "flux-pro-1.0-fill": {"prompt": "a boat", "image": PICTURE, "mask": MASK, "steps": 15},
    "flux-pro-1.0-expand": {"image": PICTURE, "left": 64, "guidance": 1.5},
    "flux-kontext-pro": {"prompt": "a boat", "input_image": PICTURE, "input_image_2": PICTURE, "aspect_ratio": "2:3"},
}


@pytest.mark.parametrize("model", MODELS)
async def test_the_package_gets_its_picture(model: str) -> None:
    """It submits, asks at the address of the answer, and reads where the picture lies, which needs no key."""
    async with package_on_fake() as (fake, client):
        told = await generated(client, model, WISHES[model], synchronous())
        place = told.result["sample"]

    assert place.startswith(fake.base_url)
    assert told.result["seed"] == WISHES[model].get("seed", SEED)
    assert [call.path for call in fake.requests] == [f"/v1/{model}", "/v1/get_result"]


async def test_the_package_asks_after_a_task_of_another_client() -> None:
    """By the documented path, without an address from the answer."""
    async with package_on_fake() as (fake, client):
        told = await generated(client, "flux-pro-1.1", WISHES["flux-pro-1.1"])
        assert told.polling_url == f"{fake.base_url}/v1/get_result?id={told.id}"
        client.clear_polling_urls()
        status = await asyncio.to_thread(client.get_task_status, told.id)
        unknown = await asyncio.to_thread(client.get_task_status, "task-99")

    assert status.status == "Ready"
    assert unknown.status == "Task not found"


@pytest.mark.parametrize("key", ["bfl_wrong", ""])
async def test_the_package_is_refused_with_a_wrong_key(key: str) -> None:
    """As an error of its own."""
    async with package_on_fake(key) as (fake, client):
        with pytest.raises(package().BFLError, match="403"):
            await generated(client, "flux-pro-1.1", WISHES["flux-pro-1.1"])

    assert len(fake.requests) == 1


@pytest.mark.parametrize("status", [402, 422, 429, 500])
async def test_the_package_reads_refusals(status: int) -> None:
    """Of every status, as one error."""
    async with package_on_fake() as (fake, client):
        fake.answer_next(json_answer(status, {"message": f"no {status}"}))
        with pytest.raises(package().BFLError, match=f"no {status}"):
            await generated(client, "flux-pro-1.1", WISHES["flux-pro-1.1"])
