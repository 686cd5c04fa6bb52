"""What the adapter sends is what others' packages send for the same wish, but for what is named here."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.comfyui_package import simplified_on_fake, simplified_workflow
from tests.support.comfyui_provider import comfyui_workshop, graph_of, workflow
from tests.support.generation import drawing, editing
from tests.support.pictures import png
from tests.support.recording import RecordedRequest


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of whoever runs the tests is not meant for the fake."""
    monkeypatch.setenv("NO_PROXY", "*")


def plainly(call: RecordedRequest) -> tuple[str, str, str]:
    """Tell where a request goes, without the ids of prompts."""
    path = "/history/ID" if call.path.startswith("/history/") else call.path
    return call.method, path, call.query


async def test_a_workflow_is_run_alike() -> None:
    """The same graph goes to the same places. Ours has an id of its own from the start, and asks for no previews."""
    async with comfyui_workshop(workflows={"castle": workflow("drawing")}) as made:
        await made.workshop.result(drawing("comfyui/castle", seed=7))
        ours = made.fake.requests
    async with simplified_on_fake() as (fake, client):
        wanted = simplified_workflow(graph_of("drawing"))
        wanted.set_node_param("Positive", "text", "a boat")
        wanted.set_node_param("KSampler", "seed", 7)
        await asyncio.to_thread(client.queue_and_wait_images, wanted, "Save Image")
        theirs = fake.requests
    body: dict[str, Any] = ours[0].json

    assert [plainly(call) for call in ours] == [plainly(call) for call in theirs]
    assert set(body) - set(theirs[0].json) == {"prompt_id", "extra_data"}
    assert body["prompt"] == theirs[0].json["prompt"]
    # The package takes a new name for its socket, too, and that of the prompt is the server's.
    assert len(body["client_id"]) == len(theirs[0].json["client_id"])


async def test_a_picture_is_uploaded_alike(tmp_path: Path) -> None:
    """Under another name, and ours says that it is an input, which it is if nobody says so."""
    async with comfyui_workshop(workflows={"castle": workflow("inverting")}) as made:
        await made.workshop.run(editing(png(8, 8), model="comfyui/castle"))
        ours = made.fake.requests[0]
    path = tmp_path / "x.png"
    path.write_bytes(png(8, 8))
    async with simplified_on_fake() as (fake, client):
        await asyncio.to_thread(client.upload_image, path, "imagegen")
        theirs = fake.requests[0]

    assert plainly(ours) == plainly(theirs)
    assert ours.fields == {**theirs.fields, "type": "input"}
    assert [(file.name, file.data) for file in ours.files] == [(file.name, file.data) for file in theirs.files]
