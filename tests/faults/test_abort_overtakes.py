"""Aborts so early that the Cancel may reach the server before the wish that it is for."""

import asyncio
from contextlib import suppress
from pathlib import Path

import grpc
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc

from tests.support.calls import generate
from tests.support.process import server_process

TRIES = 300
STEP_SECONDS = 2.5e-3 / TRIES
SETTLED_SECONDS = 2.0


async def test_nothing_runs_on_after_an_early_abort(tmp_path: Path) -> None:
    """A stream that would go on by itself is left and cancelled within 0 to 2.5 ms: nothing is left to be stopped."""
    async with (
        server_process(tmp_path) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        grpc.aio.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as another,
    ):
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        cancels = image_service_pb2_grpc.ImageServiceStub(another)
        await asyncio.gather(channel.channel_ready(), another.channel_ready())
        ids = [f"early-{number}" for number in range(TRIES)]
        for number, id_ in enumerate(ids):
            wish = generate("sandbox/stall", request_id=id_, on_disconnect=image_pb2.ON_DISCONNECT_DETACH)
            stream = images.StreamGenerate(wish)
            reading = asyncio.ensure_future(stream.read())
            await asyncio.sleep(number * STEP_SECONDS)
            with suppress(grpc.aio.AioRpcError):
                await cancels.Cancel(image_service_pb2.CancelRequest(request_id=id_))
            stream.cancel()
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await reading
        await asyncio.sleep(SETTLED_SECONDS)
        running = []
        for id_ in ids:
            with suppress(grpc.aio.AioRpcError):
                answer = await images.Cancel(image_service_pb2.CancelRequest(request_id=id_))
                running += [id_] if answer.stopped else []

    assert not running
