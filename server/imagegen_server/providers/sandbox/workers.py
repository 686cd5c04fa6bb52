"""Threads for what would hold up the event loop, with a way to stop what nobody waits for any more."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from imagegen_server.domain.errors import ImageError, Reason

T = TypeVar("T")


class Stopped(Exception):
    """Nobody waits for this work any more."""


class Stop:
    """Tells a thread, between two stages of its work, that nobody waits for it any more."""

    def __init__(self) -> None:
        """Start with the work wanted."""
        self._event = Event()

    def set(self) -> None:
        """Say that the work is not wanted any more."""
        self._event.set()

    def check(self) -> None:
        """Raise Stopped if the work is not wanted any more."""
        if self._event.is_set():
            raise Stopped


class Workers:
    """A few threads, started when first needed."""

    def __init__(self, count: int) -> None:
        """Allow so many threads."""
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="sandbox")
        self._running: set[Stop] = set()
        self._closed = False

    async def run(self, work: Callable[[Stop], T]) -> T:
        """Do some work in a thread. When cancelled, return at once and let the thread stop at its next check.

        :raises ImageError: SHUTTING_DOWN, the threads are being ended
        """
        if self._closed:
            raise _ending()
        stop = Stop()
        self._running.add(stop)
        try:
            return await asyncio.wrap_future(self._pool.submit(_unless_stopped, work, stop))
        except Stopped:
            # Only close() stops a work that is still waited for.
            raise _ending() from None
        finally:
            stop.set()
            self._running.discard(stop)

    async def close(self) -> None:
        """Stop all work and end the threads."""
        self._closed = True
        for stop in self._running:
            stop.set()
        await asyncio.to_thread(self._pool.shutdown)


def _ending() -> ImageError:
    return ImageError(Reason.SHUTTING_DOWN, "the server is ending")


def _unless_stopped(work: Callable[[Stop], T], stop: Stop) -> T:
    stop.check()
    return work(stop)
