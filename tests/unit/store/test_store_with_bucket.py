"""A shared store whose images lie in a bucket: what happens to them when it is gone."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import StoreSettings
from imagegen_server.store.bucket import BucketBytes, BucketSettings
from imagegen_server.store.redis.connection import Connection
from imagegen_server.store.redis.settings import RedisSettings
from imagegen_server.store.redis.store import RedisStore
from structlog.testing import capture_logs

from tests.support.bucket_server import BucketServer, bucket_server
from tests.support.values import PNG
from tests.unit.store.contract import CALLER, MIB, put, reason_of, upload


@asynccontextmanager
async def store_of(redis: str, prefix: str, bucket: BucketSettings) -> AsyncGenerator[RedisStore, None]:
    """Open the store of one process."""
    connection = Connection(RedisSettings(redis, prefix=prefix))
    store = RedisStore(StoreSettings(max_bytes=64 * MIB), connection, Ids(shared=True), BucketBytes(bucket))
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def own() -> Iterator[BucketServer]:
    """A server of the test's own, which it may stop."""
    with bucket_server() as server:
        yield server


async def test_images_and_uploads_lie_in_the_bucket(
    redis: Callable[[], str], bucket: Callable[[], BucketServer]
) -> None:
    """One process puts them there, another reads them; Redis has none of their bytes."""
    settings = bucket().settings(prefix="of/imagegen")
    prefix = secrets.token_hex(8)
    async with store_of(redis(), prefix, settings) as here, store_of(redis(), prefix, settings) as there:
        image = await put(here, 10_000)
        sent = await upload(here, b"cat" * 1000)

        assert (await there.get(CALLER, image.image_id))[1] == (await here.get(CALLER, image.image_id))[1]
        assert (await there.get(CALLER, sent.image_id))[1] == b"cat" * 1000
        lying = {path.name for path in (bucket().folder / settings.bucket / "of" / "imagegen").iterdir()}
        assert lying == {image.image_id, sent.image_id}


async def test_a_paid_image_that_the_bucket_refuses_is_not_lost(redis: Callable[[], str], own: BucketServer) -> None:
    """The process keeps and serves it, and says so in the log, without a key."""
    settings = own.settings()
    async with store_of(redis(), secrets.token_hex(8), settings) as store:
        own.stop()
        with capture_logs() as logged:
            image = await put(store, 10_000)

        assert len((await store.get(CALLER, image.image_id))[1]) == 10_000
        assert store.undelivered == 1
        (line,) = logged
        assert (line["event"], line["image_id"]) == ("image kept in this process", image.image_id)
        assert "no answer" in line["problem"]


async def test_an_image_in_a_bucket_that_is_gone_is_not_called_lost(
    redis: Callable[[], str], own: BucketServer
) -> None:
    """Whoever asks for it hears that the store is away; when it is back, so is the image."""
    settings = own.settings()
    async with store_of(redis(), secrets.token_hex(8), settings) as store:
        image = await put(store, 10_000)
        own.stop()
        assert await reason_of(store.get(CALLER, image.image_id)) is Reason.STORE_UNAVAILABLE

        own.start()
        assert len((await store.get(CALLER, image.image_id))[1]) == 10_000


async def test_an_upload_that_the_bucket_refuses_can_be_finished_later(
    redis: Callable[[], str], own: BucketServer
) -> None:
    """Its pieces lie in Redis until then."""
    data = b"cat" * 1000
    sha256 = hashlib.sha256(data).hexdigest()
    settings = own.settings()
    async with store_of(redis(), secrets.token_hex(8), settings) as store:
        found = await store.add_piece(CALLER, sha256, len(data), 0, data)
        own.stop()
        with pytest.raises(ImageError) as caught:
            await store.finish_upload(CALLER, sha256, PNG)
        assert (found.data, caught.value.reason) == (data, Reason.STORE_UNAVAILABLE)

        own.start()
        image = await store.finish_upload(CALLER, sha256, PNG)
        assert (await store.get(CALLER, image.image_id))[1] == data


async def test_a_bucket_without_the_image_is_told_as_such(
    redis: Callable[[], str], bucket: Callable[[], BucketServer]
) -> None:
    """Its rule took it before its time: it is not found. A bucket that is not there at all is something else."""
    settings = bucket().settings()
    prefix = secrets.token_hex(8)
    async with store_of(redis(), prefix, settings) as store:
        image = await put(store, 10_000)
        (bucket().folder / settings.bucket / image.image_id).unlink()

        assert await reason_of(store.get(CALLER, image.image_id)) is Reason.IMAGE_NOT_FOUND
    async with store_of(redis(), prefix, replace(settings, bucket="nobodys")) as store:
        assert await reason_of(store.get(CALLER, image.image_id)) is Reason.STORE_UNAVAILABLE


async def test_nothing_new_is_bought_until_the_bucket_takes_images_again(
    redis: Callable[[], str], own: BucketServer
) -> None:
    """A process with an image that the bucket refused takes no new work; once it has moved there, it does."""
    settings = own.settings()
    async with store_of(redis(), secrets.token_hex(8), settings) as store:
        own.stop()
        image = await put(store, 10_000)
        with pytest.raises(ImageError, match="has not taken the last images yet") as caught:
            await store.reserve(10)
        assert caught.value.reason is Reason.STORE_UNAVAILABLE

        own.start()
        async with asyncio.timeout(30):
            while not (own.folder / settings.bucket / image.image_id).exists() or await reason_of(store.reserve(10)):
                await store.worker.beat()

    assert store.undelivered == 0


async def test_an_upload_that_the_bucket_has_deleted_is_brought_anew(
    redis: Callable[[], str], bucket: Callable[[], BucketServer]
) -> None:
    """Whoever uses it hears that it is gone, and is then no more told that it is there."""
    settings = bucket().settings()
    async with store_of(redis(), secrets.token_hex(8), settings) as store:
        data = b"cat" * 1000
        sha256 = hashlib.sha256(data).hexdigest()
        image = await upload(store, data)
        (bucket().folder / settings.bucket / image.image_id).unlink()
        assert await reason_of(store.get("somebody else", image.image_id)) is Reason.IMAGE_NOT_FOUND
        known = (await store.add_piece(CALLER, sha256, len(data), 0, data)).image
        assert known is not None
        assert known.image_id == image.image_id
        assert await reason_of(store.get(CALLER, image.image_id)) is Reason.IMAGE_NOT_FOUND

        anew = await upload(store, data)
        assert (await store.get(CALLER, anew.image_id))[1] == data
