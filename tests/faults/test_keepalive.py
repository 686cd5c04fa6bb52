"""A call that says nothing for two minutes, while its client pings."""

import asyncio
from collections.abc import AsyncGenerator

import grpc
import pytest
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call
from imagegen_server.rpc.image_service import DeliverySettings

from tests.support.calls import generate, watch
from tests.support.pictures import png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server

SILENCE = 120
PINGS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]


async def think(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Say nothing for two minutes, then draw."""
    await asyncio.sleep(SILENCE)
    yield Complete(0, png(8, 8))


@pytest.mark.timeout(SILENCE * 2)
async def test_two_silent_minutes_survive_pings_every_ten_seconds() -> None:
    """A unary call, and a stream without heartbeats, get their picture; a stock server would have hung up."""
    quiet = DeliverySettings(heartbeat=10 * SILENCE)
    async with (
        running_server(as_config("test", ScriptedProvider(script=think)), delivery=quiet) as server,
        grpc.aio.insecure_channel(server.address, options=PINGS) as channel,
    ):
        stub = type(server.images)(channel)
        result, seen = await asyncio.gather(stub.Generate(generate()), watch(stub.StreamGenerate(generate())))

    assert result.images[0].image.data == png(8, 8)
    assert seen.kinds == ["started", "complete", "result"]
