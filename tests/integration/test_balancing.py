"""Several servers behind one address: by the client's own choice, and behind nginx."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from imagegen.v1 import image_service_pb2_grpc
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import generate, watch
from tests.support.docs_page import Page
from tests.support.faults_setup import connected
from tests.support.nginx import nginx_of
from tests.support.pictures import png
from tests.support.provider import ScriptedProvider
from tests.support.server import Running, as_config, running_server
from tests.support.tools import ROOT

SHOWN = ("10.0.0.1:50051", "10.0.0.2:50051")
"""The servers of deploy/nginx.conf."""


@asynccontextmanager
async def two_servers() -> AsyncIterator[tuple[list[Running], list[ScriptedProvider]]]:
    """Serve twice, and know what each was asked."""
    providers = [ScriptedProvider(), ScriptedProvider()]
    async with (
        running_server(as_config("test", providers[0])) as one,
        running_server(as_config("test", providers[1])) as other,
    ):
        yield [one, other], providers


async def test_the_python_of_the_page_spreads_its_calls() -> None:
    """As docs/scaling.md writes it, with two addresses for the name: each server gets every other call."""
    (shown,) = re.findall(r"```python\n(.*?)```", Page("scaling.md").text, re.DOTALL)
    async with two_servers() as (servers, providers):
        target = f"ipv4:{servers[0].address},{servers[1].address}"
        made: dict[str, Any] = {}
        exec(shown.replace("dns:///images.internal:50051", target), made)
        channel: grpc.aio.Channel = made["channel"]
        async with channel:
            images = image_service_pb2_grpc.ImageServiceStub(channel)
            async with asyncio.timeout(30):
                while not all(provider.tasks for provider in providers):  # the second connection takes a moment
                    await watch(images.StreamGenerate(generate()))
            before = [len(provider.tasks) for provider in providers]
            for _ in range(10):
                await watch(images.StreamGenerate(generate()))

        assert [len(provider.tasks) - asked for provider, asked in zip(providers, before, strict=True)] == [5, 5]


async def test_nginx_as_we_deploy_it_gives_calls_to_who_has_fewer() -> None:
    """Of streams that run at the same time each server has half; they pass as they are."""
    async with two_servers() as (servers, providers):
        places = dict(zip(SHOWN, (server.address for server in servers), strict=True))
        async with nginx_of(ROOT / "deploy" / "nginx.conf", "50050", places) as address, connected(address) as images:
            release = asyncio.Event()

            async def draw(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
                await release.wait()
                yield Complete(0, png(8, 8))

            for provider in providers:
                provider.script = draw
            streams = [images.StreamGenerate(generate()) for _ in range(8)]
            reading = [asyncio.create_task(watch(stream)) for stream in streams]
            await asyncio.gather(*(stream.initial_metadata() for stream in streams))
            async with asyncio.timeout(30):
                while sum(len(provider.tasks) for provider in providers) < 8:  # noqa: ASYNC110 - lists, no events
                    await asyncio.sleep(0)
            release.set()
            seen = await asyncio.gather(*reading)

    assert [one.kinds[-1] for one in seen] == ["result"] * 8
    assert [len(provider.tasks) for provider in providers] == [4, 4]


async def test_nginx_as_we_deploy_it_goes_round_a_server_that_is_gone() -> None:
    """Calls come through all the same, each of them bought once."""
    async with two_servers() as (servers, providers):
        await servers[0].app.stop(drain=0)
        places = dict(zip(SHOWN, (server.address for server in servers), strict=True))
        async with nginx_of(ROOT / "deploy" / "nginx.conf", "50050", places) as address, connected(address) as images:
            for _ in range(6):
                await watch(images.StreamGenerate(generate()))

    assert [len(provider.tasks) for provider in providers] == [0, 6]
