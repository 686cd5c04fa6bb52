"""A raw HTTP/1.1 server on loopback that does what a test tells it, byte by byte, and remembers what it was sent."""

import asyncio
import contextlib
import email.parser
import email.policy
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self, cast

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.client import HttpClient, HttpSettings

PATIENCE = 10.0
"""Seconds after which a test fails instead of hanging. Nothing takes that long."""


@dataclass(frozen=True)
class Received:
    """A request as it stood on the wire. `head` with its empty line."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.partition(b"\r\n")[0].decode("ascii")

    @property
    def headers(self) -> EmailMessage:
        """The headers, as the standard library reads them."""
        return _parsed(self.head.partition(b"\r\n")[2])

    @property
    def parts(self) -> list[tuple[str, str | None, str | None, bytes]]:
        """Name, filename, content type and data of each part of a form, as the standard library reads them."""
        content_type = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode("ascii")
        form = _parsed(content_type + self.body)
        assert not form.defects
        parts = [cast("EmailMessage", part) for part in form.iter_parts()]
        return [
            (
                str(part.get_param("name", header="content-disposition")),
                part.get_filename(),
                part.get_content_type() if "content-type" in part else None,
                cast("bytes", part.get_payload(decode=True)),
            )
            for part in parts
        ]


def _parsed(data: bytes) -> EmailMessage:
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    return parser.parsebytes(data)


class Exchange:
    """One request, and the connection to answer it on."""

    def __init__(self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Made by the server."""
        self.received = received
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, body: bytes = b"", status: str = "200 OK", *headers: str) -> None:
        """Send a whole answer with its length."""
        head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
        await self.send(f"{head}\r\n".encode("latin-1") + body)

    def hang_up(self) -> None:
        """Close the connection."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()

    async def closed_by_peer(self) -> int:
        """Wait until the other side has closed, however it did, and count the bytes that came before."""
        count = 0
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await self._reader.read(65_536):
                count += len(data)
        return count

    async def tunnel(self, port: int) -> None:
        """Do as a proxy: accept CONNECT and carry bytes to and from a port of this host until one side ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await self.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_carry(self._reader, writer), _carry(reader, self._writer))
        finally:
            writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


Script = Callable[[Exchange], Awaitable[None]]


async def say_yes(exchange: Exchange) -> None:
    """Answer with a small body of JSON."""
    await exchange.answer(b'{"yes":true}', "200 OK", "Content-Type: application/json")


_STEPS_OF_ARRIVAL = 4
"""Turns of the event loop until a connection that it has taken from the kernel is known here."""


class HttpServer:
    """An async context manager that answers every request by a script; `requests` holds them in order."""

    def __init__(
        self, script: Script = say_yes, context: ssl.SSLContext | None = None, *, reads_body: bool = True
    ) -> None:
        """Listen when entered; with TLS if there is a context. `reads_body`: before the script has its turn."""
        self.script = script
        self.requests: list[Received] = []
        self.faults: list[BaseException] = []
        self._context = context
        self._reads_body = reads_body
        self._arrived = asyncio.Condition()
        self._tasks: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._connections = 0

    async def __aenter__(self) -> Self:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything, and say what went wrong in a script."""
        self._server.close()
        for _ in range(_STEPS_OF_ARRIVAL):
            await asyncio.sleep(0)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.gather(*(writer.wait_closed() for writer in self._tasks), return_exceptions=True)
        await self._server.wait_closed()
        if self.faults and error is None:
            raise self.faults[0]

    @property
    def url(self) -> str:
        """A base URL without a path."""
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many were accepted so far."""
        return self._connections

    async def arrived(self, count: int) -> None:
        """Wait until so many requests have come in whole."""
        async with asyncio.timeout(PATIENCE), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        if not self._server.is_serving():
            writer.transport.abort()  # it had come before the end, and its handshake took until now
            return
        task = self._tasks[writer] = asyncio.create_task(self._serve(reader, writer, self._connections))
        # Not in the task: one that is stopped before its first step closes nothing.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        try:
            while not writer.is_closing():
                received = await self._receive(reader, connection)
                async with self._arrived:
                    self.requests.append(received)
                    self._arrived.notify_all()
                await self.script(Exchange(received, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        except Exception as fault:  # noqa: BLE001 - raised in the test when the server is left
            self.faults.append(fault)

    async def _receive(self, reader: asyncio.StreamReader, connection: int) -> Received:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = _parsed(head.partition(b"\r\n")[2])
        assert "Transfer-Encoding" not in headers, "a request has a length"
        length = int(headers.get("Content-Length", "0")) if self._reads_body else 0
        return Received(head, await reader.readexactly(length), connection)


ENGINES = ("aiohttp", "httpx")


@contextlib.asynccontextmanager
async def client_of(base_url: str, **settings: Any) -> AsyncGenerator[HttpClient, None]:
    """Open a client and close it at the end."""
    client = HttpClient(HttpSettings(base_url, **settings))
    try:
        yield client
    finally:
        await client.close()


async def connection_failure(client: HttpClient) -> ImageError:
    """Make a call that fails for want of a connection, and return what it raised."""
    with pytest.raises(ImageError) as caught:
        async with client.post_json("x", {}, {}) as got:
            await got.read()
    assert caught.value.reason is Reason.NETWORK_ERROR
    return caught.value


def collected(chunks: AsyncIterable[bytes]) -> list[bytes]:
    """Read all chunks, outside of any event loop."""

    async def collect() -> list[bytes]:
        return [chunk async for chunk in chunks]

    return asyncio.run(collect())
