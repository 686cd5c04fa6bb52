"""What a reader at another server process costs, beside one at the process that generates.

Two servers share a Redis, and a third one keeps its images in memory. A first reader asks for an image. A second one
joins it by Resume while the image is made, or asks for the finished image by ReadImage.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import grpc
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc, image_stream_pb2
from load import request
from pictures import LARGE, png
from processes import Program
from sharing import Account, serving, shared_redis

if TYPE_CHECKING:  # at run time there is one class for both kinds of channel
    from imagegen.v1.image_service_pb2_grpc import ImageServiceAsyncStub as _Stub

PREVIEWS = 2
ALONE, HERE, THERE = "nobody else", "the process that makes it", "another process"
IN_MEMORY, MAKER, OTHER = "memory, the only process", "Redis, the process that made it", "Redis, another process"
RESUME, RESUME_PREVIEWS, READ = "Resume", f"Resume, {PREVIEWS} previews", "ReadImage"
WAYS: Mapping[str, Sequence[str]] = {
    RESUME: (ALONE, HERE, THERE),
    RESUME_PREVIEWS: (ALONE, HERE, THERE),
    READ: (IN_MEMORY, MAKER, OTHER),
}
_TIMEOUT = 30.0
_TAIL_SECONDS = 0.1
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))


@dataclass(frozen=True, slots=True)
class Sample:
    """One way to read in one round, for each image.

    `milliseconds`: so much later than the first reader the second one had everything; of ReadImage, from the request to
    the end. `server_ms`: processor time of the servers together. `redis` in milliseconds and bytes.
    """

    milliseconds: float
    server_ms: float
    redis: Account


Found = Mapping[tuple[str, str], list[Sample]]


class Readers:
    """Servers that run as long as the stack holds them."""

    def __init__(self, stack: ExitStack, upstream: Program, directory: Path) -> None:
        """Start them. The upstream sends an image 100 ms after the request; with previews, each after 100 ms more."""
        self._redis = stack.enter_context(shared_redis())

        def pair(mode: str) -> tuple[Program, ...]:
            places = ((f"maker-{mode}", self._redis.url), (f"other-{mode}", self._redis.url))
            return tuple(
                stack.enter_context(serving(name, upstream, directory, store, mode=mode)) for name, store in places
            )

        self._plain, self._previewed = pair("late"), pair("paced")
        self._in_memory = (stack.enter_context(serving("memory", upstream, directory, mode="late")),)

    def measure_round(self, number: int, images: int) -> Iterator[tuple[str, str, Sample]]:
        """Measure every way to read once, another one first each time."""
        for kind, ways in WAYS.items():
            first = number % len(ways)
            for way in (*ways[first:], *ways[:first]):
                yield kind, way, asyncio.run(self._measure(kind, way, images))

    async def _measure(self, kind: str, way: str, images: int) -> Sample:
        programs = self._in_memory if way == IN_MEMORY else self._previewed if kind == RESUME_PREVIEWS else self._plain
        async with _stubs(programs) as stubs:
            maker, reader = stubs[0], stubs[-1] if way in {THERE, OTHER} else stubs[0]
            # One more before, which opens connections.
            made = [(await _draw(maker, f"warm-up-{os.urandom(8).hex()}", 0))[1]]
            if kind == READ:
                made = [(await _draw(maker, os.urandom(8).hex(), 0))[1] for _ in range(images)]
            await _read(reader, made[0])
            await asyncio.sleep(_TAIL_SECONDS)
            account, servers, times = self._redis.account(), _cpu(programs), []
            for number in range(images):
                if kind == READ:
                    times.append(await _read(reader, made[number]))
                else:
                    previews = PREVIEWS if kind == RESUME_PREVIEWS else 0
                    times.append(await _join(maker, None if way == ALONE else reader, previews))
            await asyncio.sleep(_TAIL_SECONDS)
            did, servers = self._redis.account().since(account), _cpu(programs) - servers
        redis = Account(did.cpu * 1000 / images, did.came // images, did.went // images)
        redis = Account() if way == IN_MEMORY else redis
        return Sample(median(times) * 1000, servers * 1000 / images, redis)


def _cpu(programs: Sequence[Program]) -> float:
    return sum(program.cpu_seconds for program in programs)


@asynccontextmanager
async def _stubs(programs: Sequence[Program]) -> AsyncIterator[list["_Stub"]]:
    async with asyncio.timeout(_TIMEOUT * 2):
        channels = [grpc.aio.insecure_channel(program.address, options=_OPTIONS) for program in programs]
        yield [image_service_pb2_grpc.ImageServiceStub(channel) for channel in channels]
        for channel in channels:
            await channel.close()


async def _join(maker: "_Stub", reader: "_Stub | None", previews: int) -> float:
    """Generate an image and read it once more meanwhile; returns by how many seconds that reader was later."""
    name, started = os.urandom(8).hex(), asyncio.Event()
    first = asyncio.create_task(_draw(maker, name, previews, started))
    await started.wait()
    ended = None
    if reader is not None:
        resume = image_service_pb2.ResumeRequest(request_id=name)
        ended, _ = await _receive(reader.Resume(resume, timeout=_TIMEOUT))
    first_ended, _ = await first
    return ended - first_ended if ended is not None else 0.0


async def _draw(maker: "_Stub", name: str, previews: int, started: asyncio.Event | None = None) -> tuple[float, str]:
    asked = request(LARGE, previews)
    asked.request_id = name
    return await _receive(maker.StreamGenerate(asked, timeout=_TIMEOUT), started)


async def _receive(
    events: AsyncIterable[image_stream_pb2.ImageStreamEvent], started: asyncio.Event | None = None
) -> tuple[float, str]:
    """Read a stream to its end; returns when that was, and the id of the image."""
    image_id, data = "", b""
    async for event in events:
        if started is not None:
            started.set()
        if event.HasField("chunk") and not event.chunk.preview_number:
            data += event.chunk.data
        elif event.HasField("complete"):
            image_id = event.complete.image.image_id
    assert data == png(LARGE), f"{len(data)} bytes came that are not the picture"
    return time.perf_counter(), image_id


async def _read(reader: "_Stub", image_id: str) -> float:
    """Read a finished image; returns the seconds that it took."""
    began = time.perf_counter()
    call = reader.ReadImage(image_service_pb2.ReadImageRequest(image_id=image_id), timeout=_TIMEOUT)
    data = b"".join([piece.data async for piece in call])
    took = time.perf_counter() - began
    assert data == png(LARGE), f"{len(data)} bytes came that are not the picture"
    return took
