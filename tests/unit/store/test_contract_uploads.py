"""Any store: uploads in pieces."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.store import Store, Upload

from tests.support.values import PNG
from tests.unit.store.contract import CALLER, MIB, OTHER, OpenStore, gone, put, reason_of, there, upload

DATA = b"0123456789"
DIGEST = hashlib.sha256(DATA).hexdigest()


async def add(store: Store, offset: int, data: bytes, caller: str = CALLER) -> Upload:
    """Add a piece of DATA."""
    return await store.add_piece(caller, DIGEST, len(DATA), offset, data)


async def ask(store: Store, caller: str = CALLER) -> Upload:
    """Ask how much of DATA is there."""
    return await add(store, 0, b"", caller)


async def test_pieces_make_an_image(open_store: OpenStore) -> None:
    """Each answer says what comes next, the last one gives the whole, and what is made of it can be read."""
    store = await open_store()

    assert await ask(store) == Upload(0)
    assert await add(store, 0, DATA[:4]) == Upload(4)
    assert await ask(store) == Upload(4)
    assert await add(store, 4, DATA[4:]) == Upload(10, data=DATA)
    assert await ask(store) == Upload(10, data=DATA)
    image = await store.finish_upload(CALLER, DIGEST, PNG)

    assert (image.facts, image.size_bytes, image.sha256, image.metadata) == (PNG, 10, DIGEST, {})
    assert await store.get(CALLER, image.image_id) == (image, DATA)


async def test_a_finished_upload_is_the_same_image_for_ever(open_store: OpenStore) -> None:
    """Sent, asked for or finished again, it has its id; no piece changes it."""
    store = await open_store()
    image = await upload(store, DATA)

    for again in (await ask(store), await add(store, 0, DATA), await add(store, 3, b"xx")):
        assert (again.committed_bytes, again.data) == (10, None)
        assert again.image is not None
        assert again.image.image_id == image.image_id
    assert (await store.finish_upload(CALLER, DIGEST, PNG)).image_id == image.image_id
    assert (await store.get(CALLER, image.image_id))[1] == DATA


async def test_what_is_there_is_skipped(open_store: OpenStore) -> None:
    """A piece that begins before the end adds what is new, and what was there stays as it was."""
    store = await open_store()
    await add(store, 0, DATA[:4])

    assert await add(store, 0, b"xx") == Upload(4)
    assert await add(store, 2, b"xx456") == Upload(7)
    assert await add(store, 0, b"xxxxxxx789") == Upload(10, data=DATA)


async def test_a_piece_behind_the_end_is_left_alone(open_store: OpenStore) -> None:
    """Nothing is stored and the answer says where to go on, also before the first piece."""
    store = await open_store()

    assert await add(store, 1, DATA[1:]) == Upload(0)
    await add(store, 0, DATA[:4])
    assert await add(store, 5, DATA[5:]) == Upload(4)
    assert await ask(store) == Upload(4)


async def test_an_upload_belongs_to_its_caller(open_store: OpenStore) -> None:
    """Another caller's upload of the same bytes is another upload and another image."""
    store = await open_store()
    image = await upload(store, DATA)

    assert await ask(store, OTHER) == Upload(0)
    assert not await there(store, image, OTHER)
    assert (await upload(store, DATA, OTHER)).image_id != image.image_id


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("data", [b"", b"0"])
async def test_another_size_is_wrong(open_store: OpenStore, finished: bool, data: bytes) -> None:
    """The same bytes cannot have two lengths; the upload stays as it was."""
    store = await open_store()
    await (upload(store, DATA) if finished else add(store, 0, DATA[:4]))
    before = await ask(store)

    with pytest.raises(ImageError) as caught:
        await store.add_piece(CALLER, DIGEST, 11, 0, data)

    assert caught.value.reason is Reason.INVALID_REQUEST
    assert [violation.field for violation in caught.value.violations] == ["size_bytes"]
    assert (await ask(store)).committed_bytes == before.committed_bytes


async def test_the_same_piece_twice_at_once(open_store: OpenStore) -> None:
    """It is there once; both who sent the last one may finish, and there is one image."""
    store = await open_store()
    await asyncio.gather(add(store, 0, DATA[:4]), add(store, 0, DATA[:4]))

    last = await asyncio.gather(add(store, 4, DATA[4:]), add(store, 4, DATA[4:]))
    made = await asyncio.gather(*(store.finish_upload(CALLER, DIGEST, PNG) for _ in last))

    assert list(last) == [Upload(10, data=DATA)] * 2
    assert len({image.image_id for image in made}) == 1


async def test_two_pieces_at_once(open_store: OpenStore) -> None:
    """Whichever comes first, what is stored is a beginning of the data, and no piece is torn."""
    store = await open_store()

    answers = await asyncio.gather(add(store, 4, DATA[4:8]), add(store, 0, DATA[:4]))

    assert max(answer.committed_bytes for answer in answers) in {4, 8}
    committed = (await ask(store)).committed_bytes
    assert (await add(store, committed, DATA[committed:])).data == DATA


@given(
    data=st.binary(min_size=1, max_size=60),
    pieces=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_pieces_in_any_order_make_the_same_image(
    open_store: OpenStore, data: bytes, pieces: list[tuple[int, int]]
) -> None:
    """Cut anyhow, repeated, out of order: what is committed only grows, and the whole is the data."""
    store = await open_store()
    digest = hashlib.sha256(data).hexdigest()
    committed = 0
    for start, length in pieces:
        offset = min(start, len(data))
        answer = await store.add_piece(CALLER, digest, len(data), offset, data[offset : offset + length])
        expected = max(committed, offset + len(data[offset : offset + length])) if offset <= committed else committed
        assert answer.committed_bytes == expected
        committed = expected

    whole = await store.add_piece(CALLER, digest, len(data), committed, data[committed:])

    assert (whole.committed_bytes, whole.data) == (len(data), data)
    image = await store.finish_upload(CALLER, digest, PNG)
    assert (await store.get(CALLER, image.image_id))[1] == data


async def test_only_a_whole_upload_can_be_finished(open_store: OpenStore) -> None:
    """Nothing, a part and what was dropped are IMAGE_NOT_FOUND."""
    store = await open_store()
    assert await reason_of(store.finish_upload(CALLER, DIGEST, PNG)) is Reason.IMAGE_NOT_FOUND
    await add(store, 0, DATA[:9])
    assert await reason_of(store.finish_upload(CALLER, DIGEST, PNG)) is Reason.IMAGE_NOT_FOUND
    await add(store, 9, DATA[9:])

    await store.drop_upload(CALLER, DIGEST)

    assert await reason_of(store.finish_upload(CALLER, DIGEST, PNG)) is Reason.IMAGE_NOT_FOUND
    assert await ask(store) == Upload(0)


async def test_dropping_spares_what_is_finished(open_store: OpenStore) -> None:
    """Whoever finds fault too late, or with nothing, does no harm."""
    store = await open_store()
    await store.drop_upload(CALLER, DIGEST)
    image = await upload(store, DATA)

    await store.drop_upload(CALLER, DIGEST)

    assert await there(store, image)


async def test_room_is_taken_as_pieces_come(open_store: OpenStore) -> None:
    """A size that is only declared keeps nobody out; a piece without room is refused, and can come again."""
    store = await open_store(max_bytes=4 * MIB)
    for name in "abcdef":
        assert (await store.add_piece(CALLER, name * 64, 3 * MIB, 0, b"1")).committed_bytes == 1
    reservation = await store.reserve(2 * MIB)

    with pytest.raises(ImageError) as caught:
        await store.add_piece(CALLER, "a" * 64, 3 * MIB, 1, bytes(5 * MIB // 2))
    with pytest.raises(ImageError):
        await store.add_piece(CALLER, "0" * 64, 3 * MIB, 0, bytes(5 * MIB // 2))

    assert caught.value.reason is Reason.SERVER_BUSY
    assert caught.value.retry_after is not None
    assert (await store.add_piece(CALLER, "a" * 64, 3 * MIB, 0, b"")).committed_bytes == 1
    assert (await store.add_piece(CALLER, "0" * 64, 3 * MIB, 0, b"")).committed_bytes == 0
    reservation.release()
    assert (
        await store.add_piece(CALLER, "a" * 64, 3 * MIB, 1, bytes(5 * MIB // 2))
    ).committed_bytes == 5 * MIB // 2 + 1


async def test_asking_takes_no_room(open_store: OpenStore) -> None:
    """Neither a question nor a piece that cannot be used begins an upload."""
    store = await open_store(max_bytes=4 * MIB)
    for name in "abcdef":
        await store.add_piece(CALLER, name * 64, 3 * MIB, 0, b"")
        await store.add_piece(CALLER, name * 64, 3 * MIB, 5, b"1")

    await store.reserve(4 * MIB)


async def test_many_small_uploads_take_room(open_store: OpenStore) -> None:
    """What is kept beside the bytes is counted: one byte each, and still they end."""
    store = await open_store(max_bytes=MIB // 4)

    async def fill() -> None:
        for number in range(1000):
            digest = hashlib.sha256(str(number).encode()).hexdigest()
            await store.add_piece(CALLER, digest, 1, 0, b"1")
            await store.finish_upload(CALLER, digest, PNG)

    assert await reason_of(fill()) is Reason.SERVER_BUSY


async def test_uploads_are_kept_when_room_is_short(open_store: OpenStore) -> None:
    """Finished or not they stay, also when they were read whole; delivered images go for them."""
    store = await open_store(max_bytes=4 * MIB)
    read = await put(store, MIB, delivered=True)
    image = await upload(store, bytes(MIB))
    await add(store, 0, DATA[:4])
    store.delivered(image.image_id)

    await store.add_piece(CALLER, "a" * 64, 3 * MIB, 0, bytes(5 * MIB // 2))

    assert (await there(store, read), await there(store, image)) == (False, True)
    assert (await ask(store)).committed_bytes == 4
    assert await reason_of(store.reserve(MIB)) is Reason.SERVER_BUSY


async def test_uploads_are_not_waited_for(open_store: OpenStore) -> None:
    """They do not count as images that nobody has received."""
    store = await open_store()
    image = await upload(store, DATA)
    store.delivered(image.image_id)

    assert store.undelivered == 0


async def test_a_broken_off_upload_is_forgotten(open_store: OpenStore) -> None:
    """Its time runs from the last piece that added something, and its room comes back."""
    store = await open_store(ttl=0.05, max_bytes=MIB)
    before = datetime.now(UTC)
    await store.add_piece(CALLER, "a" * 64, MIB // 2, 0, b"1")
    await store.add_piece(CALLER, "a" * 64, MIB // 2, 1, b"2")

    async def begun() -> bool:
        return (await store.add_piece(CALLER, "a" * 64, MIB // 2, 0, b"")).committed_bytes > 0

    assert await gone(begun) >= before + timedelta(seconds=0.048)
    await store.reserve(MIB)


async def test_finished_and_dropped_uploads_leave_no_clock_behind(open_store: OpenStore) -> None:
    """Those begun after them go at their own time, however early the others went."""
    store = await open_store(ttl=0.3, max_bytes=MIB)
    await upload(store, b"finished")
    await add(store, 0, DATA[:4])
    await store.drop_upload(CALLER, DIGEST)
    await store.add_piece(CALLER, "a" * 64, MIB // 2, 0, b"1")

    async def begun() -> bool:
        return (await store.add_piece(CALLER, "a" * 64, MIB // 2, 0, b"")).committed_bytes > 0

    await gone(begun)
    await gone(lambda: full(store))


async def full(store: Store) -> bool:
    """Tell whether anything takes room in a store of 1 MiB."""
    try:
        (await store.reserve(MIB)).release()
    except ImageError:
        return True
    return False


async def test_a_finished_upload_lives_its_time(open_store: OpenStore) -> None:
    """It goes at its expire_time, and the same bytes are a new upload with a new id then."""
    store = await open_store(ttl=0.3)
    image = await upload(store, DATA)

    went = await gone(lambda: there(store, image))

    assert went >= image.expire_time - timedelta(milliseconds=2)
    assert await ask(store) == Upload(0)
    assert (await upload(store, DATA)).image_id != image.image_id


async def test_asking_for_a_finished_upload_renews_it(open_store: OpenStore) -> None:
    """Whoever is told an id has it for the whole time from then: a later expire_time, which is kept."""
    store = await open_store(ttl=1.0)
    first, other = await upload(store, DATA), await upload(store, b"other")
    await asyncio.sleep(0.1)  # a tenth of its time

    again = (await ask(store)).image

    assert again is not None
    assert again.image_id == first.image_id
    assert again.expire_time >= first.expire_time + timedelta(seconds=0.09)
    assert (await store.get(CALLER, first.image_id))[0] == again
    await gone(lambda: there(store, other))
    assert await gone(lambda: there(store, first)) >= again.expire_time - timedelta(milliseconds=2)
