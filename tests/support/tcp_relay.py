"""A TCP relay whose connections a test can cut, stall and refuse: the bad line between two ends."""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Final, Self

_PIECE: Final = 64 * 1024
# Linger for no time: closing sends RST and drops what was not sent.
_RESET: Final = struct.pack("ii", 1, 0)


class TcpRelay:
    """Listens on a free loopback port and passes every byte on to `target` and back. One event loop, no thread.

    What it does, it does to all of its connections; new ones may be made at any time unless it refuses them.
    """

    def __init__(self, target: str) -> None:
        """Relay to `target`, "host:port". Nothing listens before the `async with` block."""
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._open: set[_Line] = set()
        self._stalled = False
        self._muted = False
        self._refusing = False
        self._left: int | None = None
        self.address = ""
        """Where it listens, "127.0.0.1:port". Empty before the block."""
        self.accepted = 0
        """Connections that were made so far, refused ones included."""
        self.cuts = 0
        """How often it was cut."""

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        """Start to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_PIECE)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more and cut what is open; nothing of it is left afterwards."""
        self._server.close()
        lines = list(self._open)
        self.cut()
        await asyncio.gather(*(line.ended.wait() for line in lines))
        await self._server.wait_closed()

    def cut(self) -> None:
        """Reset every open connection, to both sides: each gets RST, and bytes on their way are lost."""
        self.cuts += 1
        self._left = None
        for line in list(self._open):
            line.reset()

    def cut_after(self, size: int) -> None:
        """Cut once `size` more bytes, at least one, came back from the target, all connections together.

        No more than these reach the client, and the reset may overtake the last of them.
        """
        assert size > 0
        self._left = size

    def stall(self) -> None:
        """Pass nothing on until `resume()`, in either direction. Connections stay open and can still be made."""
        self._stalled = True
        for line in self._open:
            line.flowing.clear()

    def mute(self) -> None:
        """Pass nothing back from the target until `resume()`. What the client sends still arrives."""
        self._muted = True
        for line in self._open:
            line.returning.clear()

    def resume(self) -> None:
        """Pass on again, beginning with what waited."""
        self._stalled = self._muted = False
        for line in self._open:
            line.flowing.set()
            line.returning.set()

    def refuse(self) -> None:
        """Reset new connections as soon as they are made, until `accept()`. Open ones are left alone."""
        self._refusing = True

    def accept(self) -> None:
        """Take new connections again."""
        self._refusing = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._refusing:
            _reset(writer)
            return
        line = _Line(writer)
        if self._stalled:
            line.flowing.clear()
        if self._muted:
            line.returning.clear()
        self._open.add(line)
        try:
            with contextlib.suppress(OSError):
                upstream_reader, upstream_writer = await asyncio.open_connection(self._host, self._port, limit=_PIECE)
                line.join(upstream_writer)
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self._pump(reader, upstream_writer, line, back=False))
                    pumps.create_task(self._pump(upstream_reader, writer, line, back=True))
        finally:
            self._open.discard(line)
            line.reset()
            line.ended.set()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: "_Line", *, back: bool
    ) -> None:
        try:
            while piece := await reader.read(_PIECE):
                await line.flowing.wait()
                if back:
                    await line.returning.wait()
                if line.broken:
                    return
                if not back or self._left is None:
                    writer.write(piece)
                    await writer.drain()
                    continue
                passed = piece[: self._left]
                self._left -= len(passed)
                writer.write(passed)
                await writer.drain()
                if self._left == 0:
                    self.cut()
                    return
            if writer.can_write_eof():
                writer.write_eof()
        except OSError:
            # One side broke: the other shall see that too.
            line.reset()


class _Line:
    """One connection: its two sides."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self._sides = [client]
        self.broken = False
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.returning = asyncio.Event()
        self.returning.set()
        self.ended = asyncio.Event()

    def join(self, upstream: asyncio.StreamWriter) -> None:
        self._sides.append(upstream)
        if self.broken:
            _reset(upstream)

    def reset(self) -> None:
        self.broken = True
        self.flowing.set()  # a stalled pump shall see that it is over
        self.returning.set()
        for side in self._sides:
            _reset(side)


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
