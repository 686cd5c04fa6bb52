"""What it costs to keep a picture of 1.5 MB in a bucket, beside keeping it in Redis.

`PYTHONPATH=. .venv/bin/python -m benchmarks.bytes_places`. Both servers run on the same machine, so times are those of
the work alone, without a network. CPU is that of the process that keeps or reads the picture, without the servers'.
"""

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable

from imagegen_server.store.bucket import BucketBytes
from imagegen_server.store.bytes import BytesStore
from imagegen_server.store.redis.connection import Connection, RedisBytes
from imagegen_server.store.redis.settings import RedisSettings

from tests.support.bucket_server import bucket_server
from tests.support.redis_server import redis_server

SIZE = 1_500_000
ROUNDS = 200
TTL = 60.0

Cost = tuple[float, float]
"""Time and CPU, in milliseconds; medians."""


async def cost_of(work: Callable[[str], Awaitable[object]]) -> Cost:
    """Do something with one name after the other."""
    costs = []
    for number in range(ROUNDS):
        began, used = time.perf_counter(), time.process_time()
        await work(f"img_a_{number}")
        costs.append((time.perf_counter() - began, time.process_time() - used))
    took, cpu = zip(*costs, strict=True)
    return statistics.median(took) * 1000, statistics.median(cpu) * 1000


async def measure(place: BytesStore) -> tuple[Cost, Cost]:
    """Put and get the same pictures."""
    data = secrets.token_bytes(SIZE)
    put = await cost_of(lambda name: place.put(name, data, TTL))
    return put, await cost_of(place.get)


async def main() -> None:
    """Measure both, and print a table."""
    with redis_server() as redis, bucket_server() as bucket:
        connection = Connection(RedisSettings(redis.url))
        in_redis = await measure(RedisBytes(connection))
        await connection.close()
        in_bucket = await measure(BucketBytes(bucket.settings()))
    print("| 1.5 MB | Redis, ms (CPU) | bucket, ms (CPU) | ratio of times |")
    print("| --- | --- | --- | --- |")
    for word, ours, theirs in zip(("put", "get"), in_redis, in_bucket, strict=True):
        told = (f"{took:.1f} ({cpu:.1f})" for took, cpu in (ours, theirs))
        print(f"| {word} | {' | '.join(told)} | {theirs[0] / ours[0]:.1f} |")


if __name__ == "__main__":
    asyncio.run(main())
