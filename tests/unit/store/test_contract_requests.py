"""Any store: what it remembers of request ids."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason, Violation
from imagegen_server.domain.events import Broken
from imagegen_server.domain.result import GenerationFailure
from imagegen_server.generation.store import RequestRecord, Store

from tests.support.values import NOON, attempt
from tests.unit.store.contract import CALLER, MIB, OTHER, OpenStore, gone, put, reason_of, there

RECORD = RequestRecord("gen_a_b", frozenset({"f" * 64}))
OTHER_RECORD = RequestRecord("gen_c_d", frozenset({"e" * 64, "0" * 64}))


def refused() -> Broken:
    """Make a failure with all that it can hold."""
    error = ImageError(
        Reason.CONTENT_FILTERED,
        "the provider refused",
        billed=Billed.YES,
        stage="output",
        http_status=400,
        provider_code="moderation",
        provider_request_id="req-1",
        retry_after=2.5,
        violations=[Violation("input.prompt", "is refused")],
        metadata={"model": "test/any"},
    )
    return Broken(GenerationFailure("gen_a_b", "mine", (Failure(0, error),), (attempt(),), None), error)


async def remembered(store: Store, request_id: str = "mine") -> bool:
    """Tell whether a request id stands for anything."""
    return await store.find(CALLER, request_id) is not None


async def test_a_request_id_is_claimed_once(open_store: OpenStore) -> None:
    """The first has it, and everybody after learns who that is."""
    store = await open_store()
    assert await store.find(CALLER, "mine") is None

    assert await store.claim(CALLER, "mine", RECORD) is None
    assert await store.claim(CALLER, "mine", OTHER_RECORD) == RECORD
    assert await store.find(CALLER, "mine") == RECORD


async def test_of_many_at_once_one_wins(open_store: OpenStore) -> None:
    """Exactly one gets None, and all the others get what that one wrote."""
    store = await open_store()
    records = [replace(RECORD, generation_id=f"gen_{number}") for number in range(20)]

    found = await asyncio.gather(*(store.claim(CALLER, "mine", record) for record in records))

    (winner,) = [record for record, other in zip(records, found, strict=True) if other is None]
    assert [other for other in found if other is not None] == [winner] * 19


async def test_a_request_id_belongs_to_its_caller(open_store: OpenStore) -> None:
    """The same id of another caller is another id, whatever happens to it."""
    store = await open_store()
    await store.claim(CALLER, "mine", RECORD)

    assert await store.find(OTHER, "mine") is None
    assert await store.claim(OTHER, "mine", OTHER_RECORD) is None
    await store.free(OTHER, "mine")
    await store.settle(OTHER, "mine", None)

    assert await store.find(CALLER, "mine") == RECORD
    assert await store.find(OTHER, "mine") is None


async def test_callers_and_ids_do_not_run_together(open_store: OpenStore) -> None:
    """No two pairs of caller and id are one, wherever the line between them is."""
    store = await open_store()
    pairs = [("a", "b:c"), ("a:b", "c"), ("a", "b/c"), ("a/b", "c"), ("", "a"), ("a", "")]

    assert [await store.claim(*pair, RECORD) for pair in pairs] == [None] * len(pairs)


async def test_a_settled_request_says_how_it_ended(open_store: OpenStore) -> None:
    """It is the same record, ended, with the failure to be told again if there is one."""
    store = await open_store()
    await store.claim(CALLER, "good", RECORD)
    await store.claim(CALLER, "bad", OTHER_RECORD)

    await store.settle(CALLER, "good", None)
    await store.settle(CALLER, "bad", refused())

    assert await store.find(CALLER, "good") == replace(RECORD, ended=True)
    bad = await store.claim(CALLER, "bad", RECORD)
    assert bad is not None
    assert (bad.generation_id, bad.fingerprints, bad.ended) == ("gen_c_d", OTHER_RECORD.fingerprints, True)


async def test_a_failure_comes_back_whole(open_store: OpenStore) -> None:
    """Everything that it is told with is there again, and no traceback with what it holds."""
    store = await open_store()
    await store.claim(CALLER, "mine", RECORD)
    with pytest.raises(ImageError) as caught:
        raise refused().error
    raised = caught.value
    failure = GenerationFailure("gen_a_b", "mine", (Failure(2, raised),), (attempt(),), None)

    await store.settle(CALLER, "mine", Broken(failure, raised))

    found = await store.find(CALLER, "mine")
    assert found is not None
    assert found.failure is not None
    (one,) = found.failure.failure.failures
    assert (one.index, found.failure.failure.attempts[0].start_time) == (2, NOON)
    for error in (one.error, found.failure.error):
        told = {name: value for name, value in vars(error).items() if not name.startswith("__")}
        assert told == vars(refused().error)
        assert error.__traceback__ is None
    assert replace(found.failure.failure, failures=()) == replace(failure, failures=())


async def test_a_freed_id_can_be_claimed_anew(open_store: OpenStore) -> None:
    """Running or ended, it stands for nothing any more; freeing nothing is no fault."""
    store = await open_store()
    await store.free(CALLER, "mine")
    for settled in (False, True):
        await store.claim(CALLER, "mine", RECORD)
        if settled:
            await store.settle(CALLER, "mine", None)
        await store.free(CALLER, "mine")
        assert await store.find(CALLER, "mine") is None

    assert await store.claim(CALLER, "mine", OTHER_RECORD) is None


async def test_what_was_freed_leaves_no_clock_behind(open_store: OpenStore) -> None:
    """The time of an ended request that was freed is not that of the one which has its id now."""
    store = await open_store(request_ttl=0.02)
    for request_id in ("mine", "other"):
        await store.claim(CALLER, request_id, RECORD)
        await store.settle(CALLER, request_id, None)
    await store.free(CALLER, "mine")
    await store.claim(CALLER, "mine", OTHER_RECORD)

    await gone(lambda: remembered(store, "other"))

    assert await store.find(CALLER, "mine") == OTHER_RECORD


async def test_settling_what_is_not_claimed_remembers_nothing(open_store: OpenStore) -> None:
    """A generation that ends after its id was freed does not take it back."""
    store = await open_store()

    await store.settle(CALLER, "mine", refused())

    assert await store.find(CALLER, "mine") is None


async def test_a_claim_holds_and_an_ended_one_is_forgotten(open_store: OpenStore) -> None:
    """`request_ttl` runs from the end: what still runs is there long after what has ended is gone."""
    store = await open_store(request_ttl=0.05, ttl=0.01)
    for request_id in ("runs", "ended"):
        await store.claim(CALLER, request_id, RECORD)
    await store.settle(CALLER, "ended", None)
    settled = asyncio.get_running_loop().time()

    await gone(lambda: remembered(store, "ended"))

    assert asyncio.get_running_loop().time() - settled >= 0.048
    assert await remembered(store, "runs")
    assert await store.claim(CALLER, "ended", OTHER_RECORD) is None


async def test_an_id_outlives_the_images(open_store: OpenStore) -> None:
    """When an image has gone, what bought it is still known."""
    store = await open_store(ttl=0.02, request_ttl=3600)
    await store.claim(CALLER, "mine", RECORD)
    image = await put(store)
    await store.settle(CALLER, "mine", None)

    await gone(lambda: there(store, image))

    assert await remembered(store)


def _of_number(number: int) -> str:
    return f"request-{number}"


def _long(number: int) -> str:
    return f"{number:0128}"


@pytest.mark.parametrize("name", [_of_number, _long])
async def test_ids_take_room_and_are_never_let_go_for_it(open_store: OpenStore, name: Callable[[int], str]) -> None:
    """When they fill the store the next claim is refused with a wait; all are still known, and one freed is room."""
    store = await open_store(max_bytes=MIB // 4)
    taken = 0

    async def fill() -> None:
        nonlocal taken
        for taken in range(2000):
            assert await store.claim(CALLER, name(taken), RECORD) is None
            await store.settle(CALLER, name(taken), None)

    with pytest.raises(ImageError) as caught:
        await fill()

    assert caught.value.reason is Reason.SERVER_BUSY
    assert caught.value.retry_after is not None
    assert 20 < taken < 1000
    assert all([await remembered(store, name(number)) for number in range(taken)])
    assert await store.find(CALLER, name(taken)) is None
    assert await store.claim(CALLER, name(0), OTHER_RECORD) == replace(RECORD, ended=True)
    await store.free(CALLER, name(0))
    assert await store.claim(CALLER, name(taken), RECORD) is None


async def test_ids_let_delivered_images_go(open_store: OpenStore) -> None:
    """What may be forgotten goes before new work is refused; unread images stay and count."""
    store = await open_store(max_bytes=MIB)
    unread, read = await put(store, MIB // 2), await put(store, MIB // 2 - 4000, delivered=True)

    for number in range(10):
        assert await store.claim(CALLER, str(number), RECORD) is None

    assert (await there(store, unread), await there(store, read)) == (True, False)
    assert await reason_of(store.reserve(MIB // 2)) is Reason.SERVER_BUSY


async def test_forgotten_ids_give_their_room_back(open_store: OpenStore) -> None:
    """Failures with all their words count too, and afterwards the whole store is free."""
    store = await open_store(request_ttl=0.02, max_bytes=MIB)
    for number in range(50):
        await store.claim(CALLER, str(number), RECORD)
        await store.settle(CALLER, str(number), refused())

    for number in range(50):
        await gone(lambda number=number: remembered(store, str(number)))  # type: ignore[misc]  # bound at once

    await store.reserve(MIB)
