"""Calls that are given up: the provider sees it at once."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import trustme
from imagegen_server.http.client import FormFile, HttpClient

from tests.support.http_server import PATIENCE, Exchange, HttpServer, client_of, say_yes

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

_PROMPTLY = 1.0
"""Seconds in which a peer must see that a call was given up. A tenth is promised; machines that test are slow."""


async def _call(client: HttpClient) -> None:
    async with client.post_json("x", {}, {}):
        pass


@pytest.fixture(params=["http", "https"])
async def trusted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[tuple[ssl.SSLContext | None, str]]:
    """A context for a server, and the CA that a client needs; none of both for plain HTTP."""
    if request.param == "http":
        yield None, ""
        return
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    yield context, str(path)


@pytest.mark.parametrize("sent", [b"", _HEAD + b"Content-Length: 10\r\n\r\n123"], ids=["waiting", "reading"])
async def test_cancelling_hangs_up(engine: str, trusted: tuple[ssl.SSLContext | None, str], sent: bytes) -> None:
    """The provider sees it at once, and the cancellation is not turned into anything else."""
    closed = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        await exchange.send(sent)
        await exchange.closed_by_peer()
        closed.set()

    async def call(client: HttpClient) -> None:
        async with client.post_json("x", {}, {}) as got:
            async for _ in got.chunks():
                reading.set()

    context, ca = trusted
    reading = asyncio.Event()
    async with HttpServer(wait, context) as server, client_of(server.url, engine=engine, ca=ca) as client:
        task = asyncio.create_task(call(client))
        async with asyncio.timeout(PATIENCE):
            await server.arrived(1)
            if sent:
                await reading.wait()
        task.cancel()
        async with asyncio.timeout(_PROMPTLY):
            await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_leaving_early_hangs_up(engine: str, trusted: tuple[ssl.SSLContext | None, str]) -> None:
    """An answer that nobody reads to its end ends now, and its connection serves nobody else."""
    closed = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        if exchange.received.line.startswith("GET"):
            await say_yes(exchange)
            return
        await exchange.send(_HEAD + b"Content-Length: 1000000000\r\n\r\n123")
        await exchange.closed_by_peer()
        closed.set()

    context, ca = trusted
    async with HttpServer(endless, context) as server, client_of(server.url, engine=engine, ca=ca) as client:
        async with client.post_json("x", {}, {}) as got:
            assert got.status == 200
        async with asyncio.timeout(_PROMPTLY):
            await closed.wait()
        async with client.get("x", {}) as got:
            assert await got.read() == b'{"yes":true}'
    assert [request.connection for request in server.requests] == [1, 2]


async def test_cancelling_an_upload_drops_the_rest(engine: str, trusted: tuple[ssl.SSLContext | None, str]) -> None:
    """What waits in buffers is not delivered first."""
    cancelled = asyncio.Event()
    counts: asyncio.Queue[int] = asyncio.Queue()

    async def stall(exchange: Exchange) -> None:
        await cancelled.wait()
        await counts.put(await exchange.closed_by_peer())

    async def call(client: HttpClient) -> None:
        async with client.post_form("x", [], [FormFile("image", "i.png", "image/png", bytes(60_000_000))], {}):
            pass

    context, ca = trusted
    async with (
        HttpServer(stall, context, reads_body=False) as server,
        client_of(server.url, engine=engine, ca=ca) as client,
    ):
        task = asyncio.create_task(call(client))
        await server.arrived(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()
        async with asyncio.timeout(PATIENCE):
            assert await counts.get() < 60_000_000


async def test_hanging_up_waits_for_no_farewell(engine: str, tmp_path: Path) -> None:
    """A TLS peer that does not answer the closing alert sees the end of the connection all the same."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    mute, closed = asyncio.Event(), asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        await exchange.closed_by_peer()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", server.port)

        async def carry_back() -> None:
            while data := await from_server.read(65_536):
                if not mute.is_set():
                    writer.write(data)

        back = asyncio.create_task(carry_back())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                to_server.write(data)
        closed.set()
        back.cancel()
        to_server.transport.abort()
        writer.transport.abort()

    async with HttpServer(wait, context) as server, await asyncio.start_server(relay, "127.0.0.1", 0) as between:
        url = f"https://127.0.0.1:{between.sockets[0].getsockname()[1]}"
        async with client_of(url, engine=engine, ca=str(tmp_path / "ca.pem")) as client:
            task = asyncio.create_task(_call(client))
            await server.arrived(1)
            mute.set()
            task.cancel()
            async with asyncio.timeout(_PROMPTLY):
                await closed.wait()
            with pytest.raises(asyncio.CancelledError):
                await task
