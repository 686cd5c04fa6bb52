"""What it costs to keep a picture of 1.5 MB in a bucket, beside keeping it in Redis, without a server around it.

Both run on the same machine, so times are those of the work alone, without a network.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from imagegen_server.store.bucket import BucketBytes
from imagegen_server.store.bytes import BytesStore
from imagegen_server.store.redis.connection import Connection, RedisBytes
from imagegen_server.store.redis.settings import RedisSettings
from pictures import LARGE, png
from processes import cpu_seconds

from tests.support.bucket_server import bucket_server
from tests.support.redis_server import redis_server

REDIS, BUCKET = "Redis", "bucket"
WORDS = ("put", "get")
_TTL = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds for one picture: by the clock, and processor time of who asks and of the server that keeps it."""

    took: float
    own: float
    servers: float


Found = Mapping[tuple[str, str], list[Cost]]


@dataclass(frozen=True, slots=True)
class _Place:
    pid: int
    open: Callable[[], tuple[BytesStore, Callable[[], Awaitable[None]]]]


class Places:
    """Both servers, running."""

    def __init__(self, places: Mapping[str, _Place]) -> None:
        """Know them by name."""
        self._places = places

    def measure_round(self, number: int, pictures: int) -> Iterator[tuple[str, str, Cost]]:
        """Put and get so many pictures in each place, another one first each time."""
        names = list(self._places)
        for name in names if number % 2 else reversed(names):
            for word, cost in asyncio.run(_measure(self._places[name], pictures)).items():
                yield name, word, cost


@contextmanager
def both() -> Iterator[Places]:
    """Run a Redis and a bucket until the block ends."""
    with redis_server(tcp=True) as redis, bucket_server() as bucket:
        settings = bucket.settings()

        def in_redis() -> tuple[BytesStore, Callable[[], Awaitable[None]]]:
            connection = Connection(RedisSettings(f"redis://127.0.0.1:{redis.port}/0"))
            return RedisBytes(connection), connection.close

        def in_bucket() -> tuple[BytesStore, Callable[[], Awaitable[None]]]:
            return BucketBytes(settings), _nothing

        assert redis.process is not None
        assert bucket.process is not None
        yield Places({REDIS: _Place(redis.process.pid, in_redis), BUCKET: _Place(bucket.process.pid, in_bucket)})


async def _nothing() -> None:
    pass


async def _measure(place: _Place, pictures: int) -> dict[str, Cost]:
    store, close = place.open()
    data, names = png(LARGE), [f"img_a_{os.urandom(8).hex()}" for _ in range(pictures)]
    await store.put(names[0], data, _TTL)  # connects
    costs = {"put": await _cost(place.pid, names, lambda name: store.put(name, data, _TTL))}
    costs["get"] = await _cost(place.pid, names, store.get)
    await close()
    return costs


async def _cost(pid: int, names: list[str], work: Callable[[str], Awaitable[object]]) -> Cost:
    times, own, server = [], time.process_time(), cpu_seconds(pid)
    for name in names:
        began = time.perf_counter()
        await work(name)
        times.append(time.perf_counter() - began)
    own, server = time.process_time() - own, cpu_seconds(pid) - server
    return Cost(median(times) * 1000, own * 1000 / len(names), server * 1000 / len(names))
