"""Who may send a request to a provider next: fair among callers, and within the provider's limits."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.errors import ImageError, Reason

_MINUTE = 60.0
_REPORT_SECONDS = 1.0
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How many requests may run at a time, how many calls may wait, and how many requests may start in any 60 s."""

    concurrency: int = 64
    queue: int = 1000
    requests_per_minute: int | None = None


class _Waiter:
    """A call that waits for its turn. `granted` comes to True with a slot, to False when it has waited too long."""

    __slots__ = ("caller", "granted", "new", "on_position", "position", "start")

    def __init__(self, caller: str, on_position: Callable[[int], None], granted: asyncio.Future[bool]) -> None:
        self.caller = caller
        self.on_position = on_position
        self.granted = granted
        self.position = 0
        self.new = True
        self.start = 0.0

    @property
    def has_slot(self) -> bool:
        return self.granted.done() and not self.granted.cancelled() and self.granted.result()


class _Line:
    """Those who wait. The callers take turns; a caller's own calls go in the order in which they came."""

    def __init__(self) -> None:
        self._callers: OrderedDict[str, OrderedDict[_Waiter, None]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[_Waiter]:
        """Go through them in the order in which their turns come."""
        rounds = [iter(waiters) for waiters in self._callers.values()]
        while rounds:
            unfinished = []
            for waiters in rounds:
                waiter = next(waiters, None)
                if waiter is not None:
                    unfinished.append(waiters)
                    yield waiter
            rounds = unfinished

    def add(self, waiter: _Waiter) -> int:
        """Put one in; tells how many go first."""
        own = self._callers.setdefault(waiter.caller, OrderedDict())
        ahead, turn, before = len(own), len(own), 1
        for caller, waiters in self._callers.items():
            if caller == waiter.caller:
                before = 0
            else:
                ahead += min(len(waiters), turn + before)
        own[waiter] = None
        self._length += 1
        return ahead

    def pop(self) -> _Waiter:
        """Take out whose turn it is."""
        caller, waiters = next(iter(self._callers.items()))
        waiter = next(iter(waiters))
        self._callers.move_to_end(caller)
        self.remove(waiter)
        return waiter

    def remove(self, waiter: _Waiter) -> None:
        """Take one out, if it is still there."""
        own = self._callers.get(waiter.caller)
        if own is None or waiter not in own:
            return
        del own[waiter]
        self._length -= 1
        if not own:
            del self._callers[waiter.caller]


class FairQueue:
    """Gives out the slots of one provider: to callers by turns, to each caller's calls in their order."""

    def __init__(self, settings: QueueSettings) -> None:
        """Start with nothing running and nobody waiting."""
        self._settings = settings
        self._line = _Line()
        self._starts: deque[float] = deque()
        """When the requests of the last minute began; empty without requests_per_minute."""
        self._window_timer: asyncio.TimerHandle | None = None
        self._report_timer: asyncio.TimerHandle | None = None
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._line)

    def require_room(self) -> None:
        """See that one more call may wait, or need not.

        :raises ImageError: SERVER_BUSY with a wait
        """
        now = asyncio.get_running_loop().time()
        if self.waiting >= self._settings.queue and not self._free(now):
            raise ImageError(
                Reason.SERVER_BUSY,
                f"{self.waiting} calls wait for this provider, as many as may",
                retry_after=self._retry_after(now),
            )

    @asynccontextmanager
    async def slot(self, caller: str, on_position: Callable[[int], None], max_wait: float) -> AsyncIterator[None]:
        """Hold a slot for as long as the context lasts, after waiting for it for at most `max_wait` seconds.

        `on_position` is told how many calls go first: at once if this one must wait, then at most once a second and if
        it changed.

        :raises ImageError: SERVER_BUSY with a wait; `max_wait` is over
        """
        now = asyncio.get_running_loop().time()
        if self._free(now):
            self._start(now)
        else:
            await self._wait(caller, on_position, max_wait)
        try:
            yield
        finally:
            self._end()

    async def _wait(self, caller: str, on_position: Callable[[int], None], max_wait: float) -> None:
        loop = asyncio.get_running_loop()
        waiter = _Waiter(caller, on_position, loop.create_future())
        waiter.position = self._line.add(waiter)
        self._set_timers()
        timer = loop.call_later(max_wait, self._give_up, waiter)
        try:
            on_position(waiter.position)
            if await waiter.granted:
                return
        except BaseException:
            self._remove(waiter)
            if waiter.has_slot:
                self._take_back(waiter)
            raise
        finally:
            timer.cancel()
        raise ImageError(
            Reason.SERVER_BUSY,
            f"the call's turn with the provider did not come within {max_wait:g} s",
            retry_after=self._retry_after(loop.time()),
        )

    def _give_up(self, waiter: _Waiter) -> None:
        if not waiter.granted.done():
            waiter.granted.set_result(False)
            self._remove(waiter)

    def _remove(self, waiter: _Waiter) -> None:
        self._line.remove(waiter)
        self._set_timers()

    def _free(self, now: float) -> bool:
        """Tell whether a newcomer may start."""
        return not self._line and self._within_limits(now)

    def _within_limits(self, now: float) -> bool:
        """Tell whether the provider may get one more request."""
        while self._starts and self._starts[0] + _MINUTE <= now:
            self._starts.popleft()
        return self.running < self._settings.concurrency and not self._window_full()

    def _window_full(self) -> bool:
        most = self._settings.requests_per_minute
        return most is not None and len(self._starts) >= most

    def _retry_after(self, now: float) -> float:
        """Guess in how many seconds it is worth asking again."""
        return max(_RETRY_SECONDS, self._starts[0] + _MINUTE - now if self._window_full() else 0.0)

    def _start(self, now: float) -> None:
        self.running += 1
        if self._settings.requests_per_minute is not None:
            self._starts.append(now)

    def _end(self) -> None:
        self.running -= 1
        self._grant()

    def _take_back(self, waiter: _Waiter) -> None:
        """Take a slot back that was not used, as if it had not been given."""
        if waiter.start in self._starts:
            self._starts.remove(waiter.start)
        self._end()

    def _grant(self) -> None:
        """Give out the slots that are free."""
        now = asyncio.get_running_loop().time()
        while self._line and self._within_limits(now):
            waiter = self._line.pop()
            if not waiter.granted.done():  # else it was cancelled, and does not know yet
                waiter.granted.set_result(True)
                waiter.start = now
                self._start(now)
        self._set_timers()

    def _set_timers(self) -> None:
        """Have a timer for reports while somebody waits, one for the window if it is full, and else none."""
        loop = asyncio.get_running_loop()
        if not self._line:
            for timer in (self._window_timer, self._report_timer):
                if timer is not None:
                    timer.cancel()
            self._window_timer = self._report_timer = None
            return
        if self._report_timer is None:
            self._report_timer = loop.call_later(_REPORT_SECONDS, self._report)
        if self._window_timer is None and self._window_full():
            self._window_timer = loop.call_at(self._starts[0] + _MINUTE, self._window_moved)

    def _window_moved(self) -> None:
        self._window_timer = None
        self._grant()

    def _report(self) -> None:
        """Tell those their positions to whom they are news, but for those who have just come."""
        self._report_timer = None
        self._set_timers()
        for position, waiter in enumerate(list(self._line)):
            if not waiter.new and position != waiter.position:
                waiter.position = position
                waiter.on_position(position)
            waiter.new = False
