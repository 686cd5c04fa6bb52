"""Which generations can still be asked for, and when they are let go."""

import asyncio
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, Finished, ImageFinished, Preview, Progress, Started
from imagegen_server.domain.task import Wish
from imagegen_server.generation import generations, runner
from imagegen_server.generation.log import CHUNK_BYTES
from imagegen_server.generation.opening import Terms
from imagegen_server.generation.store import StoreSettings

from tests.support.generation import CALLER, Workshop, drawing, events_of, workshop, yielding
from tests.support.pictures import noisy_png, png
from tests.support.provider import never

LARGE = noisy_png(400, 400)


async def resume(shop: Workshop, generation_id: str) -> Reason | None:
    """Try to read one again; None = it can be."""
    try:
        async with await shop.engine.resume(CALLER, Terms(), generation_id=generation_id):
            return None
    except ImageError as error:
        return error.reason


async def made(shop: Workshop, wish: Wish | None = None) -> str:
    """Make one, read it to its end, and tell its id."""
    async with shop.opened(wish) as generation:
        shop.engine.launch(generation)
        await events_of(generation)
        return generation.id


async def test_an_ended_one_is_known_for_its_time() -> None:
    """After `ttl` it is not found, and nothing of it is left."""
    shop = workshop(store=StoreSettings(ttl=0.2))
    generation_id = await made(shop)
    assert await resume(shop, generation_id) is None

    async with asyncio.timeout(30):
        while await resume(shop, generation_id) is None:  # noqa: ASYNC110 - a timer of the server's, no event
            await asyncio.sleep(0.02)

    assert await resume(shop, generation_id) is Reason.GENERATION_NOT_FOUND
    assert shop.generations.resting_bytes == 0
    assert not shop.generations._by_id
    assert not shop.generations._by_request


async def test_a_running_one_does_not_expire() -> None:
    """The time begins with the end."""
    shop = workshop(never, store=StoreSettings(ttl=0.05))
    async with shop.opened(drawing()) as generation:
        shop.engine.launch(generation)
        await asyncio.sleep(0.2)
        assert await resume(shop, generation.id) is None


async def test_when_they_take_too_much_those_that_were_read_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has read to its end stays, whatever its age, and so does what has an image that nobody has."""
    shop = workshop()
    monkeypatch.setattr(generations, "MOST_RESTING_BYTES", 4 * generations._PLAIN_BYTES)
    unread = await made(shop)
    told_only = await made(shop)
    read = [await made(shop) for _ in range(2)]
    shop.engine.readers.told(told_only)
    for generation_id in read:
        shop.engine.readers.told(generation_id)
        for image_id in tuple(shop.generations.find(CALLER.name, generation_id).undelivered):
            shop.engine.readers.delivered(image_id)

    newest = [await made(shop) for _ in range(2)]

    known = [await resume(shop, generation_id) is None for generation_id in (unread, told_only, *read, *newest)]
    assert known == [True, True, False, False, True, True]
    assert len(shop.generations._by_image) == 4


async def test_those_that_were_left_without_an_image_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many callers leave, or cancel, before there is anything to fetch: what is kept of it has a limit."""
    shop = workshop(never)
    monkeypatch.setattr(generations, "MOST_RESTING_BYTES", 6 * generations._PLAIN_BYTES)
    left = []
    for detach in (True, *[False] * 4):
        async with shop.opened(drawing(), detach=detach) as generation:
            shop.engine.launch(generation)
        if detach:
            await shop.engine.cancel(CALLER, generation_id=generation.id)
        await events_of(generation)
        left.append(generation.id)
        async with asyncio.timeout(30):
            while shop.generations.running:  # noqa: ASYNC110 - the task ends just after its log
                await asyncio.sleep(0)

    known = [await resume(shop, generation_id) is None for generation_id in left]
    assert known == [False, False, True, True, True]


async def test_long_words_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt as the provider rewrote it, and metadata, take room as long as they are."""
    shop = workshop(yielding(Complete(0, png(), revised_prompt="x" * 50_000, metadata={"y": "z" * 70_000})))

    await made(shop)

    assert shop.generations.resting_bytes >= generations._PLAIN_BYTES + 120_000


async def test_a_resting_log_keeps_its_numbers_and_no_bytes() -> None:
    """Progress, previews and bytes go; what is left has the numbers it had, and takes the bytes back."""
    script = yielding(Progress(), Preview(0, LARGE), Complete(0, LARGE), Complete(1, png()))
    shop = workshop(script)
    async with shop.opened(drawing(count=2, preview_count=1)) as generation:
        shop.engine.launch(generation)
        await events_of(generation)
        numbers = {type(entry.event): (entry.first, entry.last) for entry in generation.log._entries}

    log = generation.log
    kept = [entry for entry in log._entries if type(entry.event) in (Started, ImageFinished, Finished)]
    assert log._entries == kept
    assert {type(entry.event): (entry.first, entry.last) for entry in kept}.items() <= numbers.items()
    assert all(not event.data for event in log.events if isinstance(event, ImageFinished))
    first, second = log.without_bytes(0)
    opening = kept[1]
    assert opening.last - opening.first == -(-len(LARGE) // CHUNK_BYTES)
    assert log.without_bytes(opening.last - 1) == [first, second]
    assert log.without_bytes(opening.last) == [second]
    assert log.give_back({first: LARGE}) == len(LARGE)
    assert log.give_back({first: LARGE, second: png(8, 8)}) == len(png(8, 8))


async def test_a_fault_of_ours_is_an_end_and_settles_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers hear INTERNAL_ERROR, may have been billed, and the same request replays it."""
    shop = workshop()

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(runner, "conclude", broken)
    last = (await shop.run(request_id="mine"))[-1]
    again = (await shop.run(request_id="mine"))[-1]

    assert isinstance(last, Broken)
    assert last.error.reason is Reason.INTERNAL_ERROR
    assert last.error.billed.name == "UNKNOWN"
    assert again == last
    assert shop.in_hand == (0, 0, 0)
