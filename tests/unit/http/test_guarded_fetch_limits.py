"""How much a fetch takes, how long, and what is left when it is given up."""

import asyncio
import gzip
from collections.abc import Sequence

import pytest

from tests.support.authority import Authority
from tests.support.fetching import PICTURE, fetcher, refused, show
from tests.support.http_server import PATIENCE, Exchange, HttpServer

HERE = "127.0.0.1"
PROMPTLY = 10.0
"""Seconds in which a peer must see that a fetch was given up. A tenth is promised; machines that test are slow."""


@pytest.mark.parametrize("length", [len(PICTURE) - 1, 0])
async def test_a_picture_that_is_too_long_is_refused(length: int) -> None:
    """Its length said before, and counted where it was not."""

    async def stream(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (PICTURE[:5000], PICTURE[5000:]):
            await exchange.send(b"%x\r\n%b\r\n" % (len(part), part))
        await exchange.send(b"0\r\n\r\n")

    for script in (show, stream):
        async with HttpServer(script) as server, fetcher(HERE) as fetching:
            why = await refused(fetching, f"{server.url}/x?secret", max_bytes=length)
            assert why == f"the answer of 127.0.0.1:{server.port} is longer than {length} bytes"
            assert await fetching.fetch(server.url, max_bytes=len(PICTURE)) == PICTURE


async def test_an_announced_length_is_believed_at_once() -> None:
    """Nothing is waited for or read."""
    closed = asyncio.Event()

    async def announce(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n")
        await exchange.closed_by_peer()
        closed.set()

    async with HttpServer(announce) as server, fetcher(HERE) as fetching:
        assert "longer than 1000000 bytes" in await refused(fetching, server.url)
        await asyncio.wait_for(closed.wait(), PATIENCE)


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "longer than 1000000 bytes"),
        (b"HTTP/1.1 200 OK\r\nX: ", "broke"),
        (b"HTTP/1.1 200 ", "broke"),
    ],
    ids=["body", "header", "status"],
)
async def test_an_endless_answer_is_cut_off(head: bytes, why: str) -> None:
    """The server sees the connection closed after little more than the limit."""
    sent = 0
    closed = asyncio.Event()

    async def pour(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send(head)
        try:
            while True:
                await exchange.send(b"x" * 100_000)
                sent += 100_000
        except ConnectionError:
            closed.set()

    async with HttpServer(pour) as server, fetcher(HERE) as fetching:
        assert why in await refused(fetching, server.url)
        await asyncio.wait_for(closed.wait(), PATIENCE)
    assert sent < 50_000_000


async def test_a_compressed_answer_counts_as_what_it_becomes() -> None:
    """What was not asked for is undone under the same limit, and an unknown compression refused."""

    async def squeeze(exchange: Exchange) -> None:
        coding = exchange.received.line.split()[1].strip("/")
        await exchange.answer(gzip.compress(bytes(1_000_001)), "200 OK", f"Content-Encoding: {coding}")

    async with HttpServer(squeeze) as server, fetcher(HERE) as fetching:
        assert "longer than 1000000 bytes" in await refused(fetching, f"{server.url}/gzip")
        assert await fetching.fetch(f"{server.url}/gzip", max_bytes=1_000_001) == bytes(1_000_001)
        assert "compression" in await refused(fetching, f"{server.url}/br")


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
async def test_a_trickle_is_cut_off(start: bytes, drop: bytes) -> None:
    """The time counts whole: silence, a head and a body that come byte by byte."""
    closed = asyncio.Event()

    async def drip(exchange: Exchange) -> None:
        waiting = asyncio.create_task(exchange.closed_by_peer())
        await exchange.send(start)
        while not waiting.done():
            await exchange.send(drop)
            await asyncio.wait([waiting], timeout=0.02)
        closed.set()

    async with HttpServer(drip) as server, fetcher(HERE, max_seconds=0.3) as fetching:
        why = await refused(fetching, f"{server.url}/x?secret")
        await asyncio.wait_for(closed.wait(), PATIENCE)
    assert why == f"127.0.0.1:{server.port} took longer than 0.3 s"


async def test_the_time_covers_names_and_redirects() -> None:
    """A name server that says nothing, and hops that are each quick."""
    asked = asyncio.Event()

    async def say_nothing(_: str) -> Sequence[str]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def hop(exchange: Exchange) -> None:
        await asyncio.sleep(0.5)
        await exchange.answer(b"", "302 Found", "Location: /")

    async with fetcher(resolver=say_nothing, max_seconds=0.05) as fetching:
        assert await refused(fetching, "http://slow.example/") == "slow.example took longer than 0.05 s"
    assert asked.is_set()
    async with HttpServer(hop) as server, fetcher(HERE, max_seconds=1.9) as fetching:
        assert "took longer than 1.9 s" in await refused(fetching, server.url)
    assert 1 < len(server.requests) < 5


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123"], ids=["head", "body"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cancelling_hangs_up(
    scheme: str, answer: bytes, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other side sees it at once, and the cancellation stays one."""
    monkeypatch.setenv("SSL_CERT_FILE", authority.path)
    closed = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        await exchange.send(answer)
        await exchange.closed_by_peer()
        closed.set()

    context = authority.context("127.0.0.1") if scheme == "https" else None
    async with HttpServer(wait, context) as server, fetcher(HERE) as fetching:
        task = asyncio.create_task(fetching.fetch(server.url, max_bytes=100))
        await server.arrived(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), PROMPTLY)


async def test_cancelling_hangs_up_in_the_middle_of_a_handshake() -> None:
    """A server that takes the connection and says nothing."""
    connected, closed = asyncio.Event(), asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        closed.set()
        writer.close()

    silent = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with silent, fetcher(HERE) as fetching:
        port = silent.sockets[0].getsockname()[1]
        task = asyncio.create_task(fetching.fetch(f"https://127.0.0.1:{port}/", max_bytes=100))
        await asyncio.wait_for(connected.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), PROMPTLY)
