"""A proxy between client and server that cuts what is silent for 12 s, while a picture takes 30 s."""

import asyncio
from collections.abc import AsyncGenerator

import grpc
import pytest
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import generate, watch
from tests.support.faults_setup import connected, untold, within
from tests.support.nginx import nginx
from tests.support.pictures import noisy_png
from tests.support.provider import TEN_TIMES_THE_PROMISE, ScriptedProvider, never
from tests.support.server import as_config, nothing_left, running_server

IDLE = 12
SILENCE = 30
PICTURE = noisy_png(600, 600)


async def think(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Say nothing for a while, then draw."""
    call.accepted("")
    await asyncio.sleep(SILENCE)
    yield Complete(0, PICTURE)


@pytest.mark.timeout(4 * SILENCE)
async def test_a_stream_outlives_the_patience_of_a_proxy() -> None:
    """Heartbeats pass the proxy; a silent unary call is cut, and joins what runs when asked again. Bought once each."""
    provider = ScriptedProvider(script=think)
    wish = generate(request_id="wish-1")
    async with (
        running_server(as_config("test", provider)) as server,
        nginx(server.address, idle=IDLE) as address,
        connected(address) as images,
    ):

        async def ask_until_it_comes() -> tuple[int, bytes]:
            """Ask by the unary form, the same each time."""
            cuts = 0
            while True:
                try:
                    result = await images.Generate(wish)
                except grpc.aio.AioRpcError as error:
                    assert untold(error)  # noqa: PT017 - one of several tries
                    cuts += 1
                else:
                    return cuts, result.images[0].image.data

        seen, (cuts, data) = await asyncio.gather(watch(images.StreamGenerate(generate())), ask_until_it_comes())
        replayed = await images.Generate(wish)

    assert seen.images == {0: PICTURE}
    assert seen.kinds.count("progress") >= SILENCE // 5 - 1
    assert cuts == SILENCE // IDLE
    assert data == PICTURE
    assert replayed.images[0].image.data == PICTURE
    assert len(provider.tasks) == 2


async def test_leaving_passes_through_a_proxy() -> None:
    """A stream that is left at the proxy's front is left at the provider, too."""
    provider = ScriptedProvider(script=never)
    async with (
        running_server(as_config("test", provider)) as server,
        nginx(server.address, idle=IDLE) as address,
        connected(address) as images,
    ):
        stream = images.StreamGenerate(generate())
        await stream.initial_metadata()
        stream.cancel()
        await within(provider.closed, TEN_TIMES_THE_PROMISE)
        await nothing_left(server)

    assert len(provider.tasks) == 1
