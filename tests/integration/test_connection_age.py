"""server.max_connection_age: clients connect anew, and nothing is cut for it."""

import asyncio
from collections.abc import AsyncGenerator

from imagegen.v1 import image_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc
from imagegen_server.config import ServerTable
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import generate, watch
from tests.support.faults_setup import own_channel
from tests.support.pictures import png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server
from tests.support.tcp_relay import TcpRelay


async def test_a_stream_outlives_the_age_of_its_connection() -> None:
    """Calls go over one connection after another without an error, while the stream runs on over the first."""
    release = asyncio.Event()

    async def draw(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        await release.wait()
        yield Complete(0, png(8, 8))

    table = ServerTable.model_validate({"max_connection_age": "100ms"})
    async with (
        running_server(as_config("test", ScriptedProvider(script=draw)), server=table) as server,
        TcpRelay(server.address) as relay,
        own_channel(relay.address) as channel,
    ):
        stream = image_service_pb2_grpc.ImageServiceStub(channel).StreamGenerate(generate())
        watching = asyncio.create_task(watch(stream))
        await stream.initial_metadata()
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        async with asyncio.timeout(30):
            while relay.accepted < 4:
                await models.ListModels(model_service_pb2.ListModelsRequest())
        assert relay.connections >= 2
        release.set()

        assert (await watching).kinds[-1] == "result"
