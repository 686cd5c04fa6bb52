"""Generations that go on without a reader: they count like any other, and there are never more than max_calls."""

import asyncio
from collections.abc import AsyncGenerator

import grpc
import pytest
from imagegen.v1 import image_service_pb2
from imagegen_server.config import ServerTable
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import generate, refusal, watch
from tests.support.faults_setup import PATIENCE, connected, resume
from tests.support.pictures import noisy_png
from tests.support.provider import ScriptedProvider
from tests.support.server import Running, as_config, nothing_left, running_server

MOST = 5
PICTURE = noisy_png(100, 100)


async def detached(server: Running, count: int) -> None:
    """Wait until so many run although nobody reads them."""
    async with asyncio.timeout(PATIENCE):
        while server.app.engine.detached != count:  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(0.001)


async def test_detached_generations_are_counted_and_bounded() -> None:
    """With max_calls of them under way the next is refused with a wait; Cancel frees a place, the rest is resumed."""
    go_on = asyncio.Event()

    async def draw(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        await go_on.wait()
        yield Complete(0, PICTURE)

    provider = ScriptedProvider(script=draw)
    table = ServerTable(max_calls=MOST)
    async with running_server(as_config("test", provider), server=table) as server:
        async with connected(server.address) as images:
            for number in range(MOST):
                stream = images.StreamGenerate(generate(request_id=f"wish-{number}"))
                await stream.initial_metadata()
        await detached(server, MOST)
        assert server.app.admission.calls == MOST

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate(request_id="one-more"))
        told = refusal(caught.value)
        assert (told.code, told.reason, told.billed) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", "no")
        assert told.retry_delay is not None
        assert len(provider.tasks) == MOST

        answer = await server.images.Cancel(image_service_pb2.CancelRequest(request_id="wish-0"))
        assert answer.stopped
        await detached(server, MOST - 1)
        last = asyncio.create_task(watch(server.images.StreamGenerate(generate(request_id="one-more"))))
        async with asyncio.timeout(PATIENCE):
            while len(provider.tasks) <= MOST:  # noqa: ASYNC110 - a counter, no event
                await asyncio.sleep(0.001)
        go_on.set()
        assert (await last).images == {0: PICTURE}
        await nothing_left(server)
        for number in range(1, MOST):
            seen = await watch(server.images.Resume(resume(request_id=f"wish-{number}")))
            assert seen.images == {0: PICTURE}
        assert server.app.engine.detached == 0
        assert len(provider.tasks) == MOST + 1


async def test_a_detached_generation_ends_with_its_providers_timeout() -> None:
    """Nobody reads it and its reader's deadline is over; it ends all the same, and tells so who comes back."""
    provider = ScriptedProvider(script=wait_for_ever)
    async with running_server(as_config("test", provider, timeout=2.0)) as server:
        async with connected(server.address) as images:
            stream = images.StreamGenerate(generate(request_id="wish-1"), timeout=1.2)
            await stream.initial_metadata()
        await detached(server, 1)
        await nothing_left(server)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch(server.images.Resume(resume(request_id="wish-1")))

    assert refusal(caught.value).reason == "TIMEOUT"
    assert refusal(caught.value).billed == "unknown"
    assert provider.closed.is_set()
    assert len(provider.tasks) == 1


async def wait_for_ever(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Say nothing."""
    call.accepted("")
    await asyncio.Event().wait()
    yield Complete(0, PICTURE)
