"""Several workers of one server, as processes."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imagegen.v1 import image_service_pb2
from imagegen_server.generation.ids import maker_of

from .calls import Seen, generate, watch
from .faults_setup import KEY, OPENAI_MODEL, connected, remote_environment
from .openai_api import fake_openai
from .pictures import noisy_png
from .process import server_process
from .redis_server import redis_server
from .vendor import Answer

NOBODY = "redis://127.0.0.1:1/0"
"""A store for servers that do not come so far as to ask it."""


@dataclass(frozen=True)
class Workers:
    """A server of several workers that serve."""

    process: asyncio.subprocess.Process
    address: str
    log: Path

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log, but for what gRPC itself says, and for a line that is just being written."""
        whole = self.log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of an event."""
        return [line for line in self.lines if line["event"] == event]

    @property
    def pids(self) -> dict[int, int]:
        """The process of each worker, by its number: the last that was started."""
        return {line["worker"]: line["pid"] for line in self.logged("worker started")}

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what shows in the log."""
        async with asyncio.timeout(45):
            while not holds():  # noqa: ASYNC110 - a file, no events
                await asyncio.sleep(0.02)


@asynccontextmanager
async def workers(directory: Path, *arguments: str, **environment: str) -> AsyncIterator[Workers]:
    """Start `imagegen-server serve --workers 2` with a Redis, and have no process of it left at the end."""
    many = ("--workers", "2", *arguments)
    with redis_server() as redis:
        async with _with_store(redis.url, directory, many, environment) as server:
            yield server


@asynccontextmanager
async def _with_store(
    url: str, directory: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[Workers]:
    async with server_process(directory, *arguments, IMAGEGEN__STORE__URL=url, **environment) as server:
        started = Workers(server.process, server.address, server.log)
        ends = []
        try:
            yield started
        finally:
            ends = [gone(pid) for pid in started.pids.values()]
            if server.process.returncode is None:
                server.process.kill()
            await asyncio.wait_for(asyncio.gather(*ends), 45)


def gone(pid: int) -> "asyncio.Future[None]":
    """Wait for the end of a process that is no child of ours. Linux only."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        ended.set_result(None)
        return ended

    def end() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        ended.set_result(None)

    loop.add_reader(descriptor, end)
    return ended


@asynccontextmanager
async def one_stream_each(
    address: str, wish: image_service_pb2.GenerateRequest, count: int = 2
) -> "AsyncIterator[list[asyncio.Task[Seen]]]":
    """Connect anew, and wish, until so many workers have a stream that runs; gives the reading of one of each.

    The kernel deals connections by chance. A task is named by the id of its generation.
    """
    reading: dict[str, asyncio.Task[Seen]] = {}
    async with AsyncExitStack() as connections:
        async with asyncio.timeout(45):
            while len(reading) < count:
                images = await connections.enter_async_context(connected(address))
                stream = images.StreamGenerate(wish)
                generation_id = str(dict(await stream.initial_metadata())["imagegen-generation-id"])
                if (maker := maker_of(generation_id)) in reading:
                    stream.cancel()
                else:
                    reading[maker] = asyncio.create_task(watch(stream), name=generation_id)
        yield list(reading.values())


@dataclass(frozen=True)
class Waiting:
    """Two workers with a stream each, which their vendor lets wait."""

    server: Workers
    reading: "list[asyncio.Task[Seen]]"
    release: asyncio.Event
    """Lets the vendor answer."""


@asynccontextmanager
async def waiting_streams(directory: Path) -> AsyncIterator[Waiting]:
    """Start two workers, and a stream in each of them."""
    release = asyncio.Event()
    body = json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(noisy_png(64, 64)).decode()}]}).encode()
    answer = Answer(200, {"content-type": "application/json"}, [b"", release, body])
    wish = generate(OPENAI_MODEL, options={"size": {"width": 1024, "height": 1024}, "preview_count": 0})
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(fake_openai(KEY))
        vendor.retouch = lambda _call, _answer: replace(answer)
        server = await stack.enter_async_context(workers(directory, **remote_environment(vendor.base_url)))
        reading = await stack.enter_async_context(one_stream_each(server.address, wish))
        yield Waiting(server, reading, release)
