"""Pictures while they develop: by a model's stream, or by the queue where there is none."""

import asyncio
import base64
from contextlib import aclosing
from dataclasses import replace
from math import inf
from typing import Any

import pytest
import structlog
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken, Complete, ImageFinished, LogEvent, PreviewShown, Progress, Report
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.providers.base import Call
from imagegen_server.providers.fal import FalSettings

from tests.support.fal_api import KEY, event
from tests.support.fal_provider import HERE, MODEL, FalWorkshop, fal_workshop
from tests.support.generation import drawing, events_of, until
from tests.support.http_server import PATIENCE
from tests.support.openai_wire import picture
from tests.support.vendor import Answer, event_answer, json_answer

OTHER = "fal/someone/painter"
"""Not known here, and it does not stream."""


def shown(*shades: int, **more: Any) -> dict[str, Any]:
    """Say that these are the pictures so far."""
    return {"images": [{"url": data_url(shade)} for shade in shades]} | more


def data_url(shade: int) -> str:
    """Write a picture of one shade."""
    return f"data:image/png;base64,{base64.b64encode(picture((16, 16), 'png', shade)).decode()}"


def previews(events: list[LogEvent]) -> list[tuple[int, bytes]]:
    """List the previews, each with the picture's number."""
    return [(event.index, event.data) for event in events if isinstance(event, PreviewShown)]


def finished(events: list[LogEvent]) -> list[bytes]:
    """List the finished pictures."""
    return [event.data for event in events if isinstance(event, ImageFinished)]


def paths(made: FalWorkshop) -> list[str]:
    """Tell where the vendor was asked for something new."""
    return [request.path for request in made.fake.requests if request.method == "POST"]


async def streamed(*events: bytes | asyncio.Event, count: int = 1, wanted: int = 4) -> list[LogEvent]:
    """Run a generation to which the vendor answers with this stream."""
    async with fal_workshop() as made:
        made.fake.answer_next(event_answer(*events))
        log = await made.workshop.run(drawing(MODEL, count=count, preview_count=wanted))
        assert paths(made) == ["/run/fal-ai/flux/dev/stream"]
    return log


async def test_all_but_the_last_event_are_previews() -> None:
    """As many as are wanted; nothing is queued, and the body is that of the queue."""
    async with fal_workshop() as made:
        events = await made.workshop.run(drawing(MODEL, preview_count=2, seed=3))
    (request,) = made.fake.requests

    assert (request.method, request.path) == ("POST", "/run/fal-ai/flux/dev/stream")
    assert (request.headers["accept"], request.headers["authorization"]) == ("text/event-stream", f"Key {KEY}")
    assert request.json == {"prompt": "a boat", "seed": 3, "sync_mode": True}
    assert len({data for _, data in previews(events)}) == 2
    assert len(finished(events)) == 1
    assert finished(events)[0] not in [data for _, data in previews(events)]


async def test_several_pictures_develop_in_one_stream() -> None:
    """Their place in the event is their number."""
    events = await streamed(event(shown(1, 2)), event(shown(3, 4)), event(shown(5, 6)), count=2)

    assert previews(events) == [(i % 2, picture((16, 16), "png", shade)) for i, shade in enumerate((1, 2, 3, 4))]
    assert finished(events) == [picture((16, 16), "png", 5), picture((16, 16), "png", 6)]


async def test_numbers_are_progress() -> None:
    """An event without a picture may say how far the work is; the rest of it is not understood, and no harm."""
    said = [{"progress": 0.25, "message": "a"}, {"progress": 7}, {"odd": 1}, shown(1)]
    accepted: list[str] = []
    task = Task(Operation.GENERATE, "fal-ai/flux/dev", "a boat", Options(count=1, preview_count=1))
    async with fal_workshop() as made:
        made.fake.answer_next(event_answer(b": ping\n\n", *map(event, said)))
        call = Call(inf, structlog.get_logger(), accepted.append, made.entry.http, Secret(KEY))
        async with aclosing(made.entry.provider.run(task, call)) as running:
            events = [item async for item in running]

    assert [item.fraction for item in events if isinstance(item, Progress)] == [0.25, None, None]
    assert [type(item) for item in events[3:]] == [Report, Complete]
    assert set(accepted) == {"req-1"}


@pytest.mark.parametrize(
    "odd",
    [
        event({"images": [{"url": "data:image/png;base64,A*A"}]}),
        event({"images": [{"url": "http://10.0.0.1/1.png"}]}),
        event({"images": [{"url": None}]}),
        event({"images": [{"url": data_url(9)}], "has_nsfw_concepts": [True]}),
        b"data: {broken\n\n",
        b"data: 5\n\n",
        event({"images": []}),
    ],
    ids=["no base64", "not public", "nothing", "flagged", "no JSON", "no object", "no pictures"],
)
async def test_a_preview_that_cannot_be_shown_is_no_loss(odd: bytes) -> None:
    """The others are, and the picture comes."""
    events = await streamed(event(shown(1)), odd, event(shown(2)))

    assert previews(events) == [(0, picture((16, 16), "png", 1))]
    assert finished(events) == [picture((16, 16), "png", 2)]


@pytest.mark.parametrize("status", [404, 405])
async def test_a_model_without_a_stream_is_queued(status: int) -> None:
    """As nothing was begun; that it has none is remembered, and told as a capability."""
    async with fal_workshop() as made:
        assert made.entry.provider.model("someone/painter").capabilities.previews is PreviewSupport.UNKNOWN
        made.fake.answer_next(json_answer(status, {"detail": "no"}))
        first = await made.workshop.run(drawing(OTHER, preview_count=1))
        second = await made.workshop.run(drawing(OTHER, preview_count=1))
        model = made.entry.provider.model("someone/painter")

    assert paths(made) == ["/run/someone/painter/stream", "/queue/someone/painter", "/queue/someone/painter"]
    assert len(finished(first)) == len(finished(second)) == 1
    assert model.capabilities.previews is PreviewSupport.PROGRESS


async def test_a_model_that_may_not_stream_is_not_asked_to_unless_previews_are_wanted() -> None:
    """By default only those that are known to stream do."""
    async with fal_workshop() as made:
        await made.workshop.run(replace(drawing(OTHER), preview_default=2))
        await made.workshop.run(replace(drawing(MODEL), preview_default=2))

    assert paths(made) == ["/queue/someone/painter", "/run/fal-ai/flux/dev/stream"]


async def test_the_table_names_models_that_stream() -> None:
    """These show previews by default, too."""
    async with fal_workshop(settings=replace(HERE, streaming=("fal-ai/of-tomorrow",))) as made:
        events = await made.workshop.run(replace(drawing("fal/fal-ai/of-tomorrow"), preview_default=1))

    assert len(previews(events)) == 1


async def test_behind_a_gateway_nothing_streams_unless_the_table_says_where() -> None:
    """No key goes past it to the vendor."""
    async with fal_workshop(settings=FalSettings()) as made:
        events = await made.workshop.run(drawing(MODEL, preview_count=1))

    assert paths(made) == ["/queue/fal-ai/flux/dev"]
    assert len(finished(events)) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, Reason.AUTHENTICATION_FAILED), (429, Reason.RATE_LIMITED), (422, Reason.INVALID_REQUEST)],
)
async def test_a_refused_stream_is_not_queued(status: int, reason: Reason) -> None:
    """What the vendor refuses for a reason, it would refuse there, too; a limit is for the caller's own retry."""
    async with fal_workshop() as made:
        made.fake.answer_next(replace(json_answer(status, {"detail": "no"}), checks=False))
        broken = await made.workshop.broken(drawing(MODEL, preview_count=1))

    assert broken.error.reason is reason
    assert len(made.fake.requests) == 1


async def test_an_answer_that_is_no_stream_is_read() -> None:
    """JSON instead of events."""
    async with fal_workshop() as made:
        made.fake.answer_next(json_answer(200, shown(4, seed=8)))
        result = await made.workshop.result(drawing(MODEL, preview_count=1))

    assert result.images[0].seed == 8


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (event_answer(event(shown(1)), event(shown(2)), breaks_off=True), Reason.NETWORK_ERROR),
        (event_answer(event({"progress": 0.5})), Reason.INVALID_RESPONSE),
        (event_answer(b""), Reason.INVALID_RESPONSE),
        (event_answer(b"data: {broken\n\n"), Reason.INVALID_RESPONSE),
        (
            event_answer(event(shown(1)), event({"error": "Runner failed", "error_type": "runner_server_error"})),
            Reason.PROVIDER_ERROR,
        ),
        (
            event_answer(event({"detail": [{"type": "content_policy_violation", "msg": "x", "loc": ["body"]}]})),
            Reason.CONTENT_FILTERED,
        ),
    ],
    ids=["cut", "no picture", "empty", "malformed", "failed", "policy"],
)
async def test_a_stream_that_ends_without_its_picture(answer: Answer, reason: Reason) -> None:
    """A preview is never taken for the picture if something broke; it may have been billed, and nothing is queued."""
    async with fal_workshop() as made:
        made.fake.answer_next(answer)
        broken = await made.workshop.broken(drawing(MODEL, preview_count=3))

    assert (broken.error.reason, broken.error.billed) == (reason, Billed.UNKNOWN)
    assert len(made.fake.requests) == 1


async def test_leaving_closes_the_stream() -> None:
    """The vendor sees its socket closed; there is nothing to call off."""
    answer = event_answer(event(shown(1)), event(shown(2)), asyncio.Event(), event(shown(3)))
    async with fal_workshop() as made:
        made.fake.answer_next(answer)
        async with made.workshop.opened(drawing(MODEL, preview_count=1)) as generation:
            made.workshop.engine.launch(generation)
            await until(generation, PreviewShown)
        async with asyncio.timeout(PATIENCE):
            await answer.client_gone.wait()
        last = (await events_of(generation))[-1]
        assert len(await made.workshop.run(drawing(MODEL))) > 1

    assert isinstance(last, Broken)
    assert last.error.reason is Reason.CANCELLED
    assert made.fake.queue.cancelled == []
