"""Whatever ends a generation here ends it at the other server, up to its provider."""

import asyncio
import itertools

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc

from tests.support.imagegen_provider import Chain, chain
from tests.support.imagegen_told import hear
from tests.support.provider import TEN_TIMES_THE_PROMISE, ScriptedProvider, first_only, never
from tests.support.server import nothing_left


def wish(model: str = "far/test/any", **fields: object) -> image_service_pb2.GenerateRequest:
    """Wish for a picture of the scripted provider."""
    return image_service_pb2.GenerateRequest(model=model, input=image_pb2.ImageInput(prompt="a boat"), **fields)  # type: ignore[arg-type]


async def closed(provider: ScriptedProvider, servers: Chain) -> None:
    """Wait until the provider's generator is closed, and neither server holds anything."""
    async with asyncio.timeout(TEN_TIMES_THE_PROMISE):
        await provider.closed.wait()
    await nothing_left(servers.near)
    await nothing_left(servers.far)
    assert len(provider.tasks) == 1


async def test_leaving_reaches_the_far_provider() -> None:
    """A caller that hangs up after a preview."""
    provider = ScriptedProvider(never)
    async with chain(provider) as servers:
        call = servers.near.images.StreamGenerate(wish())
        async for event in call:
            if event.WhichOneof("event") == "preview":
                break
        call.cancel()

        await closed(provider, servers)


async def test_cancel_reaches_the_far_provider() -> None:
    """By the request_id of the caller, who hears CANCELLED."""
    provider = ScriptedProvider(never)
    async with chain(provider) as servers:
        images: image_service_pb2_grpc.ImageServiceAsyncStub = servers.near.images
        call = images.StreamGenerate(wish(request_id="one"))
        async for event in call:
            if event.WhichOneof("event") == "preview":
                break
        assert (await images.Cancel(image_service_pb2.CancelRequest(request_id="one"))).stopped

        await closed(provider, servers)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
        assert caught.value.code() is grpc.StatusCode.CANCELLED


async def test_cancel_keeps_what_is_finished() -> None:
    """The picture that had come is the result, the other one is CANCELLED."""
    provider = ScriptedProvider(first_only)
    async with chain(provider) as servers:
        call = servers.near.images.StreamGenerate(
            wish(request_id="two", options=image_pb2.ImageOptions(count=2, preview_count=0))
        )
        last = None
        async for event in call:
            if event.WhichOneof("event") == "complete":
                await servers.near.images.Cancel(image_service_pb2.CancelRequest(request_id="two"))
            last = event

        assert last is not None
        assert [image.index for image in last.result.images] == [0]
        assert [failure.index for failure in last.result.failures] == [1]
        await closed(provider, servers)


async def test_the_deadline_ends_the_far_generation() -> None:
    """The caller hears TIMEOUT, and nobody goes on drawing."""
    provider = ScriptedProvider(never)
    async with chain(provider) as servers:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await servers.near.images.Generate(wish(), timeout=1.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

        await closed(provider, servers)


async def test_progress_is_passed_on() -> None:
    """Phases and fractions of the far provider, with the model that is tried."""
    async with chain() as servers:
        wishes = wish("far/sandbox/slow")
        wishes.params["far"].update({"sandbox": {"duration": 0.2}})
        wishes.options.size.width = wishes.options.size.height = 64
        told = await hear(servers.near, wishes)

    fractions = [news.fraction for news in told.of("progress") if news.HasField("fraction")]
    assert fractions
    assert fractions == sorted(fractions)
    assert all(left != right for left, right in itertools.pairwise(fractions))
