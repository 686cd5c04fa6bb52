"""What only the memory store promises: exact counts, ids of this process, timers that end. The rest is the contract."""

import asyncio
import hashlib
import tracemalloc

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import GenerationFailure
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import RequestRecord, Store, StoreSettings
from imagegen_server.store.memory import MemoryStore
from imagegen_server.store.partial_uploads import UPLOAD_BYTES

from tests.support.values import PNG
from tests.unit.store.contract import CALLER, MIB, gone, put, reason_of, there, upload

RECORD = RequestRecord("gen_a_b", frozenset({"f" * 64}))


def store_of(max_bytes: int = 100, ttl: float = 900.0, ids: Ids | None = None) -> MemoryStore:
    """Make an empty store."""
    return MemoryStore(StoreSettings(ttl, max_bytes), ids or Ids())


def test_it_is_a_store() -> None:
    """It fulfils the contract by which the server knows it."""
    store: Store = store_of()

    assert store.undelivered == 0


async def test_the_id_is_unguessable() -> None:
    """Every id has 128 random bits, as 32 hex digits."""
    assert len((await put(store_of())).image_id.split("_")[2]) == 32


async def test_an_id_of_another_process_is_wrong_instance() -> None:
    """Another replica's image is told apart from one that never was."""
    ids = Ids()
    store = store_of(ids=ids)

    assert await reason_of(store.get(CALLER, Ids().new("img"))) is Reason.WRONG_INSTANCE
    assert await reason_of(store.get(CALLER, ids.new("img"))) is Reason.IMAGE_NOT_FOUND


async def test_unread_images_are_counted() -> None:
    """Each once: reading alone changes nothing, delivering does so once, an unknown id never, and time ends it."""
    store = store_of(1000, ttl=0.05)
    image = await put(store)
    left = await put(store)
    await store.get(CALLER, image.image_id)
    assert store.undelivered == 2

    for _ in range(2):
        store.delivered(image.image_id)
    store.delivered("img_nobody")

    assert store.undelivered == 1
    await gone(lambda: there(store, left))
    assert store.undelivered == 0


async def test_delivered_images_go_as_needed_and_no_more() -> None:
    """The store is filled to the last byte."""
    store = store_of(100)
    first, second, third = [await put(store, 30, delivered=True) for _ in range(3)]

    await put(store, 40)

    assert [await there(store, image) for image in (first, second, third)] == [False, True, True]
    assert store.kept_bytes == 100


async def test_a_refused_reservation_changes_nothing() -> None:
    """Not a byte is reserved, and what was kept is."""
    store = store_of(100)
    await put(store, 60)

    assert await reason_of(store.reserve(41)) is Reason.SERVER_BUSY

    assert (store.kept_bytes, store.reserved_bytes) == (60, 0)


async def test_more_than_the_whole_store_reserves_the_whole_store() -> None:
    """What can never fit is counted as all there is."""
    store = store_of(100)

    await store.reserve(1000)

    assert store.reserved_bytes == 100


async def test_a_reservation_is_used_up_and_given_back() -> None:
    """Images draw on it, the rest is released once, and after that it holds nothing."""
    store = store_of(100)
    reservation = await store.reserve(50)
    await store.put(CALLER, bytes(20), PNG, "", reservation)
    assert store.reserved_bytes == 30

    reservation.release()
    reservation.release()
    await store.put(CALLER, bytes(5), PNG, "", reservation)

    assert (store.reserved_bytes, store.kept_bytes) == (0, 25)


async def test_what_is_over_the_limit_goes_when_it_was_delivered() -> None:
    """A store that had to keep more than it may lets go as soon as it can."""
    store = store_of(100)
    large = await store.put(CALLER, bytes(150), PNG, "", await store.reserve(10))

    store.delivered(large.image_id)

    assert not await there(store, large)
    assert store.kept_bytes == 0


async def test_those_that_expired_are_in_nobodys_way() -> None:
    """What was delivered and has expired is no longer in the order of those that make room."""
    store = store_of(100, ttl=0.3)
    read = await put(store, 60, delivered=True)
    await gone(lambda: there(store, read))
    unread = await put(store, 60)

    with pytest.raises(ImageError):
        await store.reserve(60)

    assert await there(store, unread)
    assert (store.kept_bytes, store.reserved_bytes) == (60, 0)


async def test_everything_that_is_kept_is_counted() -> None:
    """Metadata, uploads of which one byte has come, and request ids; when all is gone nothing is."""
    store = store_of(10 * MIB)
    metadata: dict[str, JsonObject] = {"test": {"texts": ["x" * 100] * 10, "n": 1}}
    image = await store.put(CALLER, bytes(10), PNG, "", await store.reserve(10), metadata=metadata)
    assert 1000 < store.kept_bytes < 4000
    store.delivered(image.image_id)
    before = store.kept_bytes
    await store.add_piece(CALLER, "a" * 64, MIB, 0, b"1")
    assert store.kept_bytes == before + 1 + UPLOAD_BYTES
    assert await store.claim(CALLER, "mine", RECORD) is None
    assert store.kept_bytes == before + 1 + UPLOAD_BYTES
    assert store.request_bytes > 500

    await store.close()

    assert (store.kept_bytes, store.request_bytes) == (0, 0)


async def test_an_upload_counts_the_same_when_it_is_finished() -> None:
    """What has come, from the first piece on; dropped or closed, it counts nothing."""
    store = store_of(MIB)
    await store.add_piece(CALLER, "a" * 64, 3, 0, b"1")
    assert store.kept_bytes == 1 + UPLOAD_BYTES
    await store.drop_upload(CALLER, "a" * 64)
    assert store.kept_bytes == 0

    await upload(store, b"123")

    assert store.kept_bytes == 3 + UPLOAD_BYTES
    await store.close()
    assert store.kept_bytes == 0


async def test_declared_bytes_take_no_memory() -> None:
    """64 MiB announced five times, with a byte of each: neither room nor memory is taken for what did not come."""
    store = store_of(400 * MIB)
    tracemalloc.start()
    try:
        for name in "abcde":
            await store.add_piece(CALLER, name * 64, 64 * MIB, 0, b"1")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < MIB
    assert store.kept_bytes == 5 * (1 + UPLOAD_BYTES)


async def test_a_whole_upload_is_held_once() -> None:
    """Asked for again and again while it is looked at, it is the same bytes, and so it is when it is finished."""
    store = store_of(MIB)
    digest = hashlib.sha256(b"12").hexdigest()
    await store.add_piece(CALLER, digest, 2, 0, b"1")
    whole = (await store.add_piece(CALLER, digest, 2, 1, b"2")).data

    assert (await store.add_piece(CALLER, digest, 2, 0, b"")).data is whole
    image = await store.finish_upload(CALLER, digest, PNG)
    assert (await store.get(CALLER, image.image_id))[1] is whole


async def test_the_counts_of_request_ids_are_real() -> None:
    """What is counted for them is at least what they take."""
    store = store_of(100 * MIB)
    number = 2000
    tracemalloc.start()
    try:
        for at in range(number):
            fingerprint = hashlib.sha256(str(at).encode()).hexdigest()
            record = RequestRecord("gen_" + fingerprint[:35], frozenset({fingerprint}))
            await store.claim("caller" + str(at), "request" + str(at), record)
            await store.settle("caller" + str(at), "request" + str(at), None)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held <= store.request_bytes < 2 * held


async def test_a_failure_that_is_remembered_takes_room() -> None:
    """Its words are counted when it is settled, and given back when it is freed."""
    store = store_of(MIB)
    await store.claim(CALLER, "mine", RECORD)
    before = store.request_bytes
    error = ImageError(Reason.PROVIDER_ERROR, "x" * 5000)

    await store.settle(CALLER, "mine", Broken(GenerationFailure("gen_a_b", "mine", (), (), None), error))

    assert store.request_bytes > before + 5000
    await store.free(CALLER, "mine")
    assert store.request_bytes == 0


async def test_closing_ends_every_timer() -> None:
    """A closed store holds no bytes, and nothing of it stays with the event loop."""
    store = store_of(MIB)
    image = await put(store)
    await store.add_piece(CALLER, "a" * 64, 3, 0, b"1")
    await store.claim(CALLER, "mine", RECORD)
    await store.settle(CALLER, "mine", None)
    timers = [queue._timer for queue in (store._expiry, store._partials._expiry, store._requests._expiry)]

    await store.close()

    assert all(timer is not None and timer.cancelled() for timer in timers)
    assert not await there(store, image)


async def test_request_ids_that_cannot_be_forgotten_yet_are_asked_for_nothing() -> None:
    """A claim that runs has no timer at all: its time begins when it is settled."""
    store = store_of(MIB)

    await store.claim(CALLER, "mine", RECORD)

    assert store._requests._expiry._timer is None
    await asyncio.sleep(0)
    assert await store.find(CALLER, "mine") == RECORD


async def test_an_upload_in_one_piece_is_not_copied() -> None:
    """What came is what is kept; 64 MiB are held once."""
    store = store_of(MIB)
    data = b"12345"

    image = await upload(store, data)

    assert (await store.get(CALLER, image.image_id))[1] is data
