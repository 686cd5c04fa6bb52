"""An event loop in a thread of its own, for callers that have none."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

# A wait without limit does not notice a signal that comes just before it or to another thread, so it is begun anew.
_SIGNAL_SECONDS: Final = 0.1

# How long a call that is ended is given to tell the server and its caller; it takes a millisecond unless the loop is
# stuck.
_CANCEL_SECONDS: Final = 1.0


class LoopThread:
    """Runs coroutines for other threads, one loop and one daemon thread for all of them."""

    def __init__(self) -> None:
        """Start the thread."""
        started: Future[_Running] = Future()
        self._thread = threading.Thread(
            target=asyncio.run, args=(_serve(started),), name="imagegen-client", daemon=True
        )
        self._thread.start()
        self._loop, stop = started.result()
        # Also runs at interpreter exit, where a loop at work would be torn down under its calls.
        self._close = weakref.finalize(self, _close, self._loop, stop, self._thread)

    @property
    def running(self) -> bool:
        """Whether it takes work."""
        return self._close.alive

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run to the end and return what comes of it. An interrupt (Ctrl-C) cancels the work before it is raised.

        Raises:
            RuntimeError: the thread was closed.
        """
        if not self.running:
            work.close()
            raise RuntimeError("the client is closed")
        ended = threading.Event()
        future = asyncio.run_coroutine_threadsafe(_telling(work, ended), self._loop)
        try:
            self._wait(future)
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                ended.wait(_CANCEL_SECONDS)
            raise

    def _wait(self, future: Future[_T]) -> None:
        """Wait for the end, noticing signals and the end of the thread."""
        while not wait([future], timeout=_SIGNAL_SECONDS).done:
            if not self._thread.is_alive():
                raise RuntimeError("the client is closed")

    def call(self, function: Callable[[], _T]) -> _T:
        """Call a function that needs a running event loop."""

        async def work() -> _T:
            return function()

        return self.run(work())

    def close(self) -> None:
        """Cancel what runs and end the thread. More than once is fine."""
        self._close()


async def next_of(items: AsyncIterator[_T]) -> _T | None:
    """The next item, or None at the end: StopAsyncIteration does not pass through a future."""
    return await anext(items, None)


_Running = tuple[asyncio.AbstractEventLoop, asyncio.Event]


async def _serve(started: Future[_Running]) -> None:
    stop = asyncio.Event()
    started.set_result((asyncio.get_running_loop(), stop))
    await stop.wait()
    # Calls that were ended just now still have to tell those who wait for them; what is left after this is cancelled.
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=_CANCEL_SECONDS)


async def _telling(work: Coroutine[Any, Any, _T], ended: threading.Event) -> _T:
    try:
        return await work
    finally:
        ended.set()


def _close(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(stop.set)
    # The garbage collector may run this in the very thread.
    if threading.current_thread() is not thread:
        thread.join()
