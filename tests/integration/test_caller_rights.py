"""What each caller may do, and how much of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc

from tests.support.callers import OTHER_TOKEN, TOKEN, Safe, hash_of
from tests.support.calls import refusal
from tests.support.guarded import bearer, drawing, guarded, names
from tests.support.shared import reason_of, refused, store_at


@pytest.fixture
def safe(tmp_path: Path) -> Safe:
    """Have a folder for certificates and callers."""
    return Safe(tmp_path)


async def test_callers_see_and_use_their_models_only(safe: Safe) -> None:
    """Another model is refused before anything is done, in the lists and in the calls."""
    callers = f'[callers.billing]\ntokens = ["{hash_of(TOKEN)}"]\nmodels = ["sandbox/sc*"]'
    async with guarded(safe, callers=callers) as server, safe.channel(server.address) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        assert await names(channel) == ["sandbox/scene"]
        assert len((await images.Generate(drawing(), metadata=bearer(TOKEN))).images) == 1
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await images.Generate(drawing("sandbox/slow"), metadata=bearer(TOKEN))

    error = refusal(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    assert error.metadata["model"] == "sandbox/slow"


async def test_images_per_minute(safe: Safe) -> None:
    """What is over is refused with the wait; another caller is not touched."""
    callers = (
        f'[callers.billing]\ntokens = ["{hash_of(TOKEN)}"]\nimages_per_minute = 3\n'
        f'[callers.batch]\ntokens = ["{hash_of(OTHER_TOKEN)}"]'
    )
    async with guarded(safe, callers=callers) as server, safe.channel(server.address) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        await images.Generate(drawing(count=2), metadata=bearer(TOKEN))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await images.Generate(drawing(count=2), metadata=bearer(TOKEN))
        error = refusal(caught.value)
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "CALLER_LIMIT_EXCEEDED")
        assert error.retry_delay is not None
        assert 0 < error.retry_delay <= 60
        await images.Generate(drawing(count=1), metadata=bearer(TOKEN))
        await images.Generate(drawing(count=4), metadata=bearer(OTHER_TOKEN))


async def test_calls_at_a_time(safe: Safe) -> None:
    """One too many is refused without a wait; when one ended there is room for one."""
    callers = f'[callers.billing]\ntokens = ["{hash_of(TOKEN)}"]\nmax_calls = 1'
    async with guarded(safe, callers=callers) as server, safe.channel(server.address) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        waiting = images.StreamGenerate(drawing("sandbox/stall"), metadata=bearer(TOKEN))
        await waiting.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await images.Generate(drawing(), metadata=bearer(TOKEN))
        error = refusal(caught.value)
        assert (error.reason, error.retry_delay) == ("CALLER_LIMIT_EXCEEDED", None)
        waiting.cancel()
        async with asyncio.timeout(30):
            while server.app.admission.calls:  # noqa: ASYNC110 - a counter, no event
                await asyncio.sleep(0)
        await images.Generate(drawing(), metadata=bearer(TOKEN))


async def test_what_one_caller_made_another_cannot_have(safe: Safe) -> None:
    """Its id is as good as none to others."""
    callers = f'[callers.billing]\ntokens = ["{hash_of(TOKEN)}"]\n[callers.batch]\ntokens = ["{hash_of(OTHER_TOKEN)}"]'
    async with guarded(safe, callers=callers) as server, safe.channel(server.address) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        made = await images.Generate(drawing(), metadata=bearer(TOKEN))
        request = image_service_pb2.ReadImageRequest(image_id=made.images[0].image.image_id)
        pieces = [answer.data async for answer in images.ReadImage(request, metadata=bearer(TOKEN))]
        assert b"".join(pieces) == made.images[0].image.data
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await images.ReadImage(request, metadata=bearer(OTHER_TOKEN)).read()
    assert refusal(caught.value).reason == "IMAGE_NOT_FOUND"


async def test_servers_that_share_a_store_count_together(safe: Safe, redis: Callable[[], str]) -> None:
    """Calls in hand and images of a minute at one leave that much less at the other."""
    callers = (
        f'[callers.billing]\ntokens = ["{hash_of(TOKEN)}"]\nmax_calls = 2\n'
        f'[callers.batch]\ntokens = ["{hash_of(OTHER_TOKEN)}"]\nimages_per_minute = 3'
    )
    store = store_at(redis())
    async with (
        guarded(safe, callers=callers, store=store) as here,
        guarded(safe, callers=callers, store=store) as there,
        safe.channel(here.address) as channel,
        safe.channel(there.address) as other_channel,
    ):
        one, other = (image_service_pb2_grpc.ImageServiceStub(each) for each in (channel, other_channel))
        waiting = [each.StreamGenerate(drawing("sandbox/stall"), metadata=bearer(TOKEN)) for each in (one, other)]
        for call in waiting:
            await call.read()
        for each in (one, other):
            assert (await refused(each.Generate(drawing(), metadata=bearer(TOKEN)))).reason == "CALLER_LIMIT_EXCEEDED"
        waiting[0].cancel()
        async with asyncio.timeout(30):
            while await reason_of(other.Generate(drawing(), metadata=bearer(TOKEN))) == "CALLER_LIMIT_EXCEEDED":
                pass
        await other.Generate(drawing(), metadata=bearer(TOKEN))

        await one.Generate(drawing(count=2), metadata=bearer(OTHER_TOKEN))
        error = await refused(other.Generate(drawing(count=2), metadata=bearer(OTHER_TOKEN)))
        assert error.reason == "CALLER_LIMIT_EXCEEDED"
        assert error.retry_delay is not None
        assert 0 < error.retry_delay <= 60
        await other.Generate(drawing(count=1), metadata=bearer(OTHER_TOKEN))
