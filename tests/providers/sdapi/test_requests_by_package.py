"""What the adapter sends is what the package `webuiapi` sends for the same wish, but for what is named here.

The package says every field, with defaults of its own; those that both say must be the same.
"""

import asyncio
import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.task import Options, PixelSize
from imagegen_server.providers.sdapi import SdapiSettings
from PIL import Image

from tests.support.generation import drawing, editing
from tests.support.pictures import png
from tests.support.sdapi_api import LOGIN, SAMPLERS, TITLES
from tests.support.sdapi_package import package_on_fake
from tests.support.sdapi_provider import UNASKED, sdapi_workshop

OURS = {"force_task_id"}
"""By which the server tells of the task; the package knows nothing of it."""

SEED = {"seed"}
"""Where none was asked for the package sends -1 and has the server choose one; we choose it."""

WISHES: dict[str, tuple[Options, dict[str, Any], dict[str, Any]]] = {
    "words": (Options(), {}, {}),
    "a size": (Options(size=PixelSize(64, 96)), {}, {"width": 64, "height": 96}),
    "a seed": (Options(seed=7), {}, {"seed": 7}),
    "what is not wanted": (Options(negative_prompt="rain"), {}, {"negative_prompt": "rain"}),
    "several": (Options(count=3), {}, {"batch_size": 3}),
    "params": (
        Options(),
        {"steps": 8, "cfg_scale": 5.5, "sampler_name": SAMPLERS[1], "styles": ["oil"], "enable_hr": True},
        {"steps": 8, "cfg_scale": 5.5, "sampler_name": SAMPLERS[1], "styles": ["oil"], "enable_hr": True},
    ),
}


@pytest.mark.parametrize("name", WISHES)
async def test_a_drawing_is_the_same(name: str) -> None:
    """Path, fields and login."""
    options, params, theirs = WISHES[name]
    async with package_on_fake() as (fake, client):
        await asyncio.to_thread(client.txt2img, prompt="a boat", **theirs)
        (expected,) = fake.makings
    async with sdapi_workshop("a1111", SdapiSettings(batch_size=4), key=LOGIN, pace=UNASKED) as made:
        await made.workshop.run(replace(drawing("sdapi/default"), options=options, params={"sdapi": params}))
        (sent,) = made.fake.makings

    assert (sent.path, sent.headers["authorization"]) == (expected.path, expected.headers["authorization"])
    differ = OURS | (SEED if options.seed is None else set())
    assert sent.json.keys() - OURS <= expected.json.keys()
    assert {field: expected.json[field] for field in sent.json.keys() - differ} == {
        field: value for field, value in sent.json.items() if field not in differ
    }


async def test_a_model_is_the_same() -> None:
    """By the same setting, under the title of the list."""
    settings = {"sd_model_checkpoint": TITLES[1]}
    async with package_on_fake() as (fake, client):
        await asyncio.to_thread(
            client.txt2img, "a boat", override_settings=settings, override_settings_restore_afterwards=False
        )
        (expected,) = fake.makings
    async with sdapi_workshop("a1111", pace=UNASKED) as made:
        await made.workshop.run(drawing(f"sdapi/{TITLES[1]}"))
        (sent,) = made.fake.makings

    for field in ("override_settings", "override_settings_restore_afterwards"):
        assert sent.json[field] == expected.json[field]


async def test_an_edit_is_the_same() -> None:
    """The same picture and the same mask, which the package writes anew as PNG and with a data URL's head."""
    picture, mask = png(48, 80), png(48, 80, shade=255)
    async with package_on_fake() as (fake, client):
        given = [Image.open(io.BytesIO(data)) for data in (picture, mask)]
        await asyncio.to_thread(
            client.img2img, images=given[:1], mask_image=given[1], prompt="a boat", width=48, height=80
        )
        (expected,) = fake.makings
    async with sdapi_workshop("a1111", pace=UNASKED) as made:
        await made.workshop.run(editing(picture, mask=mask, model="sdapi/default"))
        (sent,) = made.fake.makings
    differ = {"init_images", "mask", *OURS, *SEED}

    assert sent.path == expected.path
    assert pixels(sent.json["init_images"][0]) == pixels(expected.json["init_images"][0])
    assert pixels(sent.json["mask"]) == pixels(expected.json["mask"])
    assert {field: expected.json[field] for field in sent.json.keys() - differ} == {
        field: value for field, value in sent.json.items() if field not in differ
    }


def pixels(encoded: str) -> bytes:
    """Read a picture, bare or behind a data URL's head."""
    return Image.open(io.BytesIO(base64.b64decode(encoded.rpartition(",")[2]))).convert("L").tobytes()
