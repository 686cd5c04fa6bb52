"""The fake is such a server as the package `webuiapi` knows it, so that it is not wrong in our favour."""

import asyncio
import base64
import io

import pytest
from PIL import Image

from tests.support.pictures import png
from tests.support.sdapi_api import LOGIN, SAMPLERS, SEED, STEPS, TITLES, Flavor
from tests.support.sdapi_package import package_on_fake


def opened(data: bytes) -> Image.Image:
    """Open a picture as the package wants it."""
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("flavor", ["a1111", "forge", "sdnext"])
async def test_the_package_gets_its_picture(flavor: Flavor) -> None:
    """And reads the facts out of the string that they stand in."""
    async with package_on_fake(flavor) as (fake, client):
        made = await asyncio.to_thread(client.txt2img, prompt="a boat", sampler_name=SAMPLERS[0], width=64, height=32)

    assert made.image.size == (64, 32)
    assert (made.info["seed"], made.info["all_seeds"]) == (SEED, [SEED])
    assert made.parameters["prompt"] == "a boat"
    assert [call.path for call in fake.makings] == ["/sdapi/v1/txt2img"]


async def test_the_package_gets_an_edit_with_a_mask() -> None:
    """Pictures go as data URLs there, and bare by us; the servers read both."""
    async with package_on_fake() as (fake, client):
        made = await asyncio.to_thread(
            client.img2img, images=[opened(png(16, 16))], mask_image=opened(png(16, 16, shade=255)), prompt="a boat"
        )
        (call,) = fake.makings

    assert len(made.images) == 1
    assert call.json["init_images"][0].startswith("data:image/png;base64,")


async def test_the_package_gets_several() -> None:
    """The first shows them all, and the facts tell where the others begin."""
    async with package_on_fake() as (_, client):
        made = await asyncio.to_thread(client.txt2img, prompt="a boat", batch_size=2, seed=5)

    assert len(made.images) == 3
    assert made.info["index_of_first_image"] == 1
    assert made.info["all_seeds"] == [5, 6]


async def test_the_package_reads_lists() -> None:
    """Checkpoints and samplers."""
    async with package_on_fake() as (_, client):
        models = await asyncio.to_thread(client.util_get_model_names)
        samplers = await asyncio.to_thread(client.util_get_sampler_names)

    assert models == sorted(TITLES)
    assert samplers == sorted(SAMPLERS)


async def test_the_package_looks_at_what_runs_and_interrupts_it() -> None:
    """By the routes for whatever runs, as it knows no ids."""
    async with package_on_fake() as (fake, client):
        idle = await asyncio.to_thread(client.get_progress)
        job = fake.foreign()
        await fake.until(lambda: fake.current)
        busy = await asyncio.to_thread(client.get_progress)
        await asyncio.to_thread(client.interrupt)

    assert (idle["progress"], idle["state"]["job_count"], idle["current_image"]) == (0.0, 0, None)
    assert (busy["progress"], busy["state"]["sampling_steps"]) == (0.5, STEPS)
    assert opened_base64(busy["current_image"]).size == (8, 8)
    assert job.interrupted


async def test_the_package_is_refused() -> None:
    """With a wrong password, and for a sampler that is not there."""
    async with package_on_fake(login="operator:wrong") as (_, client):
        with pytest.raises(RuntimeError, match="401"):
            await asyncio.to_thread(client.txt2img, prompt="a boat")
    async with package_on_fake(login=LOGIN) as (_, client):
        with pytest.raises(RuntimeError, match="Sampler not found"):
            await asyncio.to_thread(client.txt2img, prompt="a boat", sampler_name="no such")


def opened_base64(text: str) -> Image.Image:
    """Open a picture that stands as base64."""
    return opened(base64.b64decode(text))
