"""What does not fit is refused at once, and a reader that stops reading is not waited for."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from imagegen_server.config import ServerTable, StoreTable
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call
from pydantic import ByteSize

from tests.support.calls import edit, generate, refusal, watch
from tests.support.pictures import noisy_png, png
from tests.support.provider import ScriptedProvider
from tests.support.server import answer, as_config, nothing_left, open_unary, running_server

SMALL = {"size": {"width": 64, "height": 64}}
"""Estimated at 64 KiB."""


def gated(go_on: asyncio.Event) -> ScriptedProvider:
    """Make a provider that finishes when the test says so."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        await go_on.wait()
        for index in range(task.count):
            yield Complete(index, png(8, 8))

    return ScriptedProvider(script=script)


async def test_calls_over_the_cap_are_refused_at_once_and_served_later() -> None:
    """The call that is one too many hears SERVER_BUSY with a wait; when another has ended, it is taken."""
    go_on = asyncio.Event()
    async with running_server(as_config("test", gated(go_on)), server=ServerTable(max_calls=2)) as server:
        running = [open_unary(server, generate()) for _ in range(2)]
        for call in running:
            await call.initial_metadata()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate())
        go_on.set()
        for call in running:
            assert (await answer(call)).images

        told = refusal(caught.value)
        assert (told.code, told.reason, told.billed) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", "no")
        assert told.retry_delay is not None
        assert told.retry_delay > 0
        assert (await server.images.Generate(generate())).images


async def test_bytes_over_the_budget_are_refused_at_once() -> None:
    """The byte budget counts what a call brings and what it may make; afterwards it is all given back."""
    go_on = asyncio.Event()
    table = ServerTable(max_bytes_in_flight=ByteSize(600_000))
    picture = noisy_png(300, 300)
    async with running_server(as_config("test", gated(go_on)), server=table) as server:
        first = open_unary(server, edit(picture, options=SMALL))
        await first.initial_metadata()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Edit(edit(picture, options=SMALL))
        small = open_unary(server, generate(options=SMALL))
        await small.initial_metadata()
        go_on.set()
        assert (await answer(first)).images
        assert (await answer(small)).images
        await nothing_left(server)

        assert refusal(caught.value).reason == "SERVER_BUSY"
        assert (server.app.admission.calls, server.app.admission.bytes_in_flight) == (0, 0)
        assert server.memory.reserved_bytes == 0


async def test_unread_images_fill_the_store_and_delivered_ones_make_room() -> None:
    """What nobody has received is kept and refuses new work; what reached its caller goes first."""
    picture = noisy_png(256, 256)

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Complete(0, picture)

    wish = generate(options={"size": {"width": 256, "height": 256}})
    unread = generate(options={"size": {"width": 256, "height": 256}}, delivery={"mode": "DELIVERY_MODE_REFERENCE"})
    room = StoreTable(max_bytes=ByteSize(len(picture) * 5 // 2))
    async with running_server(as_config("test", ScriptedProvider(script=script)), store=room) as server:
        for _ in range(5):
            assert (await server.images.Generate(wish)).images[0].image.data == picture
        await server.images.Generate(unread)
        await server.images.Generate(unread)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(unread)

        assert refusal(caught.value).reason == "SERVER_BUSY"
        assert server.app.store.undelivered == 2


async def read_on(stream: Any) -> None:
    """Read to the end one by one, as the stream was begun."""
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_a_reader_that_takes_nothing_is_ended() -> None:
    """A client that stops reading loses its stream after a while; others are served meanwhile and afterwards."""
    picture = noisy_png(1500, 1500)

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        for index in range(task.count):
            yield Complete(index, picture)

    async with running_server(as_config("test", ScriptedProvider(script=script)), slow_reader=0.2) as server:
        stalled = server.images.StreamGenerate(generate(options={"count": 8}))
        await stalled.read()
        # Another connection: HTTP/2 flow control is shared by the streams of one.
        async with grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as other:
            meanwhile = await watch(type(server.images)(other).StreamGenerate(generate()))
            await nothing_left(server)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await read_on(stalled)

        assert meanwhile.images == {0: picture}
        assert refusal(caught.value).reason == "CANCELLED"
