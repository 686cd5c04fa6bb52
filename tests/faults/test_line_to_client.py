"""The line between client and server is cut: before, while and after a picture is made and sent."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from imagegen.v1 import image_service_pb2_grpc
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import Seen, generate, watch
from tests.support.faults_setup import Event, connected, first, joined, read_image, resume, untold, within
from tests.support.pictures import noisy_png
from tests.support.provider import TEN_TIMES_THE_PROMISE, ScriptedProvider
from tests.support.server import Running, as_config, nothing_left, running_server
from tests.support.tcp_relay import TcpRelay

PICTURE = noisy_png(1000, 1000)
"""Sixteen chunks."""
WISH = generate(request_id="wish-1")


@dataclass
class Line:
    """A server, and a client behind a line that can be cut. The provider draws when `go_on` is set."""

    server: Running
    relay: TcpRelay
    images: "image_service_pb2_grpc.ImageServiceAsyncStub"
    provider: ScriptedProvider
    go_on: asyncio.Event
    asked: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    """Serve behind a relay."""
    go_on, asked = asyncio.Event(), asyncio.Event()

    async def draw(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        asked.set()
        await go_on.wait()
        yield Complete(0, PICTURE)

    provider = ScriptedProvider(script=draw)
    async with (
        running_server(as_config("test", provider)) as server,
        TcpRelay(server.address) as relay,
        connected(relay.address) as images,
    ):
        yield Line(server, relay, images, provider, go_on, asked)


async def broken(call: "asyncio.Future[Any]") -> None:
    """See that a call ended with a status of the transport, which tells nothing of the picture."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert untold(caught.value)


async def test_cut_before_the_request_arrives_nothing_is_bought() -> None:
    """A line that breaks at once: UNAVAILABLE, no call upstream, and the next attempt is the first."""
    async with line() as made:
        made.go_on.set()
        made.relay.refuse()
        await broken(asyncio.ensure_future(made.images.Generate(WISH)))
        assert made.provider.tasks == []
        made.relay.accept()
        async with connected(made.relay.address) as images:
            result = await images.Generate(WISH)

    assert result.images[0].image.data == PICTURE
    assert len(made.provider.tasks) == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_cut_while_it_is_made_it_is_made_to_the_end(streaming: bool) -> None:
    """With a request_id nobody has to be there: the same request afterwards brings the picture, bought once."""
    async with line() as made:
        stream = watch(made.images.StreamGenerate(WISH)) if streaming else made.images.Generate(WISH)
        call = asyncio.ensure_future(stream)
        await within(made.asked)
        made.relay.cut()
        await broken(call)
        made.go_on.set()
        async with connected(made.relay.address) as images:
            result = await images.Generate(WISH)

    assert result.images[0].image.data == PICTURE
    assert len(made.provider.tasks) == 1


async def test_cut_without_a_request_id_the_provider_is_left() -> None:
    """The server sees the cut, stops the spending, and holds nothing of the call."""
    async with line() as made:
        call = asyncio.ensure_future(watch(made.images.StreamGenerate(generate())))
        await within(made.asked)
        made.relay.cut()
        await broken(call)
        await within(made.provider.closed, TEN_TIMES_THE_PROMISE)
        await nothing_left(made.server)

    assert len(made.provider.tasks) == 1


@pytest.mark.parametrize("size", [1, 10_000, 196_608, 1_000_000, 2_500_000])
async def test_cut_in_the_middle_of_the_bytes_the_rest_is_resumed(size: int) -> None:
    """After any number of bytes on the line: Resume behind the last whole event, and not a byte is missing."""
    before = Seen()
    async with line() as made:
        stream = made.images.StreamGenerate(WISH)
        await first(stream, 1)
        call = asyncio.ensure_future(watch(stream, before))
        await within(made.asked)
        made.relay.cut_after(size)
        made.go_on.set()
        await broken(call)
        assert before.images == {}
        last = before.events[-1].sequence if before.events else 1
        async with connected(made.relay.address) as images:
            seen = await watch(joined(before.events, images.Resume(resume(last, request_id="wish-1"))))

    assert seen.images == {0: PICTURE}
    assert seen.kinds == ["complete", "result"]
    assert len(made.provider.tasks) == 1


async def test_a_line_that_breaks_again_and_again() -> None:
    """A line that lasts for 700 kB at a time needs several Resumes, and no second picture."""
    seen, cuts = Seen(), 0
    async with line() as made:
        made.go_on.set()
        stream: AsyncIterable[Event] = made.images.StreamGenerate(WISH)
        while "result" not in seen.kinds:
            made.relay.cut_after(700_000)
            before, seen = seen.events, Seen()
            try:
                await watch(joined(before, stream), seen)
            except grpc.aio.AioRpcError:
                cuts += 1
                after = resume(seen.events[-1].sequence if seen.events else 0, request_id="wish-1")
                stream = made.images.Resume(after, wait_for_ready=True)

    assert cuts >= 4
    assert seen.images == {0: PICTURE}
    assert seen.kinds == ["started", "complete", "result"]
    assert len(made.provider.tasks) == 1


async def test_cut_after_the_result_nothing_changes() -> None:
    """The answer was there: reading it again gives the same, and buys nothing."""
    async with line() as made:
        made.go_on.set()
        seen = await watch(made.images.StreamGenerate(WISH))
        made.relay.cut()
        async with connected(made.relay.address) as images:
            again = await watch(images.Resume(resume(request_id="wish-1")))
            data = await read_image(images, seen.result.images[0].image.image_id)

    assert again.images == seen.images == {0: PICTURE}
    assert again.events[-1] == seen.events[-1]
    assert data == PICTURE
    assert len(made.provider.tasks) == 1


async def test_a_line_that_stands_still_for_a_while_costs_nothing() -> None:
    """Nothing passes in the middle of the picture, then everything does: the stream ends as if nothing had been."""
    seen = Seen()
    async with line() as made:
        stream = made.images.StreamGenerate(WISH)
        await first(stream, 1)
        made.relay.mute()
        made.go_on.set()
        call = asyncio.ensure_future(watch(stream, seen))
        await asyncio.sleep(1)
        assert seen.events == []
        made.relay.resume()
        await call

    assert seen.images == {0: PICTURE}
    assert len(made.provider.tasks) == 1
