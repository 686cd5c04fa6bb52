"""Images in memory: whose they are, how long they live, and which of them go first."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.result import StoredImage
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import ImageStore, StoreSettings
from imagegen_server.store.memory import MemoryStore

from tests.support.values import PNG


def store_of(max_bytes: int = 100, ttl: float = 900.0) -> MemoryStore:
    """Make an empty store."""
    return MemoryStore(StoreSettings(ttl, max_bytes), Ids())


async def put(store: MemoryStore, size: int = 10, caller: str = "me", *, delivered: bool = False) -> StoredImage:
    """Keep an image of so many bytes, with room reserved for it."""
    image = await store.put(caller, bytes(size), PNG, "0" * 64, await store.reserve(size))
    if delivered:
        store.delivered(image.image_id)
    return image


async def reason_of(store: MemoryStore, image_id: str, caller: str = "me") -> Reason | None:
    """Tell why an image cannot be read; None = it can."""
    try:
        await store.get(caller, image_id)
    except ImageError as error:
        return error.reason
    return None


def test_it_is_an_image_store() -> None:
    """It fulfils the contract by which the engine knows it."""
    store: ImageStore = store_of()

    assert store.undelivered == 0


async def test_what_was_put_can_be_read_by_its_caller() -> None:
    """Facts and bytes come back as they were."""
    store = store_of()
    image = await store.put("me", b"12345", PNG, "f" * 64, await store.reserve(5))

    assert await store.get("me", image.image_id) == (image, b"12345")
    assert (image.facts, image.size_bytes, image.sha256) == (PNG, 5, "f" * 64)


async def test_an_image_belongs_to_its_caller() -> None:
    """For anybody else it does not exist, however well they know its id."""
    store = store_of()
    image = await put(store)

    assert await reason_of(store, image.image_id, "you") is Reason.IMAGE_NOT_FOUND
    assert await reason_of(store, image.image_id) is None


async def test_the_id_is_unguessable_and_new_for_each_image() -> None:
    """Two images of the same bytes have ids of their own, each with 128 random bits."""
    store = store_of()
    ids = {(await put(store, 0)).image_id for _ in range(100)}

    assert len(ids) == 100
    assert all(len(image_id.split("_")[2]) == 26 for image_id in ids)


async def test_an_id_of_another_process_is_wrong_instance() -> None:
    """Another replica's image is told apart from one that never was."""
    store = store_of()

    assert await reason_of(store, Ids().new("img")) is Reason.WRONG_INSTANCE
    assert await reason_of(store, store._ids.new("img")) is Reason.IMAGE_NOT_FOUND
    assert await reason_of(store, "nonsense") is Reason.IMAGE_NOT_FOUND


async def test_an_image_lives_its_time() -> None:
    """The expiry is `ttl` from now, and when it has come the image is gone and its room free."""
    store = store_of(ttl=0.01)
    before = datetime.now(UTC)
    image = await put(store)
    assert before <= image.expire_time - timedelta(seconds=0.01) <= datetime.now(UTC)
    assert await reason_of(store, image.image_id) is None

    gone = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, gone.set)
    await gone.wait()

    assert await reason_of(store, image.image_id) is Reason.IMAGE_NOT_FOUND
    assert (store.kept_bytes, store.undelivered) == (0, 0)


async def test_delivered_images_make_room_oldest_first() -> None:
    """When room is short what its caller has goes, as much as is needed and no more."""
    store = store_of(100)
    first, second, third = [await put(store, 30, delivered=True) for _ in range(3)]

    await put(store, 40)

    assert await reason_of(store, first.image_id) is Reason.IMAGE_NOT_FOUND
    assert await reason_of(store, second.image_id) is None
    assert await reason_of(store, third.image_id) is None
    assert store.kept_bytes == 100


async def test_undelivered_images_are_never_let_go() -> None:
    """An old image that nobody has received stays while newer ones that were go."""
    store = store_of(100)
    unread = await put(store, 40)
    read = await put(store, 40, delivered=True)

    await put(store, 60)

    assert await reason_of(store, unread.image_id) is None
    assert await reason_of(store, read.image_id) is Reason.IMAGE_NOT_FOUND


async def test_a_store_full_of_unread_images_refuses_new_work() -> None:
    """SERVER_BUSY with a wait, and nothing changed; reading one image makes room."""
    store = store_of(100)
    unread = await put(store, 60)

    with pytest.raises(ImageError) as caught:
        await store.reserve(41)

    assert (caught.value.reason, caught.value.billed) == (Reason.SERVER_BUSY, Billed.NO)
    assert caught.value.retry_after is not None
    assert store.reserved_bytes == 0
    store.delivered(unread.image_id)
    await store.reserve(41)
    assert await reason_of(store, unread.image_id) is Reason.IMAGE_NOT_FOUND


async def test_more_than_the_whole_store_is_taken_when_it_is_empty() -> None:
    """A wait would be for ever; beside an unread image it is refused."""
    store = store_of(100)
    reservation = await store.reserve(1000)
    assert store.reserved_bytes == 100
    reservation.release()
    await put(store, 1)

    with pytest.raises(ImageError):
        await store.reserve(1000)


async def test_a_paid_image_is_never_refused() -> None:
    """An image larger than its reservation, or without any, is kept; only new work is refused then."""
    store = store_of(100)
    reservation = await store.reserve(10)
    large = await store.put("me", bytes(300), PNG, "", reservation)

    assert await reason_of(store, large.image_id) is None
    assert store.reserved_bytes == 0
    with pytest.raises(ImageError):
        await store.reserve(1)


async def test_a_reservation_is_used_up_and_given_back() -> None:
    """Images draw on it, the rest is released once, and after that it holds nothing."""
    store = store_of(100)
    reservation = await store.reserve(50)
    await store.put("me", bytes(20), PNG, "", reservation)
    assert store.reserved_bytes == 30

    reservation.release()
    reservation.release()
    await store.put("me", bytes(5), PNG, "", reservation)

    assert (store.reserved_bytes, store.kept_bytes) == (0, 25)


async def test_reserved_room_is_taken_from_delivered_images() -> None:
    """A reservation lets delivered images go at once, so that what comes finds its room."""
    store = store_of(100)
    read = await put(store, 60, delivered=True)

    await store.reserve(50)

    assert await reason_of(store, read.image_id) is Reason.IMAGE_NOT_FOUND


async def test_delivering_counts_once() -> None:
    """Reading an image twice, or an unknown one, changes no count."""
    store = store_of()
    image = await put(store)
    await put(store)

    for _ in range(2):
        store.delivered(image.image_id)
    store.delivered("img_nobody")

    assert store.undelivered == 1


async def test_closing_lets_everything_go() -> None:
    """A closed store holds no bytes and no timers."""
    store = store_of()
    image = await put(store)
    timer = store._timer
    assert timer is not None

    store.close()

    assert timer.cancelled()
    assert (store.kept_bytes, store.undelivered) == (0, 0)
    assert await reason_of(store, image.image_id) is Reason.IMAGE_NOT_FOUND


async def test_what_is_over_the_limit_goes_when_it_was_delivered() -> None:
    """A store that had to keep more than it may lets go as soon as it can."""
    store = store_of(100)
    large = await store.put("me", bytes(150), PNG, "", await store.reserve(10))

    store.delivered(large.image_id)

    assert await reason_of(store, large.image_id) is Reason.IMAGE_NOT_FOUND
    assert store.kept_bytes == 0


async def test_one_timer_serves_all_images() -> None:
    """Each image goes at its own time, the later ones after the first has gone."""
    store = store_of(ttl=0.05)
    first = await put(store)
    timer = store._timer
    second = await put(store)
    assert store._timer is timer

    while store.kept_bytes:  # noqa: ASYNC110 - a timer that nobody is told of
        await asyncio.sleep(0.005)

    assert await reason_of(store, first.image_id) is Reason.IMAGE_NOT_FOUND
    assert await reason_of(store, second.image_id) is Reason.IMAGE_NOT_FOUND
    assert store._timer is None


async def test_those_delivered_first_go_first() -> None:
    """Not the oldest, but the one that reached its caller first, makes room."""
    store = store_of(250)
    older, newer = [await store.put("me", bytes(100), PNG, "", await store.reserve(100)) for _ in range(2)]
    store.delivered(newer.image_id)
    store.delivered(older.image_id)

    await store.reserve(100)

    assert await reason_of(store, newer.image_id) is Reason.IMAGE_NOT_FOUND
    assert (await store.get("me", older.image_id))[1] == bytes(100)


async def test_those_that_expired_are_in_nobodys_way() -> None:
    """What was delivered and has expired is no longer in the order of those that make room."""
    store = store_of(100, ttl=0.01)
    await put(store, 60, delivered=True)
    while store.kept_bytes:  # noqa: ASYNC110 - a timer that nobody is told of
        await asyncio.sleep(0.005)
    unread = await put(store, 60)

    with pytest.raises(ImageError):
        await store.reserve(60)

    assert await reason_of(store, unread.image_id) is None
    assert (store.kept_bytes, store.reserved_bytes) == (60, 0)


async def test_room_made_for_all_leaves_the_timer_to_those_that_come() -> None:
    """The timer of an image that has gone early runs on for the next ones, each of which lives its whole time."""
    store = store_of(100, ttl=0.1)
    await put(store, 60, delivered=True)
    await asyncio.sleep(0.05)
    newer = await put(store, 60)
    assert store.kept_bytes == 60
    expiry = store._kept[newer.image_id].expiry

    while store.kept_bytes:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.005)

    assert asyncio.get_running_loop().time() >= expiry
    assert store._timer is None
