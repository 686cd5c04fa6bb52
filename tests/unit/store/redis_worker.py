"""One of several processes that share a Redis, as far as the tests of its parts need it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from imagegen_server.generation.caller_limits import WINDOW_SECONDS
from imagegen_server.generation.ids import Ids
from imagegen_server.store.redis.connection import Connection
from imagegen_server.store.redis.limits import RedisCallerLimits
from imagegen_server.store.redis.settings import RedisSettings
from imagegen_server.store.redis.worker import Worker

from tests.unit.store.contract import MIB


@asynccontextmanager
async def started_worker(url: str, prefix: str) -> AsyncGenerator[Worker, None]:
    """Be such a process until the block ends."""
    connection = Connection(RedisSettings(url, prefix=prefix))
    worker = Worker(connection, Ids(shared=True).tag, MIB, 60.0)
    try:
        yield worker
    finally:
        await worker.close()
        await connection.close()


@asynccontextmanager
async def started_limits(
    url: str, prefix: str, window: float = WINDOW_SECONDS
) -> AsyncGenerator[RedisCallerLimits, None]:
    """Have the limits of such a process."""
    async with started_worker(url, prefix) as worker:
        yield RedisCallerLimits(worker, window)
