"""Whatever calls come, end and are cancelled, the queue keeps its promises."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.generation.fair_queue import FairQueue, QueueSettings

from tests.support.virtual_time import run_in_virtual_time

CALLERS = "abc"
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from(CALLERS)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("pass"), st.sampled_from([0, 1, 3, 20])),
    ),
    max_size=60,
)


@dataclass(eq=False)
class Call:
    """One call and what came of it."""

    caller: str
    came: int
    started: int | None = None
    positions: list[int] = field(default_factory=list)
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    def cancel(self) -> None:
        """Cancel it, wherever it is."""
        assert self.task is not None
        self.task.cancel()


class Play:
    """Runs steps against a queue; every event has a number, so that their order can be judged afterwards."""

    def __init__(self, concurrency: int, requests_per_minute: int | None, *, together: bool) -> None:
        """Begin with an empty queue. `together`: steps that follow each other fall into one turn of the loop."""
        self.concurrency = concurrency
        self.together = together
        self.queue = FairQueue(QueueSettings(concurrency, 1000, requests_per_minute))
        self.calls: list[Call] = []
        self.start_times: list[float] = []
        self.number = 0
        self.ended: dict[Call, int] = {}

    def count(self) -> int:
        """Number an event."""
        self.number += 1
        return self.number

    async def hold(self, call: Call) -> None:
        """Be one call."""
        try:
            async with self.queue.slot(call.caller, call.positions.append, 1e6):
                call.started = self.count()
                self.start_times.append(asyncio.get_running_loop().time())
                assert self.queue.running <= self.concurrency
                await call.leave.wait()
        finally:
            self.ended[call] = self.count()

    def running(self) -> list[Call]:
        """List those who have a slot."""
        return [call for call in self.calls if call.started is not None and call not in self.ended]

    async def run(self, steps: Iterable[tuple[str, str | int]]) -> None:
        """Do the steps."""
        for kind, value in steps:
            match kind, value:
                case "come", str(caller):
                    call = Call(caller, self.count())
                    self.calls.append(call)
                    call.task = asyncio.create_task(self.hold(call))
                    await asyncio.sleep(0)
                case "end", int(number) if self.running():
                    self.running()[number % len(self.running())].leave.set()
                case "cancel", int(number) if self.calls:
                    self.calls[number % len(self.calls)].cancel()
                case "pass", int(seconds):
                    await asyncio.sleep(seconds)
            for _ in range(0 if self.together else 5):
                await asyncio.sleep(0)

    async def finish(self) -> None:
        """Let all come to their turn, a few seconds apart."""
        while len(self.ended) < len(self.calls):
            for call in self.running():
                call.leave.set()
            await asyncio.sleep(3)
        await asyncio.gather(*(call.task for call in self.calls if call.task), return_exceptions=True)


def play(
    steps: Iterable[tuple[str, str | int]],
    concurrency: int = 1,
    requests_per_minute: int | None = None,
    *,
    together: bool = False,
) -> Play:
    """Run the steps to the end of every call."""
    made = Play(concurrency, requests_per_minute, together=together)

    async def work() -> None:
        await made.run(steps)
        await made.finish()
        assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    run_in_virtual_time(work())
    return made


@given(steps=STEPS, concurrency=st.integers(1, 3), per_minute=st.none() | st.integers(1, 3), together=st.booleans())
def test_all_come_to_their_turn_and_nothing_is_left(
    steps: list[tuple[str, str | int]], concurrency: int, per_minute: int | None, *, together: bool
) -> None:
    """Who is not cancelled starts, within the limits; at the end nothing runs, waits, or is planned."""
    played = play(steps, concurrency, per_minute, together=together)

    assert (played.queue.running, played.queue.waiting) == (0, 0)
    for call in played.calls:
        assert call.task is not None
        assert call.task.cancelled() or (call.task.exception() is None and call.started is not None)
        assert all(position >= 0 for position in call.positions)
    if per_minute:
        starts = sorted(played.start_times)
        assert all(later >= earlier + 60 for earlier, later in zip(starts, starts[per_minute:], strict=False))


@given(STEPS, st.integers(1, 3), st.none() | st.integers(1, 3))
def test_nobody_starves(steps: list[tuple[str, str | int]], concurrency: int, per_minute: int | None) -> None:
    """While a call waits, no other caller gets two slots between two of this caller's; its own go in their order."""
    played = play(steps, concurrency, per_minute)
    started = sorted((call for call in played.calls if call.started), key=lambda call: call.started or 0)

    for call in started:
        between = [
            other for other in started if call.came < (other.started or 0) < (call.started or 0) and other is not call
        ]
        own = [other.started or 0 for other in between if other.caller == call.caller]
        assert all(other.came < call.came for other in between if other.caller == call.caller)
        for caller in CALLERS.replace(call.caller, ""):
            theirs = [other.started or 0 for other in between if other.caller == caller]
            for begin, end in zip([call.came, *own], [*own, call.started or 0], strict=True):
                assert sum(begin < start < end for start in theirs) <= 1


@given(
    st.lists(st.sampled_from(CALLERS), min_size=1, max_size=12), st.lists(st.integers(0, 11), unique=True, max_size=4)
)
def test_positions_fall_to_the_first(callers: list[str], cancelled: list[int]) -> None:
    """Told truly: without newcomers and with time between turns, each place is one less, down to 0."""
    steps: list[tuple[str, str | int]] = [("come", caller) for caller in ["a", *callers]]
    steps += [("cancel", number + 1) for number in cancelled if number < len(callers)]
    played = play([*steps, ("pass", 3)])

    waited = [call for call in played.calls[1:] if call.started]
    for turn, call in enumerate(sorted(waited, key=lambda call: call.started or 0)):
        later = call.positions[1:]  # the first was told before all others had come
        assert later == sorted(set(later), reverse=True)
        assert call.positions[-1] == 0
        assert set(range(turn)) <= set(call.positions)
