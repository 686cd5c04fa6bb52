"""What the tests of the store's contract are run against, and what they have in common.

A test named test_contract_*.py knows a store by nothing but generation/store.py. Another store is one more factory.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import StoredImage
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import Store, StoreSettings
from imagegen_server.store.memory import MemoryStore
from imagegen_server.store.redis.settings import RedisSettings
from imagegen_server.store.redis.store import open_store

from tests.support.values import PNG

MIB = 1024 * 1024
CALLER, OTHER = "me", "you"

StoreFactory = Callable[[StoreSettings, Callable[[], str]], AbstractAsyncContextManager[Store]]
"""Opens an empty store. The second argument starts a Redis, or finds it started, and tells where it is."""


@asynccontextmanager
async def memory_store(settings: StoreSettings, _redis: Callable[[], str]) -> AsyncGenerator[Store, None]:
    """Hold everything in memory."""
    store = MemoryStore(settings, Ids())
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def redis_store(settings: StoreSettings, redis: Callable[[], str]) -> AsyncGenerator[Store, None]:
    """Hold everything in a part of Redis that nobody else uses."""
    store = open_store(settings, RedisSettings(redis(), prefix=secrets.token_hex(8)), Ids(shared=True))
    try:
        yield store
    finally:
        await store.close()


FACTORIES: Mapping[str, StoreFactory] = {"memory": memory_store, "redis": redis_store}


class OpenStore(Protocol):
    """Opens an empty store with these StoreSettings, which is closed after the test."""

    async def __call__(self, **settings: Any) -> Store:
        """Open it."""


async def put(store: Store, size: int = 10, caller: str = CALLER, *, delivered: bool = False) -> StoredImage:
    """Keep an image of so many bytes, with room reserved for it."""
    data = bytes(size)
    image = await store.put(caller, data, PNG, hashlib.sha256(data).hexdigest(), await store.reserve(size))
    if delivered:
        store.delivered(image.image_id)
    return image


async def upload(store: Store, data: bytes, caller: str = CALLER) -> StoredImage:
    """Upload an image in one piece."""
    digest = hashlib.sha256(data).hexdigest()
    there = await store.add_piece(caller, digest, len(data), 0, data)
    assert there.data == data
    return await store.finish_upload(caller, digest, PNG)


async def reason_of(call: Awaitable[object]) -> Reason | None:
    """Tell what a call is refused for; None = it is not."""
    try:
        await call
    except ImageError as error:
        return error.reason
    return None


async def there(store: Store, image: StoredImage, caller: str = CALLER) -> bool:
    """Tell whether an image can be read."""
    reason = await reason_of(store.get(caller, image.image_id))
    assert reason in {None, Reason.IMAGE_NOT_FOUND}
    return reason is None


async def gone(look: Callable[[], Awaitable[bool]]) -> datetime:
    """Wait until something can no longer be seen, which nobody is told of, and tell when."""
    async with asyncio.timeout(20):
        while await look():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.005)
    return datetime.now(UTC)
