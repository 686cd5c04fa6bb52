"""The log of a generation: numbering, and readers that come and go."""

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import Failure, ImageError, Reason
from imagegen_server.domain.events import ImageFailed, LogEvent, Progress, Started
from imagegen_server.generation.log import CHUNK_BYTES, Entry, Heartbeat, Log

from tests.support.values import break_off, end, finished, preview

STARTED = Started("gen", "req", "test/any", ())

sizes = st.integers(1, 5 * CHUNK_BYTES) | st.sampled_from([1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
events: st.SearchStrategy[LogEvent] = st.one_of(
    st.just(STARTED),
    st.just(Progress()),
    st.just(ImageFailed(Failure(0, ImageError(Reason.TIMEOUT, "late")))),
    st.builds(finished, st.integers(0, 3), sizes),
    st.builds(lambda index, size: preview(index, 1, bytes(size)), st.integers(0, 3), sizes),
)


def size_of(event: LogEvent) -> int:
    """Tell the bytes of the image that an event opens, apart from how the log does it."""
    image = getattr(getattr(event, "generated", None), "image", None)
    return image.size_bytes if image else len(getattr(event, "data", b""))


def log_of(*appended: LogEvent) -> Log:
    """Write a log."""
    log = Log()
    for event in appended:
        log.append(event)
    return log


async def entries(log: Log, after: int = 0) -> list[Entry]:
    """Read a log that has ended."""
    return [entry async for entry in log.read(after, math.inf) if isinstance(entry, Entry)]


@settings(deadline=None)
@given(st.lists(events, max_size=12))
def test_an_image_takes_a_number_for_its_opening_and_one_for_each_chunk(appended: list[LogEvent]) -> None:
    """Whatever happens, the numbers follow each other from 1, and rise by 1 + ceil(size / 196,608)."""
    log, expected = Log(), 0
    for event in appended:
        entry = log.append(event)

        assert entry.first == expected + 1
        expected += 1 + math.ceil(size_of(event) / CHUNK_BYTES)
        assert entry.last == log.sequence == expected


def test_the_chunk_size_is_the_documented_one() -> None:
    """Clients and shell pipes count on 196,608 bytes, which three divides."""
    assert CHUNK_BYTES == 196_608
    assert CHUNK_BYTES % 3 == 0


def test_an_empty_log_has_given_out_no_number() -> None:
    """Numbers start from 1, so 0 is before all."""
    assert (Log().sequence, Log().ended) == (0, False)


@settings(deadline=None)
@given(st.lists(events, max_size=8), st.data())
async def test_a_reader_may_start_anywhere(appended: list[LogEvent], data: st.DataObject) -> None:
    """From any number on, also in the middle of an image, exactly the entries with something left to send come."""
    log = log_of(*appended, end())
    after = data.draw(st.integers(0, log.sequence - 1))

    assert await entries(log, after) == [entry for entry in await entries(log) if entry.last > after]


async def test_all_readers_see_the_same() -> None:
    """Readers that come early, late or in between see the same entries up to the same end."""
    log = Log()
    early = asyncio.create_task(entries(log))
    log.append(STARTED)
    await asyncio.sleep(0)
    between = asyncio.create_task(entries(log))
    for event in (Progress(), preview(), finished(), end()):
        log.append(event)
        await asyncio.sleep(0)

    seen = await early

    assert [entry.event for entry in seen] == log.events
    assert await between == seen
    assert await entries(log) == seen


async def test_a_waiting_reader_is_woken_by_the_next_event() -> None:
    """A live reader gets an entry when it is appended, without any heartbeat before it."""
    log = log_of(STARTED)
    reading = log.read(0, math.inf)
    await anext(reading)
    coming = asyncio.create_task(anext(reading))
    await asyncio.sleep(0)

    entry = log.append(Progress())

    assert await coming == entry
    await reading.aclose()


async def test_silence_is_filled_with_heartbeats() -> None:
    """While nothing happens a reader gets heartbeats with the last number, and the next event when it comes."""
    log = log_of(STARTED, finished())
    reading = log.read(0, 0.001)
    await anext(reading)
    await anext(reading)

    assert await anext(reading) == Heartbeat(log.sequence)
    assert await anext(reading) == Heartbeat(log.sequence)
    entry = log.append(Progress())
    assert await anext(reading) == entry
    await reading.aclose()


async def test_a_heartbeat_that_races_an_event_has_the_number_before_it() -> None:
    """If the time-out and the event meet in one turn of the loop, the reader still has not seen the event."""
    log = log_of(STARTED)
    reading = log.read(0, 0.0)
    await anext(reading)
    coming = asyncio.ensure_future(anext(reading))
    await asyncio.sleep(0)

    log.append(Progress())

    assert await coming == Heartbeat(1)
    await reading.aclose()


@pytest.mark.parametrize("last", [end(), break_off()], ids=["finished", "broken"])
async def test_a_log_ends_once(last: LogEvent) -> None:
    """After its last entry a log takes nothing more, and readers stop there."""
    log = log_of(STARTED, last)

    assert log.ended
    with pytest.raises(RuntimeError):
        log.append(Progress())
    with pytest.raises(RuntimeError):
        log.append(last)
    assert [entry.event for entry in await entries(log)] == [STARTED, last]


@pytest.mark.parametrize("ahead", [0, 1, 1000])
async def test_who_has_seen_the_end_sees_it_again(ahead: int) -> None:
    """A reader who starts at or behind the last number does not wait for ever: every stream has its end."""
    log = log_of(STARTED, end())

    async with asyncio.timeout(5):
        assert [entry.event for entry in await entries(log, log.sequence + ahead)] == [log.events[-1]]


async def test_only_the_end_is_terminal() -> None:
    """No other event stops a reader."""
    log = log_of(STARTED, Progress(), preview(), finished(), end())

    assert [entry.terminal for entry in await entries(log)] == [False, False, False, False, True]
