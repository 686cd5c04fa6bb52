"""Any store: whose images are, how long they live, and which of them go first."""

from datetime import UTC, datetime, timedelta

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.json import JsonObject
from imagegen_server.generation.store import Reservation

from tests.support.values import PNG
from tests.unit.store.contract import CALLER, MIB, OTHER, OpenStore, gone, put, reason_of, there, upload

TTL = 0.05


class _ForeignReservation:
    def release(self) -> None:
        """Hold nothing."""


async def test_what_was_put_can_be_read(open_store: OpenStore) -> None:
    """Facts, metadata and bytes come back as they were."""
    store = await open_store()
    facts = ImageFacts("image/svg+xml", None, None, alpha=True)
    metadata: dict[str, JsonObject] = {
        "google": {"thought": "x" * 3000, "parts": [1, 2.5, None, {"deep": [True]}]},
        "empty": {},
    }
    image = await store.put(CALLER, b"12345", facts, "f" * 64, await store.reserve(5), metadata=metadata)

    assert await store.get(CALLER, image.image_id) == (image, b"12345")
    assert (image.facts, image.size_bytes, image.sha256, image.metadata) == (facts, 5, "f" * 64, metadata)


async def test_an_image_without_metadata_has_none(open_store: OpenStore) -> None:
    """The mapping is empty, not absent."""
    store = await open_store()

    assert (await put(store)).metadata == {}


async def test_an_image_belongs_to_its_caller(open_store: OpenStore) -> None:
    """For anybody else it does not exist, however well they know its id."""
    store = await open_store()
    image = await put(store)

    assert not await there(store, image, OTHER)
    assert await there(store, image)


async def test_ids_are_new_for_each_image(open_store: OpenStore) -> None:
    """Two images of the same bytes and the same caller are two."""
    store = await open_store()

    assert len({(await put(store, 0)).image_id for _ in range(20)}) == 20


@pytest.mark.parametrize("image_id", ["", "nonsense", "img_nobody", "img_" + "x" * 5000])
async def test_what_is_no_id_is_not_found(open_store: OpenStore, image_id: str) -> None:
    """Whatever the caller writes, there is no such image."""
    store = await open_store()

    assert await reason_of(store.get(CALLER, image_id)) is Reason.IMAGE_NOT_FOUND


async def test_an_image_lives_its_time_and_no_longer(open_store: OpenStore) -> None:
    """It is there until its expire_time, which is `ttl` from now, and then nobody has to ask for it to go."""
    store = await open_store(ttl=TTL)
    before = datetime.now(UTC)
    image = await put(store)
    after = datetime.now(UTC)

    went = await gone(lambda: there(store, image))

    assert before <= image.expire_time - timedelta(seconds=TTL) <= after
    assert went >= image.expire_time - timedelta(milliseconds=2)


async def test_expired_images_give_their_room_back(open_store: OpenStore) -> None:
    """A store full of unread images takes new work when their time has come."""
    store = await open_store(ttl=TTL, max_bytes=MIB)
    image = await put(store, MIB)

    await gone(lambda: there(store, image))

    await store.reserve(MIB)


async def test_delivered_images_make_room_those_delivered_first_first(open_store: OpenStore) -> None:
    """Not the oldest but the one that reached its caller first goes, and no more than must."""
    store = await open_store(max_bytes=10 * MIB)
    images = [await put(store, 3 * MIB) for _ in range(3)]
    for position in (1, 0, 2):
        store.delivered(images[position].image_id)

    await put(store, 3 * MIB)

    assert [await there(store, image) for image in images] == [True, False, True]


async def test_reserved_room_is_taken_from_delivered_images(open_store: OpenStore) -> None:
    """A reservation lets them go at once, so that what comes finds its room."""
    store = await open_store(max_bytes=4 * MIB)
    image = await put(store, 3 * MIB, delivered=True)

    await store.reserve(2 * MIB)

    assert not await there(store, image)


async def test_unread_images_are_never_let_go(open_store: OpenStore) -> None:
    """An old image that nobody has received stays while newer ones that were go."""
    store = await open_store(max_bytes=4 * MIB)
    unread, read = await put(store, 2 * MIB), await put(store, MIB, delivered=True)

    await put(store, 3 * MIB // 2)

    assert (await there(store, unread), await there(store, read)) == (True, False)


async def test_a_store_full_of_unread_images_refuses_new_work(open_store: OpenStore) -> None:
    """SERVER_BUSY with a wait and at no cost; reading one image makes room."""
    store = await open_store(max_bytes=4 * MIB)
    unread = await put(store, 3 * MIB)

    with pytest.raises(ImageError) as caught:
        await store.reserve(2 * MIB)

    assert (caught.value.reason, caught.value.billed) == (Reason.SERVER_BUSY, Billed.NO)
    assert caught.value.retry_after is not None
    assert await there(store, unread)
    store.delivered(unread.image_id)
    await store.reserve(2 * MIB)


async def test_reservations_count_until_they_are_given_back(open_store: OpenStore) -> None:
    """What is promised to one is not promised to another; given back twice it is given back once."""
    store = await open_store(max_bytes=4 * MIB)
    first, second = await store.reserve(2 * MIB), await store.reserve(2 * MIB)
    assert await reason_of(store.reserve(MIB)) is Reason.SERVER_BUSY

    first.release()
    first.release()

    await store.reserve(2 * MIB)
    assert await reason_of(store.reserve(MIB)) is Reason.SERVER_BUSY
    second.release()


async def test_images_draw_on_their_reservation(open_store: OpenStore) -> None:
    """An image does not take its room twice, and what it did not use can be given back."""
    store = await open_store(max_bytes=5 * MIB)
    reservation = await store.reserve(3 * MIB)
    await store.put(CALLER, bytes(2 * MIB), PNG, "", reservation)

    await store.reserve(MIB)
    assert await reason_of(store.reserve(2 * MIB)) is Reason.SERVER_BUSY
    reservation.release()

    await store.reserve(3 * MIB // 2)


@pytest.mark.parametrize("foreign", [False, True])
async def test_a_paid_image_is_never_refused(open_store: OpenStore, foreign: bool) -> None:
    """One larger than its reservation, or with another store's, is kept; only new work is refused then."""
    store = await open_store(max_bytes=MIB)
    reservation: Reservation = _ForeignReservation() if foreign else await store.reserve(10)

    large = await store.put(CALLER, bytes(3 * MIB), PNG, "", reservation)

    assert await there(store, large)
    assert await reason_of(store.reserve(1)) is Reason.SERVER_BUSY


async def test_an_image_that_outgrew_its_reservation_takes_the_room_of_delivered_ones(open_store: OpenStore) -> None:
    """What nobody could know before is made up for when it comes."""
    store = await open_store(max_bytes=4 * MIB)
    read = await put(store, 2 * MIB, delivered=True)
    reservation = await store.reserve(MIB)
    assert await there(store, read)

    large = await store.put(CALLER, bytes(3 * MIB), PNG, "", reservation)

    assert (await there(store, read), await there(store, large)) == (False, True)


async def test_more_than_the_whole_store_is_taken_when_it_is_empty(open_store: OpenStore) -> None:
    """A wait would be for ever; beside an unread image it is refused."""
    store = await open_store(max_bytes=MIB)
    reservation = await store.reserve(3 * MIB)
    reservation.release()
    await put(store, MIB // 2)

    assert await reason_of(store.reserve(3 * MIB)) is Reason.SERVER_BUSY


async def test_large_metadata_takes_room(open_store: OpenStore) -> None:
    """What is kept beside an image is counted like its bytes."""
    store = await open_store(max_bytes=MIB)
    many: dict[str, JsonObject] = {"a": {"texts": ["x" * 1000 for _ in range(1000)]}}

    await store.put(CALLER, b"1", PNG, "", await store.reserve(1), metadata=many)

    assert await reason_of(store.reserve(MIB // 10)) is Reason.SERVER_BUSY


async def test_a_closed_store_has_nothing(open_store: OpenStore) -> None:
    """Closing twice is no fault."""
    store = await open_store()
    await put(store)
    await upload(store, b"piece")

    await store.close()
    await store.close()

    assert store.undelivered == 0
