"""Any place for images' bytes: what was put can be read, and nothing else can."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from imagegen_server.store.bucket import BucketBytes
from imagegen_server.store.bytes import BytesStore
from imagegen_server.store.redis.connection import Connection, RedisBytes
from imagegen_server.store.redis.settings import RedisSettings

from tests.support.bucket_server import BucketServer

MIB = 1024 * 1024
TTL = 60.0

Places = tuple[Callable[[], str], Callable[[], BucketServer]]
"""Start a Redis, and an S3-speaking server, or find them started."""


@asynccontextmanager
async def redis_bytes(places: Places) -> AsyncGenerator[BytesStore, None]:
    """In Redis, beside everything else."""
    connection = Connection(RedisSettings(places[0](), prefix=secrets.token_hex(8)))
    try:
        yield RedisBytes(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def bucket_bytes(places: Places) -> AsyncGenerator[BytesStore, None]:
    """In a bucket of its own."""
    yield BucketBytes(places[1]().settings(prefix="of/imagegen"))


FACTORIES: Mapping[str, Callable[[Places], AbstractAsyncContextManager[BytesStore]]] = {
    "redis": redis_bytes,
    "bucket": bucket_bytes,
}


@pytest.fixture(params=FACTORIES)
async def place(
    request: pytest.FixtureRequest, redis: Callable[[], str], bucket: Callable[[], BucketServer]
) -> AsyncGenerator[BytesStore, None]:
    """Open every place there is, one after the other."""
    async with FACTORIES[request.param]((redis, bucket)) as opened:
        yield opened


@pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 6000], ids=["none", "one", "1.5 MB"])
async def test_what_was_put_is_read(place: BytesStore, data: bytes) -> None:
    """Byte for byte, as often as wanted, as bytes."""
    await place.put("img_a_b", data, TTL)

    for _ in range(2):
        got = await place.get("img_a_b")
        assert type(got) is bytes
        assert got == data


async def test_the_largest_image_fits(place: BytesStore) -> None:
    """64 MiB, in one piece."""
    data = secrets.token_bytes(MIB) * 64
    await place.put("img_a_b", data, TTL)

    assert hashlib.sha256(await place.get("img_a_b") or b"").digest() == hashlib.sha256(data).digest()


async def test_what_was_not_put_is_not_there(place: BytesStore) -> None:
    """No error: the answer is known. A name that begins or ends like another is another."""
    await place.put("img_a_b", b"1", TTL)

    for name in ("img_a_", "img_a_bc", "mg_a_b", "IMG_A_B", "b"):
        assert await place.get(name) is None


async def test_put_again_it_is_the_same(place: BytesStore) -> None:
    """One that broke off is put again under its name; what is there already does no harm."""
    await place.put("img_a_b", b"123", TTL)
    await place.put("img_a_b", b"123", TTL)

    assert await place.get("img_a_b") == b"123"


async def test_many_at_once_do_not_mix(place: BytesStore) -> None:
    """More than there are connections."""
    names = [f"img_a_{number}" for number in range(100)]
    await asyncio.gather(*(place.put(name, name.encode() * 1000, TTL) for name in names))

    assert await asyncio.gather(*map(place.get, names)) == [name.encode() * 1000 for name in names]
