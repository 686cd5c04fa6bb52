"""Leaving calls off the caller's own prompt, in each version of the server, and nobody else's."""

import asyncio

import pytest
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken

from tests.support.comfyui_api import FakeComfyUI, Version
from tests.support.comfyui_provider import MODEL, ComfyUIWorkshop, comfyui_workshop, somebody_elses
from tests.support.comfyui_queue import Prompt
from tests.support.generation import drawing, events_of
from tests.support.http_server import PATIENCE
from tests.support.recording import RecordedRequest
from tests.support.vendor import Answer, html_answer

WISH = drawing(MODEL, preview_count=1)
VERSIONS = pytest.mark.parametrize("version", ["old", "v0.3.64", "2026"])


def hold(fake: FakeComfyUI) -> tuple[asyncio.Event, asyncio.Event]:
    """Keep the server from drawing on: an event that says that it waits, and one that lets it go."""
    reached, release = asyncio.Event(), asyncio.Event()

    async def wait(_prompt: Prompt, _node: str, step: int) -> None:
        if step == 5:
            reached.set()
            await release.wait()

    fake.queue.before_step = wait
    return reached, release


async def left_when(made: ComfyUIWorkshop, ready: asyncio.Event) -> Broken:
    """Begin a generation, and leave it when something has happened."""
    async with asyncio.timeout(PATIENCE):
        async with made.workshop.opened(WISH) as generation:
            made.workshop.engine.launch(generation)
            await ready.wait()
        last = (await events_of(generation))[-1]
    assert isinstance(last, Broken)
    return last


def asked(made: ComfyUIWorkshop) -> list[str]:
    """List the requests, without the ids in them."""
    return [f"{call.method} /{call.path.strip('/').split('/')[0]}" for call in made.fake.requests]


async def until(made: ComfyUIWorkshop, cancelled: int) -> None:
    """Wait until so many prompts were called off, and the server has been told all."""
    async with asyncio.timeout(PATIENCE):
        await made.fake.queue.until(lambda: len(made.fake.queue.cancelled) >= cancelled)
        await made.entry.provider.close()


@VERSIONS
async def test_what_runs_is_stopped(version: Version) -> None:
    """By the request that this version knows; whoever waits behind it is not."""
    async with comfyui_workshop(version) as made:
        reached, release = hold(made.fake)
        last = await left_when(made, reached)
        other = somebody_elses(made.fake)
        await until(made, 1)
        release.set()
        async with asyncio.timeout(PATIENCE):
            await made.fake.queue.idle.wait()

    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)
    (cancelled,) = made.fake.queue.cancelled
    assert cancelled != other.id
    assert made.fake.queue.history[other.id]["status"]["status_str"] == "success"
    assert made.fake.queue.history[cancelled]["status"]["messages"][-1][0] == "execution_interrupted"
    new = ["POST /prompt", "POST /api"]
    assert asked(made) == (new if version == "2026" else [*new, "GET /queue", "POST /interrupt"])


@VERSIONS
async def test_what_waits_is_taken_out(version: Version) -> None:
    """And what runs, which is somebody else's, runs on."""
    async with comfyui_workshop(version) as made:
        reached, release = hold(made.fake)
        other = somebody_elses(made.fake)
        async with asyncio.timeout(PATIENCE):
            await reached.wait()
        queued = asyncio.Event()

        def retouch(call: RecordedRequest, answer: Answer) -> Answer:
            if call.path == "/queue":
                queued.set()
            return answer

        made.fake.retouch = retouch
        await left_when(made, queued)
        await until(made, 1)
        release.set()
        async with asyncio.timeout(PATIENCE):
            await made.fake.queue.idle.wait()

    assert made.fake.queue.cancelled != [other.id]
    assert list(made.fake.queue.history) == [other.id]
    assert made.fake.queue.history[other.id]["status"]["status_str"] == "success"
    assert "POST /interrupt" not in asked(made)


@VERSIONS
async def test_what_has_ended_stops_nobody_else(version: Version) -> None:
    """Left while the picture is got: the prompt is done, and another that runs by then is let alone."""
    async with comfyui_workshop(version) as made:
        viewed, never = asyncio.Event(), asyncio.Event()
        reached, release = asyncio.Event(), asyncio.Event()

        def retouch(call: RecordedRequest, answer: Answer) -> Answer:
            if call.path != "/view":
                return answer
            viewed.set()
            return Answer(before=never)

        made.fake.retouch = retouch

        async def wait(prompt: Prompt, _node: str, step: int) -> None:
            if not prompt.extra and step == 5:
                reached.set()
                await release.wait()

        made.fake.queue.before_step = wait
        task = asyncio.create_task(left_when(made, reached))
        async with asyncio.timeout(PATIENCE):
            await viewed.wait()
            other = somebody_elses(made.fake)
            await task
            await made.entry.provider.close()
        release.set()
        async with asyncio.timeout(PATIENCE):
            await made.fake.queue.idle.wait()

    assert made.fake.queue.cancelled == []
    assert made.fake.queue.history[other.id]["status"]["status_str"] == "success"


async def test_what_may_have_been_queued_is_called_off() -> None:
    """A proxy that lost the answer: the prompt has the id that was chosen for it."""
    async with comfyui_workshop() as made:
        _, release = hold(made.fake)
        made.fake.retouch = lambda call, answer: html_answer(502) if call.path == "/prompt" else answer
        broken = await made.workshop.broken(WISH)
        await until(made, 1)
        release.set()

    assert broken.error.billed is Billed.UNKNOWN
    assert made.fake.queue.cancelled == [made.fake.queued[0].json["prompt_id"]]


async def test_a_refusal_is_not_called_off() -> None:
    """There is nothing that could be."""
    async with comfyui_workshop() as made:
        await made.workshop.broken(drawing("comfyui/no-such-checkpoint"))
        await made.entry.provider.close()

    assert asked(made) == ["POST /prompt"]


async def test_what_is_being_queued_is_called_off_when_it_is() -> None:
    """Left before the server has looked at the graph: it is asked for again, as it cannot be found at first."""
    async with comfyui_workshop() as made:
        _, release = hold(made.fake)
        made.fake.admits.clear()
        asked_in_vain = asyncio.Event()

        def retouch(call: RecordedRequest, answer: Answer) -> Answer:
            if call.path.endswith("/cancel"):
                made.fake.admits.set()
                asked_in_vain.set()
            return answer

        made.fake.retouch = retouch
        await left_when(made, made.fake.holds)
        async with asyncio.timeout(PATIENCE):
            await asked_in_vain.wait()
            await until(made, 1)
        release.set()

    assert len(made.fake.queue.cancelled) == 1
