"""What lies in Redis' memory for each thing that is kept, beside what the store counts for it; and an idle worker's.

Things are put into an empty Redis in numbers, and the memory that its allocator has given out is read before and after.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from imagegen.v1 import image_service_pb2_grpc
from imagegen_server.domain.image import ImageFacts
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import RequestRecord, Store, StoreSettings
from imagegen_server.store.redis.settings import RedisSettings
from imagegen_server.store.redis.store import open_store
from load import STREAM, request, run_load
from pictures import LARGE, SIDE, SMALL, Size, png
from processes import ANYWHERE, Program, family
from sharing import Shared, serving, shared_redis

REQUEST_ID, UPLOAD = "a request_id that is remembered", "an upload that is not finished, beside its data"
IMAGE_SMALL, IMAGE_LARGE = "an image of 10 KB, beside its bytes", "an image of 1.5 MB, beside its bytes"
LOG = "a generation's log"
STREAMS = 250
_AT_ONCE = 25
_PIECE = 1000
_FACTS = ImageFacts("image/png", SIDE, SIDE, alpha=False)
_SETTINGS = StoreSettings(max_bytes=1 << 30)
_ROOM = {
    "SERVER__MAX_BYTES_IN_FLIGHT": "64GiB",
    "STORE__MAX_BYTES": "64GiB",
    "PROVIDERS__OPENAI__CONCURRENCY": str(2 * STREAMS),
}
"""So that every stream gets to the provider."""

_GENERATIONS = 250
_WRITTEN_SECONDS = 0.5
"""After which the last log is written."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of Redis' memory for one thing, and what the store counts for it; without the bytes of its picture."""

    used: float
    counted: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Bytes of a worker's memory and its file descriptors, for each stream that waits for a provider."""

    memory: float
    files: float


Found = Mapping[str, list[Kept]]


def measure_round(upstream: Program, directory: Path) -> Iterator[tuple[str, Kept]]:
    """Measure each kind once, each in an empty Redis."""
    kinds: dict[str, tuple[Callable[[Store, int], Awaitable[object]], int, int]] = {
        REQUEST_ID: (_remember, 1000, 0),
        UPLOAD: (_upload, 1000, _PIECE),
        IMAGE_SMALL: (lambda store, _: _put(store, SMALL), 500, len(png(SMALL))),
        IMAGE_LARGE: (lambda store, _: _put(store, LARGE), 40, len(png(LARGE))),
    }
    found = {}
    for kind, (keep, times, size) in kinds.items():
        with shared_redis() as redis:
            found[kind] = asyncio.run(_kept(redis, keep, times, size))
        yield kind, found[kind]
    # It is not counted: what a generation leaves beside its image.
    yield LOG, Kept(_generated(upstream, directory) - found[IMAGE_SMALL].used, 0)


async def _kept(redis: Shared, keep: Callable[[Store, int], Awaitable[object]], times: int, size: int) -> Kept:
    store = open_store(_SETTINGS, RedisSettings(redis.url), Ids(shared=True))
    await store.start()
    used, counted = redis.used_memory(), redis.counted()
    for number in range(times):
        await keep(store, number)
    kept = Kept((redis.used_memory() - used) / times - size, (redis.counted() - counted) / times - size)
    await store.close()
    return kept


async def _remember(store: Store, number: int) -> None:
    name, digest = f"{number:036}", hashlib.sha256(b"%d" % number).hexdigest()
    await store.claim("caller", name, RequestRecord(Ids().new("gen"), frozenset({digest})))
    await store.settle("caller", name, None)


async def _upload(store: Store, number: int) -> None:
    await store.add_piece("caller", hashlib.sha256(b"%d" % number).hexdigest(), 2 * _PIECE, 0, os.urandom(_PIECE))


async def _put(store: Store, size: Size) -> None:
    data = png(size)
    await store.put("caller", data, _FACTS, hashlib.sha256(data).hexdigest(), await store.reserve(len(data)))


def _generated(upstream: Program, directory: Path) -> float:
    """Have a server generate, and see how many bytes are there for each generation beside those of its image."""
    with shared_redis() as redis, serving("memory", upstream, directory, redis.url) as server:
        run_load(server, SMALL, STREAM, requests=4, concurrency=4, cores=ANYWHERE)
        used = redis.used_memory()
        run_load(server, SMALL, STREAM, requests=_GENERATIONS, concurrency=4, cores=ANYWHERE)
        time.sleep(_WRITTEN_SECONDS)
        return (redis.used_memory() - used) / _GENERATIONS - len(png(SMALL))


def waiting(upstream: Program, directory: Path) -> Waiting:
    """Let streams wait at a worker whose provider does not answer."""
    with (
        shared_redis() as redis,
        serving("waiting", upstream, directory, redis.url, mode="silent", settings=_ROOM) as server,
    ):
        return asyncio.run(_waiting(server))


async def _waiting(server: Program) -> Waiting:
    async with AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(_stub(server.address)) for _ in range(8)]
        calls = [await _open(stubs[0])]  # loads what is loaded late
        memory, files = server.memory_bytes("VmRSS"), _files(server)
        for _ in range(STREAMS // _AT_ONCE):
            calls += await asyncio.gather(*(_open(stubs[number % len(stubs)]) for number in range(_AT_ONCE)))
        found = Waiting(
            (server.memory_bytes("VmRSS") - memory) / STREAMS, (_files(server) - files - len(stubs) + 1) / STREAMS
        )
        for call in calls:
            call.cancel()
    return found


@asynccontextmanager
async def _stub(address: str) -> Any:
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield image_service_pb2_grpc.ImageServiceStub(channel)


async def _open(stub: Any) -> Any:
    """Begin a stream, and wait until its generation runs."""
    call = stub.StreamGenerate(request(SMALL))
    await call.read()
    return call


def _files(server: Program) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in family(server.process.pid))
