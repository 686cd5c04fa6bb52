"""The fake is such a server as two packages know it that others have written, so that it is not wrong in our favour."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.comfyui_api import FakeComfyUI, Version
from tests.support.comfyui_nodes import CHECKPOINTS
from tests.support.comfyui_package import async_tool_on_fake, simplified_on_fake, simplified_workflow
from tests.support.comfyui_provider import graph_of, somebody_elses
from tests.support.comfyui_queue import Prompt
from tests.support.pictures import png

VERSIONS = pytest.mark.parametrize("version", ["old", "v0.3.64", "2026"])


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of whoever runs the tests is not meant for the fake."""
    monkeypatch.setenv("NO_PROXY", "*")


def kept(fake: FakeComfyUI) -> dict[str, bytes]:
    """Tell what lies in the folder of outputs."""
    return {name: data for (folder, _, name), data in fake.queue.files.items() if folder == "output"}


@VERSIONS
async def test_a_package_gets_its_pictures(version: Version) -> None:
    """It queues, waits on the websocket, reads the history, and gets the files."""
    async with simplified_on_fake(version) as (fake, client):
        workflow = simplified_workflow(graph_of("drawing"))
        workflow.set_node_param("Empty Latent Image", "batch_size", 2)
        pictures = await asyncio.to_thread(client.queue_and_wait_images, workflow, "Save Image")

    assert pictures == kept(fake)
    assert len(pictures) == 2


async def test_a_package_gets_pictures_that_are_pushed() -> None:
    """As event 1, behind 8 bytes: it does not say that it knows another."""
    async with simplified_on_fake() as (fake, client):

        async def until_connected(_prompt: Prompt, _node: str, _step: int) -> None:
            await fake.sockets.connected.wait()

        fake.queue.before_step = until_connected
        pictures = await asyncio.to_thread(client.queue_and_wait_images, graph_of("pushing"), "SaveImageWebsocket")

    assert [data[:4] for data in pictures.values()] == [b"\x89PNG"]
    assert kept(fake) == {}


async def test_a_package_uploads_asks_and_stops(tmp_path: Path) -> None:
    """Its other requests have the answers that it reads."""
    path = tmp_path / "x.png"
    path.write_bytes(png(8, 8))
    async with simplified_on_fake() as (fake, client):
        told = await asyncio.to_thread(client.upload_image, path, "inputs")
        assert told == {"name": "x.png", "subfolder": "inputs", "type": "input"}
        assert fake.queue.files["input", "inputs", "x.png"] == path.read_bytes()

        info = await asyncio.to_thread(client.get_object_info, "CheckpointLoaderSimple")
        names = info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"]
        assert names[1]["options"] == CHECKPOINTS

        reached, release = asyncio.Event(), asyncio.Event()

        async def wait(_prompt: Prompt, _node: str, _step: int) -> None:
            reached.set()
            await release.wait()

        fake.queue.before_step = wait
        first, second = somebody_elses(fake), somebody_elses(fake)
        await reached.wait()
        assert await asyncio.to_thread(client.get_queue_size_before, first.id) == 0
        assert await asyncio.to_thread(client.get_queue_size_before, second.id) == 1
        await asyncio.to_thread(client.interrupt)
        release.set()
        await fake.queue.idle.wait()

    assert fake.queue.cancelled == [first.id]


async def test_a_package_is_refused() -> None:
    """What a server would refuse."""
    graph = graph_of("drawing")
    graph["4"]["inputs"]["ckpt_name"] = "none"
    async with simplified_on_fake() as (_, client):
        with pytest.raises(Exception, match="status code 400"):
            await asyncio.to_thread(client.queue_prompt, graph)


async def events_of(client: Any, graph: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a workflow by the other package."""
    return [event async for event in client.run(graph)]


@VERSIONS
async def test_another_package_sees_its_progress(version: Version) -> None:
    """It finds the server idle, follows the steps, and gets the picture and the time that it took."""
    async with async_tool_on_fake(version) as (fake, client):

        async def until_connected(_prompt: Prompt, _node: str, _step: int) -> None:
            await fake.sockets.connected.wait()

        fake.queue.before_step = until_connected
        events = await events_of(client, graph_of("drawing"))

    kinds = list(dict.fromkeys(event["type"] for event in events))
    assert kinds == ["start", "progress", "image"]
    assert events[0]["data"]["prompt_id"] in fake.queue.history
    assert events[-1]["data"] == next(iter(kept(fake).values()))
    assert events[-1]["generation_ms"] == 500
