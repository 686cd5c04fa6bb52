"""The relay that other tests cut lines with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.tcp_relay import TcpRelay


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """A server that sends back what it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1000):
                writer.write(piece)
                await writer.drain()
            writer.write(b"bye")
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


@asynccontextmanager
async def connected(relay: TcpRelay) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through the relay."""
    host, _, port = relay.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def collect(reader: asyncio.StreamReader, got: bytearray) -> None:
    """Read byte by byte for as long as there are any."""
    while True:
        got += await reader.readexactly(1)


async def test_bytes_pass_both_ways_and_so_does_the_end() -> None:
    """What goes in comes out, also after one side has said its last."""
    async with echo() as target, TcpRelay(target) as relay, connected(relay) as (reader, writer):
        writer.write(b"x" * 300_000)
        writer.write_eof()
        assert await reader.read(-1) == b"x" * 300_000 + b"bye"


async def test_cut_is_a_reset_and_new_connections_work() -> None:
    """A cut is seen as a reset, not as an end; afterwards the relay goes on."""
    async with echo() as target, TcpRelay(target) as relay:
        async with connected(relay) as (reader, writer):
            writer.write(b"ab")
            assert await reader.readexactly(2) == b"ab"
            assert relay.connections == 1
            relay.cut()
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
        async with connected(relay) as (reader, writer):
            writer.write(b"cd")
            assert await reader.readexactly(2) == b"cd"
            assert relay.accepted == 2


async def test_muted_it_carries_one_way_only() -> None:
    """What the client says arrives; what comes back waits, or is lost if the line is cut."""
    heard = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        heard.set()
        writer.write(b"yes")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with TcpRelay(f"{host}:{port}") as relay:
            relay.mute()
            async with connected(relay) as (reader, writer):
                writer.write(b"ab")
                await heard.wait()
                relay.resume()
                assert await reader.read(-1) == b"yes"
            relay.mute()
            heard.clear()
            async with connected(relay) as (reader, writer):
                writer.write(b"cd")
                await heard.wait()
                relay.cut()
                relay.resume()
                with pytest.raises(ConnectionResetError):
                    await reader.read(1)


async def test_cut_after_so_many_bytes() -> None:
    """The line breaks at the byte that the test chose."""
    async with echo() as target, TcpRelay(target) as relay, connected(relay) as (reader, writer):
        relay.cut_after(3)
        writer.write(b"abcdef")
        got = bytearray()
        with pytest.raises(ConnectionResetError):
            await collect(reader, got)
        assert b"abc".startswith(got)
        assert relay.cuts == 1


async def test_stalled_bytes_wait() -> None:
    """Nothing passes while it stalls, everything afterwards."""
    async with echo() as target, TcpRelay(target) as relay, connected(relay) as (reader, writer):
        relay.stall()
        writer.write(b"ab")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.read(1)
        relay.resume()
        assert await reader.readexactly(2) == b"ab"


async def test_leaving_a_stalled_relay_ends_its_connections() -> None:
    """The end of the block does not wait for bytes that will never pass."""
    async with echo() as target:
        async with asyncio.timeout(10), TcpRelay(target) as relay, connected(relay) as (_, writer):
            relay.stall()
            writer.write(b"ab")
            await writer.drain()
        assert relay.connections == 0


async def test_refused_connections_are_reset() -> None:
    """Refusing is for new connections; taking them again ends it."""
    async with echo() as target, TcpRelay(target) as relay:
        relay.refuse()
        with pytest.raises(ConnectionResetError):
            async with connected(relay) as (reader, _):
                await reader.read(1)
        relay.accept()
        async with connected(relay) as (reader, writer):
            writer.write(b"ab")
            assert await reader.readexactly(2) == b"ab"
