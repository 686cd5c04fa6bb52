"""Things that are forgotten when their time has come."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class ExpiryQueue(Generic[K]):
    """Keys that all live equally long from when they were last renewed. One timer for all: there may be millions."""

    def __init__(self, seconds: float, on_expired: Callable[[K], None]) -> None:
        """Call `on_expired` for each key whose time has come."""
        self._seconds = seconds
        self._on_expired = on_expired
        self._times: dict[K, float] = {}
        """On the event loop's clock. Renewed ones go to the end, so the first is always the next to expire."""
        self._timer: asyncio.TimerHandle | None = None

    def renew(self, key: K) -> None:
        """Let a key, old or new, live its whole time from now on."""
        self._times.pop(key, None)
        self._times[key] = asyncio.get_running_loop().time() + self._seconds
        self._wait()

    def seconds_left(self, key: K) -> float:
        """Tell how long a key lives on that is there."""
        return self._times[key] - asyncio.get_running_loop().time()

    def discard(self, key: K) -> None:
        """Forget a key before its time, if it is there."""
        self._times.pop(key, None)

    def close(self) -> None:
        """Stop the timer; nothing expires any more."""
        self._times.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        if self._timer is None and self._times:
            first = next(iter(self._times.values()))
            self._timer = asyncio.get_running_loop().call_at(first, self._expire)

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        while self._times and self._times[first := next(iter(self._times))] <= now:
            del self._times[first]
            self._on_expired(first)
        self._wait()
