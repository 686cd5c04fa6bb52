"""Who may send a request next: slots, turns, positions, limits and those who leave."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.generation.fair_queue import FairQueue, QueueSettings

from tests.support.virtual_time import keep_busy, run_in_virtual_time


class Calls:
    """Calls that want a slot each, hold it until they are told to go, and tell what happened in which order."""

    def __init__(self, **settings: int) -> None:
        """Make a queue with these settings."""
        self.queue = FairQueue(QueueSettings(**settings))
        self.order: list[str] = []
        self.starts: list[float] = []
        self.positions: dict[str, list[tuple[float, int]]] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.leave: dict[str, asyncio.Event] = {}

    async def want(self, *names: str, max_wait: float = 3600.0) -> None:
        """Let these calls want a slot, in this order. The letter is the caller, the rest the call."""
        for name in names:
            self.leave[name] = asyncio.Event()
            self.positions[name] = []
            self.tasks[name] = asyncio.create_task(self._hold(name, max_wait))
            await asyncio.sleep(0)

    async def end(self, *names: str) -> None:
        """Let these calls leave their slots, one after the other."""
        for name in names:
            self.leave[name].set()
            await self.tasks[name]
            await settle()

    async def cancel(self, *names: str) -> None:
        """Cancel these calls at once."""
        for name in names:
            self.tasks[name].cancel()
        await asyncio.wait([self.tasks[name] for name in names])

    async def _hold(self, name: str, max_wait: float) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()

        def note(position: int) -> None:
            self.positions[name].append((loop.time() - begin, position))

        async with self.queue.slot(name[0], note, max_wait):
            self.order.append(name)
            self.starts.append(loop.time())
            await self.leave[name].wait()


async def settle() -> None:
    """Let those run who have something to do."""
    for _ in range(5):
        await asyncio.sleep(0)


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    def run() -> None:
        run_in_virtual_time(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@virtual
async def test_no_more_than_allowed_run() -> None:
    """The next starts when one of them ends, however it ends."""
    calls = Calls(concurrency=2)
    await calls.want("a1", "a2", "a3", "a4")
    assert (calls.order, calls.queue.running, calls.queue.waiting) == (["a1", "a2"], 2, 2)

    await calls.end("a1")
    assert (calls.order, calls.queue.running, calls.queue.waiting) == (["a1", "a2", "a3"], 2, 1)
    await calls.cancel("a2")
    await settle()
    assert (calls.order, calls.queue.running, calls.queue.waiting) == (["a1", "a2", "a3", "a4"], 2, 0)
    await calls.end("a3", "a4")
    assert (calls.queue.running, calls.queue.waiting) == (0, 0)


@virtual
async def test_callers_take_turns() -> None:
    """A caller with many calls does not keep another waiting for all of them; its own go in order."""
    calls = Calls(concurrency=1)
    await calls.want("a0", "a1", "a2", "a3", "b1", "b2", "c1")

    await calls.end("a0", "a1", "b1", "c1", "a2", "b2", "a3")

    assert calls.order == ["a0", "a1", "b1", "c1", "a2", "b2", "a3"]


@virtual
async def test_a_caller_that_comes_again_goes_behind_those_who_wait() -> None:
    """One call at a time, again and again, does not overtake."""
    calls = Calls(concurrency=1)
    await calls.want("x", "a1", "b1", "b2")
    await calls.end("x")
    await calls.want("a2")

    await calls.end("a1", "b1", "a2", "b2")

    assert calls.order == ["x", "a1", "b1", "a2", "b2"]


@virtual
async def test_who_needs_not_wait_is_told_no_position() -> None:
    """And leaves neither task nor timer."""
    calls = Calls(concurrency=2)
    await calls.want("a1", "a2")

    assert calls.positions == {"a1": [], "a2": []}
    assert len(asyncio.all_tasks()) == 3
    assert no_timers()
    await calls.end("a1", "a2")


@virtual
async def test_positions_count_those_who_go_first() -> None:
    """At once: by turns, not by the order of coming."""
    calls = Calls(concurrency=1)
    await calls.want("x", "a1", "a2", "a3", "b1", "b2", "b3", "c1", "b4", "a4")

    assert {name: told for name, told in calls.positions.items() if told} == {
        "a1": [(0.0, 0)],
        "a2": [(0.0, 1)],
        "a3": [(0.0, 2)],
        "b1": [(0.0, 1)],
        "b2": [(0.0, 3)],
        "b3": [(0.0, 5)],
        "c1": [(0.0, 2)],
        "b4": [(0.0, 7)],
        "a4": [(0.0, 7)],
    }
    await calls.cancel(*calls.tasks)


@virtual
async def test_positions_are_told_again_when_they_change() -> None:
    """At most once a second, and not without news."""
    calls = Calls(concurrency=1)
    await calls.want("x", "a1", "a2", "a3")
    await asyncio.sleep(10.5)
    await calls.end("x", "a1")
    await asyncio.sleep(5)
    assert calls.positions["a3"] == [(0.0, 2), (11.0, 0)]

    for name in ("a2", "a3"):
        await asyncio.sleep(0.2)
        await calls.end(name)
    assert calls.positions["a3"] == [(0.0, 2), (11.0, 0)]


@virtual
async def test_one_who_has_just_come_is_not_told_within_a_second() -> None:
    """Whenever the others are told."""
    calls = Calls(concurrency=1)
    await calls.want("x", "a1", "a2")
    await asyncio.sleep(0.9)
    await calls.want("a3")
    await calls.end("x")
    await asyncio.sleep(5)

    assert calls.positions["a3"] == [(0.0, 2), (pytest.approx(1.1), 1)]
    await calls.cancel("a1", "a2", "a3")


@virtual
async def test_who_waits_too_long_is_refused() -> None:
    """With a wait, and nothing was billed; the others keep their places."""
    calls = Calls(concurrency=1)
    await calls.want("x")
    await calls.want("a1", max_wait=3.0)
    await calls.want("a2")
    begin = asyncio.get_running_loop().time()

    with pytest.raises(ImageError) as caught:
        await calls.tasks["a1"]

    assert asyncio.get_running_loop().time() == begin + 3.0
    assert (caught.value.reason, caught.value.billed) == (Reason.SERVER_BUSY, Billed.NO)
    assert caught.value.retry_after == 1.0
    assert (calls.queue.running, calls.queue.waiting) == (1, 1)
    await calls.end("x", "a2")
    assert calls.order == ["x", "a2"]


@virtual
async def test_who_may_not_wait_is_refused_at_once() -> None:
    """Unless a slot is free."""
    calls = Calls(concurrency=1)
    await calls.want("x", max_wait=0.0)
    await calls.want("a1", max_wait=0.0)

    with pytest.raises(ImageError):
        await calls.tasks["a1"]
    assert calls.order == ["x"]
    await calls.end("x")


@virtual
async def test_the_cancelled_leave_no_trace() -> None:
    """Neither in the counts nor in the turns nor as a timer; the places behind move up."""
    calls = Calls(concurrency=1)
    await calls.want("x", "a1", "a2", "b1", "b2")
    await calls.cancel("a1", "b1", "b2")
    assert (calls.queue.running, calls.queue.waiting) == (1, 1)
    await asyncio.sleep(3)
    assert calls.positions["a2"] == [(0.0, 1), (2.0, 0)]

    await calls.cancel("a2")
    assert (calls.queue.running, calls.queue.waiting) == (1, 0)
    assert no_timers()
    assert vars(calls.queue._line) == {"_callers": {}, "_length": 0}
    await calls.end("x")


@virtual
async def test_a_slot_given_to_one_who_has_just_been_cancelled_is_not_lost() -> None:
    """In either order within one turn of the loop."""
    for first in ("cancel", "end"):
        calls = Calls(concurrency=1)
        async with calls.queue.slot("x", lambda _: None, 0.0):
            await calls.want("a1", "a2")
            if first == "cancel":
                calls.tasks["a1"].cancel()
        if first == "end":
            calls.tasks["a1"].cancel()
        await settle()

        assert calls.order == ["a2"]
        assert (calls.queue.running, calls.queue.waiting) == (1, 0)
        assert calls.tasks["a1"].cancelled()
        await calls.end("a2")
        assert calls.queue.running == 0


@virtual
async def test_one_who_was_cancelled_with_a_slot_gives_its_start_back() -> None:
    """Nothing was sent in its minute."""
    calls = Calls(concurrency=1, requests_per_minute=2)
    async with calls.queue.slot("x", lambda _: None, 0.0):
        await calls.want("a1", "a2")
    calls.tasks["a1"].cancel()
    await settle()

    assert calls.order == ["a2"]
    await calls.end("a2")


@virtual
async def test_an_error_while_a_position_is_told_takes_no_place() -> None:
    """The call fails, the queue goes on."""
    queue = FairQueue(QueueSettings(concurrency=1))

    def fail(_: int) -> None:
        raise RuntimeError

    async with queue.slot("a", fail, 9.0):
        with pytest.raises(RuntimeError):
            async with queue.slot("a", fail, 9.0):
                pass
        assert (queue.running, queue.waiting) == (1, 0)
    assert queue.running == 0


@virtual
async def test_no_more_start_in_a_minute_than_allowed() -> None:
    """In any 60 s, not from one full minute to the next; concurrency is another limit."""
    calls = Calls(concurrency=4, requests_per_minute=3)
    begin = asyncio.get_running_loop().time()
    await calls.want("a1")
    await asyncio.sleep(50)
    await calls.want("a2", "a3", "a4", "a5", "a6")
    await calls.end("a1", "a2", "a3")
    await asyncio.sleep(120)

    assert [start - begin for start in calls.starts] == pytest.approx([0, 50, 50, 60, 110, 110])
    await calls.end("a4", "a5", "a6")
    assert no_timers()


@virtual
async def test_a_full_minute_and_full_slots_wait_for_both() -> None:
    """The window may move long before a slot is free, and nothing spins meanwhile."""
    calls = Calls(concurrency=1, requests_per_minute=1)
    begin = asyncio.get_running_loop().time()
    await calls.want("a1", "a2")
    await asyncio.sleep(300)
    await calls.end("a1")

    assert [start - begin for start in calls.starts] == pytest.approx([0, 300])
    await calls.end("a2")


@virtual
async def test_a_newcomer_does_not_pass_those_who_wait_for_the_minute() -> None:
    """Although slots are free."""
    calls = Calls(concurrency=9, requests_per_minute=1)
    await calls.want("a1", "a2")
    await asyncio.sleep(30)
    await calls.want("b1")
    await asyncio.sleep(120)

    assert calls.order == ["a1", "a2", "b1"]
    await calls.end("a1", "a2", "b1")


@virtual
async def test_a_newcomer_does_not_pass_those_who_are_overdue() -> None:
    """The minute is over, but nobody has had the time to let them in."""
    calls = Calls(concurrency=9, requests_per_minute=1)
    await calls.want("a1", "a2")
    keep_busy(60)
    await calls.want("b1")
    await settle()

    assert calls.order == ["a1", "a2"]
    await calls.cancel("a1", "a2", "b1")


@virtual
async def test_the_wait_that_is_told_is_that_of_the_minute() -> None:
    """When it is the minute that is full."""
    calls = Calls(concurrency=9, queue=0, requests_per_minute=1)
    await calls.want("a1")
    await asyncio.sleep(20)
    await calls.want("a2", max_wait=10.0)

    with pytest.raises(ImageError) as caught:
        calls.queue.require_room()
    assert caught.value.retry_after == pytest.approx(40.0)
    with pytest.raises(ImageError) as caught:
        await calls.tasks["a2"]
    assert caught.value.retry_after == pytest.approx(30.0)
    await calls.end("a1")


@virtual
async def test_the_queue_has_room_for_as_many_as_set() -> None:
    """As many wait; one more is refused with a wait, and nothing was billed."""
    calls = Calls(concurrency=1, queue=2)
    for name in ("a1", "a2", "a3"):
        calls.queue.require_room()
        await calls.want(name)

    with pytest.raises(ImageError) as caught:
        calls.queue.require_room()

    assert (caught.value.reason, caught.value.billed) == (Reason.SERVER_BUSY, Billed.NO)
    assert caught.value.retry_after == 1.0
    await calls.cancel("a2")
    calls.queue.require_room()
    await calls.end("a1", "a3")


@virtual
async def test_without_a_queue_there_is_room_while_a_slot_is_free() -> None:
    """0 means that nobody waits, not that nobody is served."""
    calls = Calls(concurrency=1, queue=0)
    calls.queue.require_room()
    await calls.want("a1")

    with pytest.raises(ImageError):
        calls.queue.require_room()
    await calls.end("a1")
    calls.queue.require_room()


@virtual
async def test_a_slot_is_given_back_whatever_happens_within() -> None:
    """An exception passes through."""
    queue = FairQueue(QueueSettings(concurrency=1))

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with queue.slot("a", lambda _: None, 0.0):
                raise ZeroDivisionError
    assert queue.running == 0


@virtual
async def test_a_thousand_of_a_thousand_callers_wait_in_order() -> None:
    """Each is told its place, and each comes to its turn."""
    calls = Calls(concurrency=1)
    names = [f"{chr(0x4E00 + number)}1" for number in range(1000)]
    await calls.want("x", *names)
    assert [calls.positions[name][0][1] for name in names] == list(range(1000))

    async with AsyncExitStack() as stack:
        for name in ("x", *names):
            stack.push_async_callback(calls.end, name)
            calls.leave[name].set()
    assert calls.order == ["x", *names]


def no_timers() -> bool:
    """Tell whether the running loop has nothing planned."""
    return not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
