"""Starts the workers, starts those that end again, and ends with them."""

import asyncio
import contextlib
import dataclasses
import signal
import sys
import time
from collections.abc import Callable, Sequence
from random import Random

import structlog

from .link import Orders
from .pace import RestartPace
from .process import WorkerProcess

COMMAND = (sys.executable, "-P", "-m", "imagegen_server.workers.worker")
"""A new interpreter, which does not import from the working directory."""

SILENCE_SECONDS = 60.0
"""Nothing that a worker does holds up its event loop for so long: it hangs, and so do all calls that it has."""

_FAILED = 1
_INTERRUPTED = 130

_logger = structlog.get_logger("imagegen.server")


class _NotStartedError(Exception):
    """A worker ended before it served for the first time."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Supervisor:
    """Keeps `orders.workers` workers running."""

    def __init__(
        self,
        orders: Orders,
        announce: Callable[[], None],
        *,
        command: Sequence[str] = COMMAND,
        random: Random,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        """`orders` are those of the first worker; `announce` is called once all of them serve.

        A worker that gives no sign of life for `silence` seconds is killed.
        """
        self._orders = orders
        self._announce = announce
        self._command = command
        self._random = random
        self._silence = silence
        self._workers: dict[int, WorkerProcess] = {}
        self._keepers: list[asyncio.Task[int]] = []
        self._stopping = asyncio.Event()
        self._told = False
        self._interrupted = False

    async def run(self) -> int:
        """Serve until told to stop; returns the exit status.

        0 every worker ended well, 1 one of them did not, 130 told twice. If a worker cannot start at first: its own
        status, as its settings are those of all. It has said on stderr what was wrong.

        :raises OSError: no process can be started
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        try:
            await self._start()
            await self._stopping.wait()
        except _NotStartedError as problem:
            return problem.status
        finally:
            self._stop()
            statuses = await asyncio.gather(*self._keepers)
        if self._interrupted:
            return _INTERRUPTED
        return _FAILED if any(statuses) else 0

    async def _start(self) -> None:
        """Start one, and the others once it serves: what is wrong with the settings is said once."""
        numbers = range(1, self._orders.workers + 1)
        for group in (numbers[:1], numbers[1:]):
            started = [self._keep(number) for number in group]
            await asyncio.gather(*started)
            if self._stopping.is_set():
                return
        self._announce()

    def _keep(self, number: int) -> "asyncio.Future[None]":
        """Keep this worker running. The future is done when it first serves."""
        serves: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keepers.append(asyncio.create_task(self._kept(number, serves)))
        return serves

    async def _kept(self, number: int, serves: "asyncio.Future[None]") -> int:
        """Start the worker again and again; returns the status of the last one. Without it the others stop, too."""
        try:
            return await self._started_again(number, serves)
        finally:
            self._stop()
            if not serves.done():
                serves.set_result(None)

    async def _started_again(self, number: int, serves: "asyncio.Future[None]") -> int:
        pace = RestartPace(self._random)
        told: dict[str, object]
        while True:
            try:
                status, served = await self._run_one(number, serves)
                event, told = "worker ended", {"status": status}
            except OSError as problem:
                if not serves.done():
                    serves.set_exception(problem)
                    return _FAILED
                status, served = _FAILED, 0.0
                event, told = "worker not started", {"problem": str(problem)}
            if self._stopping.is_set():
                return status if served else 0  # one that never served has lost nothing, however it ended
            if not serves.done():
                serves.set_exception(_NotStartedError(status if status > 0 else _FAILED))
                return status
            wait = pace.wait_after(served)
            _logger.warning(event, worker=number, **told, restart_seconds=round(wait, 3))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)
                return 0

    async def _run_one(self, number: int, serves: "asyncio.Future[None]") -> tuple[int, float]:
        """Start a worker and wait for its end; returns its status, and for how many seconds it served."""
        orders = dataclasses.replace(self._orders, worker=number)
        self._workers[number] = worker = await WorkerProcess.start(self._command, orders)
        _logger.info("worker started", worker=number, pid=worker.pid)
        if self._interrupted:
            worker.kill()
        elif self._stopping.is_set():
            worker.stop()
        since = time.monotonic() if await worker.serves() else None
        if since is not None and not serves.done():
            serves.set_result(None)
        watching = asyncio.create_task(self._watch(number, worker))
        try:
            status = await worker.ended()
        finally:
            watching.cancel()
            del self._workers[number]
        return status, time.monotonic() - since if since is not None else 0.0

    async def _watch(self, number: int, worker: WorkerProcess) -> None:
        """End a worker that hangs. Those that are to end anyway are left to whoever said so."""
        if await worker.hangs(self._silence) and not self._stopping.is_set():
            _logger.error("worker hangs", worker=number, silent_seconds=self._silence)
            worker.kill()

    def _signalled(self) -> None:
        """Drain at the first signal, end at once at the second."""
        if not self._told:
            self._told = True
            self._stop()
            return
        self._interrupted = True
        for worker in self._workers.values():
            worker.kill()

    def _stop(self) -> None:
        """Have all drain. A worker that the signal reached, too, is told nothing new."""
        self._stopping.set()
        for worker in self._workers.values():
            worker.stop()
