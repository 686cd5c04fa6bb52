"""A store that is full: what was delivered goes, what was not stays, and new work is refused with a wait."""

from collections.abc import AsyncGenerator
from typing import Any

import grpc
import pytest
from imagegen.v1 import image_service_pb2
from imagegen_server.config import StoreTable
from imagegen_server.domain.errors import Reason
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import Refusal, generate, refusal, watch
from tests.support.faults_setup import read_image, resume
from tests.support.pictures import noisy_png
from tests.support.provider import ScriptedProvider
from tests.support.server import Running, as_config, running_server

SIDE = 512
ROOM = 5
"""So many pictures fit."""
PICTURES = [noisy_png(SIDE, SIDE, seed=seed) for seed in range(2 * ROOM)]
MAX_BYTES = ROOM * len(PICTURES[0]) + len(PICTURES[0]) // 2


class Vendor:
    """Draws a different picture each time."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self.provider = ScriptedProvider(script=self._draw)

    async def _draw(self, _task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        yield Complete(0, PICTURES[len(self.provider.tasks) - 1])


def wish(*, by_reference: bool, **fields: Any) -> image_service_pb2.GenerateRequest:
    """Ask for a picture of known size, to be fetched later or at once."""
    mode = "DELIVERY_MODE_REFERENCE" if by_reference else "DELIVERY_MODE_INLINE"
    return generate(options={"size": {"width": SIDE, "height": SIDE}}, delivery={"mode": mode}, **fields)


async def drawn(server: Running, *, by_reference: bool) -> str:
    """Have a picture drawn; tells its id."""
    result = await server.images.Generate(wish(by_reference=by_reference))
    return str(result.images[0].image.image_id)


async def refused(server: Running) -> Refusal:
    """See that no picture is drawn."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.images.Generate(wish(by_reference=True))
    return refusal(caught.value)


async def test_a_full_store_loses_nothing_that_nobody_has() -> None:
    """Delivered pictures make room, undelivered ones stay to the byte; then SERVER_BUSY, and nobody is asked."""
    vendor, table = Vendor(), StoreTable.model_validate({"max_bytes": MAX_BYTES})
    async with running_server(as_config("test", vendor.provider), store=table) as server:
        delivered = [await drawn(server, by_reference=False) for _ in range(ROOM)]
        kept = [await drawn(server, by_reference=True) for _ in range(ROOM)]
        for _ in range(3):
            told = await refused(server)
            assert (told.code, told.reason, told.billed) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY", "no")
            assert told.retry_delay is not None
        assert len(vendor.provider.tasks) == 2 * ROOM

        for image_id in delivered:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await read_image(server.images, image_id)
            assert refusal(caught.value).reason == Reason.IMAGE_NOT_FOUND.name
        bytes_kept = [await read_image(server.images, image_id) for image_id in kept]
        assert bytes_kept == PICTURES[ROOM:]

        # They are delivered now, and the oldest makes room.
        vendor.provider.tasks.clear()
        await drawn(server, by_reference=True)
        with pytest.raises(grpc.aio.AioRpcError):
            await read_image(server.images, kept[0])
        assert [await read_image(server.images, image_id) for image_id in kept[1:]] == PICTURES[ROOM + 1 :]
        assert len(vendor.provider.tasks) == 1


async def test_a_picture_that_is_larger_than_its_estimate_is_kept_in_a_full_store() -> None:
    """It is paid for: the store takes it although it has no room, and lets nothing go that nobody has."""
    vendor, table = Vendor(), StoreTable.model_validate({"max_bytes": MAX_BYTES})
    async with running_server(as_config("test", vendor.provider), store=table) as server:
        kept = [await drawn(server, by_reference=True) for _ in range(ROOM)]
        small = wish(by_reference=True, request_id="wish-1")
        small.options.size.width = small.options.size.height = 16
        larger = await server.images.Generate(small)
        assert larger.images[0].image.size_bytes == len(PICTURES[ROOM])
        assert server.memory.kept_bytes > MAX_BYTES
        told = await refused(server)
        seen = await watch(server.images.Resume(resume(request_id="wish-1")))
        # It was read, and the store has no room for what was read. The others were not.
        data = [await read_image(server.images, image_id) for image_id in kept]

    assert told.reason == "SERVER_BUSY"
    assert data == PICTURES[:ROOM]
    assert seen.images == {0: PICTURES[ROOM]}
    assert len(vendor.provider.tasks) == ROOM + 1
