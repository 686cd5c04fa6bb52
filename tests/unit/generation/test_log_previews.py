"""Slow readers are spared previews, and never a finished image."""

import math
from types import SimpleNamespace

import pytest
from imagegen_server.domain.events import PreviewShown
from imagegen_server.generation import log as log_module
from imagegen_server.generation.log import SLOW_READER_SECONDS, Entry, Log

from tests.support.values import end, finished, preview


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Start anywhere."""
        self.now = 1000.0

    def pass_by(self, seconds: float = SLOW_READER_SECONDS + 0.1) -> None:
        """Let so much time go."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which the log counts."""
    clock = Clock()
    monkeypatch.setattr(log_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def shown(log: Log) -> list[tuple[int, int]]:
    """Name the previews that a log still holds: index and number."""
    return [(event.index, event.number) for event in log.events if isinstance(event, PreviewShown)]


async def read(log: Log) -> list[Entry]:
    """Read a log that has ended."""
    return [entry async for entry in log.read(0, math.inf) if isinstance(entry, Entry)]


async def test_a_reader_that_keeps_up_sees_every_preview(clock: Clock) -> None:
    """However slowly previews come, who reads them as they come gets all."""
    log, seen = Log(), []
    reading = log.read(0, math.inf)
    for number in (1, 2, 3):
        log.append(preview(number=number))
        clock.pass_by()
        entry = await anext(reading)
        assert isinstance(entry, Entry)
        seen.append(entry.event)
    await reading.aclose()

    assert [event.number for event in seen if isinstance(event, PreviewShown)] == [1, 2, 3]


async def test_a_superseded_preview_is_not_shown_to_who_comes_late(clock: Clock) -> None:
    """Of previews that came long ago only the latest of each picture is shown."""
    log = Log()
    for index, number in ((0, 1), (1, 1), (0, 2)):
        log.append(preview(index, number))
    clock.pass_by()
    log.append(end())

    events = [entry.event for entry in await read(log)]

    assert [(event.index, event.number) for event in events if isinstance(event, PreviewShown)] == [(1, 1), (0, 2)]


async def test_previews_in_quick_succession_are_superseded_too(clock: Clock) -> None:
    """What counts is how long ago a preview was superseded, not how new the newest is."""
    log = Log()
    for number in range(1, 11):
        log.append(preview(number=number))
        clock.pass_by(SLOW_READER_SECONDS / 2)

    assert shown(log) == [(0, 7), (0, 8), (0, 9), (0, 10)]


async def test_a_finished_image_supersedes_its_previews(clock: Clock) -> None:
    """A while after the picture is finished its previews are not worth sending."""
    log = Log()
    log.append(preview(0))
    log.append(preview(1))
    log.append(finished(0))
    clock.pass_by()
    log.append(end())

    events = [entry.event for entry in await read(log)]

    assert [type(event).__name__ for event in events] == ["PreviewShown", "ImageFinished", "Finished"]
    assert isinstance(events[0], PreviewShown)
    assert events[0].index == 1


async def test_finished_images_are_never_left_out(clock: Clock) -> None:
    """A reader that comes however late gets every finished image, also of one index."""
    log = Log()
    for index in range(4):
        log.append(finished(index))
        clock.pass_by()
    log.append(end())
    clock.pass_by()

    assert [type(entry.event).__name__ for entry in await read(log)] == ["ImageFinished"] * 4 + ["Finished"]


def test_memory_of_superseded_previews_is_given_back(clock: Clock) -> None:
    """Each preview that is let go is reported once, with its bytes; the numbers of the rest stay as they were."""
    dropped: list[int] = []
    log = Log(on_preview_dropped=dropped.append)
    for number, size in ((1, 10), (2, 20), (3, 30)):
        log.append(preview(number=number, data=bytes(size)))
        clock.pass_by()
    assert dropped == [10]

    last = log.append(preview(number=4, data=bytes(40)))

    assert dropped == [10, 20]
    assert shown(log) == [(0, 3), (0, 4)]
    assert (last.first, last.last) == (7, 8)


async def test_a_preview_just_superseded_is_still_shown(clock: Clock) -> None:
    """Reading a little later than the provider draws costs nothing."""
    log = Log()
    log.append(preview(number=1))
    log.append(preview(number=2))
    clock.pass_by(SLOW_READER_SECONDS)
    log.append(end())

    assert len(await read(log)) == 3


def test_only_previews_can_be_superseded(clock: Clock) -> None:
    """A second finished image of the same index would not make the first one go."""
    log = Log()
    first = log.append(finished(0))
    log.append(finished(0))
    clock.pass_by()

    assert not log.superseded(first)
