"""A worker, as the supervisor sees it."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Self

from .link import BEAT_SECONDS, SERVING, Orders

_STDERR = 2
_SECOND_LOOK_SECONDS = 2 * BEAT_SECONDS


class WorkerProcess:
    """A process that was started, and the link to it."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Use what `start` has made."""
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, command: Sequence[str], orders: Orders) -> Self:
        """Start it, and give it its orders. What it prints goes to stderr: stdout has one line, of the supervisor.

        :raises OSError: no process can be started
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=_STDERR,
                    pass_fds=[theirs.fileno()],
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(orders.encoded())
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def serves(self) -> bool:
        """Wait until it serves; False = it ended before."""
        with contextlib.suppress(OSError):
            return await self._reader.readline() == SERVING
        return False

    async def hangs(self, silence: float) -> bool:
        """Wait until a worker that serves has given no sign of life for `silence` seconds; False = it ended before."""
        while True:
            heard = await self._heard_within(silence)
            if heard is None:
                # What came while this process itself stood still is read now.
                heard = await self._heard_within(_SECOND_LOOK_SECONDS)
            if heard is None:
                return True
            if not heard:
                return False

    async def _heard_within(self, seconds: float) -> bytes | None:
        """Read the next line; b"" = there will be none, None = there was none in time."""
        try:
            return await asyncio.wait_for(self._reader.readline(), seconds)
        except TimeoutError:
            return None
        except OSError:
            return b""

    async def ended(self) -> int:
        """Wait for its end; returns the exit status, negative = the number of the signal that ended it."""
        try:
            return await self._process.wait()
        finally:
            self._writer.close()

    def stop(self) -> None:
        """Have it drain and end. More than once is fine."""
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
