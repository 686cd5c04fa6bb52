"""Clients that ask again by themselves, by retry or by hedging, buy a picture once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import grpc
import pytest
from imagegen.v1 import image_service_pb2_grpc
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import generate, refusal, watch
from tests.support.faults_setup import connected, own_channel, untold, within
from tests.support.pictures import noisy_png
from tests.support.provider import ScriptedProvider, never
from tests.support.server import Running, as_config, open_unary, running_server
from tests.support.tcp_relay import TcpRelay

PICTURE = noisy_png(300, 300)
WISH = generate(request_id="wish-1")
SOON = {"initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1}
RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "imagegen.v1.ImageService"}],
            "retryPolicy": {"maxAttempts": 5, "retryableStatusCodes": ["UNAVAILABLE"], **SOON},
        }
    ]
}


class Pausing:
    """A provider that draws when it is told to."""

    def __init__(self) -> None:
        """Wait at first."""
        self.go_on = asyncio.Event()
        self.asked = asyncio.Event()
        self.provider = ScriptedProvider(script=self._draw)

    async def _draw(self, _task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        self.asked.set()
        await self.go_on.wait()
        yield Complete(0, PICTURE)


async def picture(images: "image_service_pb2_grpc.ImageServiceAsyncStub", *, streaming: bool) -> bytes:
    """Make the wish, and take the picture that comes."""
    if streaming:
        return (await watch(images.StreamGenerate(WISH))).images[0]
    return bytes((await images.Generate(WISH)).images[0].image.data)


@asynccontextmanager
async def retrying(server: Running, address: str = "") -> AsyncIterator[Running]:
    """Call a server through a channel that sends UNAVAILABLE calls again, up to five times in all."""
    async with own_channel(address or server.address, service_config=RETRIES) as channel:
        yield replace(server, channel=channel, images=type(server.images)(channel))


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_retrying_channel_buys_a_failure_once(streaming: bool) -> None:
    """A generation that fails with UNAVAILABLE after its launch was committed: the channel may not send it again."""

    async def unavailable(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        raise ImageError(Reason.PROVIDER_UNAVAILABLE, "down")
        yield

    provider = ScriptedProvider(script=unavailable)
    async with running_server(as_config("test", provider)) as server, retrying(server) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (watch(client.images.StreamGenerate(generate())) if streaming else client.images.Generate(generate()))

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refusal(caught.value).reason == "PROVIDER_UNAVAILABLE"
    assert len(provider.tasks) == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_retrying_channel_buys_a_cut_call_once(streaming: bool) -> None:
    """A line that is cut after the commitment is UNAVAILABLE by the transport, and is not sent again either."""
    provider = ScriptedProvider(script=never)
    async with (
        running_server(as_config("test", provider)) as server,
        TcpRelay(server.address) as relay,
        retrying(server, relay.address) as client,
    ):
        call = client.images.StreamGenerate(generate()) if streaming else open_unary(client, generate())
        await call.initial_metadata()
        relay.cut()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [message async for message in call]
        await within(provider.closed)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert untold(caught.value)
    assert len(provider.tasks) == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_with_a_request_id_a_retry_joins_what_was_bought(streaming: bool) -> None:
    """Cut before the commitment reached the client, the channel does send it again: it joins, and has its picture."""
    made = Pausing()
    async with (
        running_server(as_config("test", made.provider)) as server,
        TcpRelay(server.address) as relay,
        retrying(server, relay.address) as client,
    ):
        await client.channel.channel_ready()
        relay.mute()
        call = asyncio.create_task(picture(client.images, streaming=streaming))
        await within(made.asked)
        relay.cut()
        relay.resume()
        async with asyncio.timeout(30):
            while relay.accepted < 2:  # noqa: ASYNC110 - a counter, no event
                await asyncio.sleep(0.001)
        made.go_on.set()
        assert await call == PICTURE

    assert len(made.provider.tasks) == 1


async def test_sent_many_times_at_once_it_is_bought_once() -> None:
    """Eight copies under one request_id, unary and streamed, over eight connections: one call, the same for all."""
    made = Pausing()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(as_config("test", made.provider)))
        clients = [await stack.enter_async_context(connected(server.address)) for _ in range(8)]
        made.go_on.set()
        streamed = [watch(images.StreamGenerate(WISH)) for images in clients[:4]]
        answered = [images.Generate(WISH) for images in clients[4:]]
        seen, results = await asyncio.gather(asyncio.gather(*streamed), asyncio.gather(*answered))

    assert len(made.provider.tasks) == 1
    assert [one.images for one in seen] == [{0: PICTURE}] * 4
    assert [one.images[0].image.data for one in results] == [PICTURE] * 4
    ids = {one.result.images[0].image.image_id for one in seen} | {one.images[0].image.image_id for one in results}
    assert len(ids) == 1
    assert len({one.result.generation_id for one in seen} | {one.generation_id for one in results}) == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_hedging_cancels_the_loser_and_not_the_picture(streaming: bool) -> None:
    """A hedging client leaves its first call when the second is under way: that one has the picture, bought once."""
    made = Pausing()
    async with (
        running_server(as_config("test", made.provider)) as server,
        connected(server.address) as images,
        connected(server.address) as others,
    ):
        loser = asyncio.create_task(picture(images, streaming=streaming))
        await within(made.asked)
        winner = others.StreamGenerate(WISH)
        await winner.initial_metadata()
        loser.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loser
        made.go_on.set()
        seen = await watch(winner)

    assert seen.images == {0: PICTURE}
    assert len(made.provider.tasks) == 1
