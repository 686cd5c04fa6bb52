"""This process among those that share the store: its sign of life, and what it still owes Redis."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress

import structlog

from imagegen_server.domain.errors import ImageError
from imagegen_server.generation.faults import describe_fault

from .connection import Connection, Script
from .room import BEAT, LEAVE
from .settings import BEAT_SECONDS, LEASE_SECONDS

MICROSECONDS = 1_000_000

_logger = structlog.get_logger("imagegen.store")


class Worker:
    """Runs the steps of room.py for one process, and lets Redis know that the process is there.

    What must not fail is owed: it is done in order before the next step that depends on it, and again with every sign
    of life until Redis takes it.
    """

    def __init__(self, connection: Connection, name: str, max_bytes: int, request_ttl: float) -> None:
        """Nothing is sent yet."""
        self.connection = connection
        self.name = name
        self._common = (max_bytes, round(request_ttl * MICROSECONDS))
        self._owed: dict[Hashable, Callable[[], Awaitable[object]]] = {}
        self._paying = asyncio.Lock()
        self._payment: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._closed = False
        self._known = False
        """Redis knows this process, and all that it has told."""
        self.on_return: list[Callable[[], Awaitable[None]]] = []
        """What is done when Redis did not know this process: at the start, after a restart of Redis, or when it was not
        heard of for too long."""
        self.on_beat: list[Callable[[], Awaitable[None]]] = []

    async def run(self, script: Script, *arguments: str | bytes | float, seconds: float | None = None) -> object:
        """Run a script, once this process is known to Redis and what it owes is done.

        :raises ImageError: STORE_UNAVAILABLE
        """
        if self._beating is None and not self._closed:
            await self.start()
        if self._owed:
            await self.pay()
        return await self.step(script, *arguments, seconds=seconds)

    async def step(
        self, script: Script, *arguments: str | bytes | float, seconds: float | None = None, probing: bool = False
    ) -> object:
        """Run a script as it is, in whatever state this process is.

        :raises ImageError: STORE_UNAVAILABLE
        """
        given = (*self._common, *arguments)
        return await self.connection.run(script, *given, seconds=seconds, probing=probing)

    async def start(self) -> None:
        """Give the first sign of life, and go on.

        :raises ImageError: STORE_UNAVAILABLE
        """
        await self.beat()
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat_on())

    async def beat(self) -> None:
        """Give a sign of life, and put right what Redis has forgotten.

        :raises ImageError: STORE_UNAVAILABLE
        """
        if await self.step(BEAT, self.name, round(LEASE_SECONDS * MICROSECONDS), probing=True):
            self._known = False
        if not self._known:
            for tell in self.on_return:
                await tell()
            self._known = True
        await self.pay()
        for tell in self.on_beat:
            await tell()

    def owe(self, key: Hashable, script: Script, *arguments: str | bytes | float) -> None:
        """Run a script as soon as Redis takes it. What was owed under the same key before is not done any more."""
        self._owed.pop(key, None)
        self._owed[key] = lambda: self.step(script, *arguments)
        if self._payment is None and not self._closed:
            self._payment = asyncio.create_task(self._pay_soon())

    @property
    def owes(self) -> bool:
        """Something is owed."""
        return bool(self._owed)

    async def try_to_pay(self) -> None:
        """Do what is owed, or leave it to the next sign of life."""
        with suppress(ImageError):
            await self.pay()

    async def pay(self) -> None:
        """Do what is owed.

        :raises ImageError: STORE_UNAVAILABLE; the rest is still owed
        """
        async with self._paying:
            while self._owed:
                key, step = next(iter(self._owed.items()))
                await step()
                if self._owed.get(key) is step:
                    del self._owed[key]

    async def close(self) -> None:
        """Do what is owed, say good-bye, and stop. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for task in (self._beating, self._payment):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        with suppress(ImageError):
            await self.pay()
            await self.step(LEAVE, self.name)

    async def _pay_soon(self) -> None:
        try:
            await self.try_to_pay()
        finally:
            self._payment = None

    async def _beat_on(self) -> None:
        known = True
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.beat()
            except ImageError as error:
                if known:
                    _logger.error("store does not answer", problem=error.message)  # noqa: TRY400
                known = False
            except Exception as fault:  # noqa: BLE001 - without a sign of life this process counts as gone
                _logger.error("fault in a sign of life", **describe_fault(fault))  # noqa: TRY400
            else:
                if not known:
                    _logger.info("store answers again")
                known = True
