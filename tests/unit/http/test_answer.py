"""How a body is read: in pieces or whole, compressed or not, within its limit; the same with both engines."""

# ruff: noqa: SIM117 - a server and its client, then the calls

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator
from unittest.mock import patch

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.client import Answer

from tests.support.http_server import PATIENCE, Exchange, HttpServer, client_of, collected


async def test_chunks_are_large(engine: str) -> None:
    """An answer is handed on as it was received, not in small slices."""
    async with HttpServer(lambda exchange: exchange.answer(bytes(8_000_000))) as server:
        async with client_of(server.url, engine=engine) as client, client.get("x", {}) as got:
            sizes = [len(chunk) async for chunk in got.chunks()]
    assert sum(sizes) == 8_000_000
    assert max(sizes) > 16_384


async def _stream(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for word in (b"one", b"two", b"three"):
        await exchange.send(b"%x\r\n%s\r\n" % (len(word), word))
    await exchange.send(b"0\r\n\r\n")


async def test_chunked_answers(engine: str) -> None:
    """An answer without a length is read to its end, and the connection used again."""
    async with HttpServer(_stream) as server, client_of(server.url, engine=engine) as client:
        async with client.get("x", {}) as got:
            assert await got.read() == b"onetwothree"
        async with client.get("x", {}) as got:
            assert b"".join([chunk async for chunk in got.chunks()]) == b"onetwothree"

    assert server.connections == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "200 OK"])
async def test_answers_without_a_body_end(engine: str, status: str) -> None:
    """Each of them, and not only the first: its end comes at once, on a connection that is used again."""
    async with HttpServer(lambda exchange: exchange.answer(b"", status)) as server:
        async with client_of(server.url, engine=engine) as client:
            for _ in range(3):
                async with client.get("x", {}) as got:
                    assert await got.read() == b""

    assert server.connections == 1


async def test_chunks_come_as_they_are_sent(engine: str) -> None:
    """The first is there before the server goes on: it waits until that has been seen."""
    seen = asyncio.Event()

    async def pause(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none")
        await seen.wait()
        await exchange.send(b"two")

    async with HttpServer(pause) as server, client_of(server.url, engine=engine) as client:
        got = []
        async with asyncio.timeout(PATIENCE), client.get("x", {}) as answer:
            async for chunk in answer.chunks():
                got.append(chunk)
                seen.set()
    assert got == [b"one", b"two"]


async def test_an_answer_without_a_length_ends_with_the_connection(engine: str) -> None:
    """As HTTP/1.0 did."""

    async def old(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        exchange.hang_up()

    async with HttpServer(old) as server, client_of(server.url, engine=engine) as client, client.get("x", {}) as got:
        assert await got.read() == b"all of it"


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
async def test_compressed_answers(engine: str, encoding: str, compress: object) -> None:
    """What a proxy compressed is what the server meant."""
    assert callable(compress)
    body = bytes(range(256)) * 20_000

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(compress(body), "200 OK", f"Content-Encoding: {encoding}")

    async with HttpServer(answer) as server, client_of(server.url, engine=engine) as client:
        async with client.get("x", {}) as got:
            assert await got.read(len(body)) == body


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"no gzip"),
        ("gzip", gzip.compress(b"a" * 1000)[:-9]),
        ("br", b"whatever"),
        ("gzip", gzip.compress(bytes(5_000_000))),
    ],
    ids=["rubbish", "cut", "unknown", "bomb"],
)
async def test_badly_compressed_answers(engine: str, encoding: str, body: bytes) -> None:
    """They are invalid, and one that blows up is stopped at the limit."""

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(body, "200 OK", f"Content-Encoding: {encoding}")

    async with HttpServer(answer) as server, client_of(server.url, engine=engine) as client:
        with pytest.raises(ImageError) as caught:
            async with client.get("x", {}) as got:
                await got.read(1_500_000)
    assert caught.value.reason is Reason.INVALID_RESPONSE


@pytest.mark.parametrize("declared", [True, False])
async def test_a_long_answer_is_refused(engine: str, declared: bool) -> None:
    """One byte more than allowed, announced or not; as much as allowed is taken."""

    async def answer(exchange: Exchange) -> None:
        if declared:
            await exchange.answer(b"x" * 1001)
        else:
            await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            await exchange.send(b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")

    async with HttpServer(answer) as server, client_of(server.url, engine=engine) as client:
        with pytest.raises(ImageError) as caught:
            async with client.get("x", {}) as got:
                await got.read(1000)
        async with client.get("x", {}) as got:
            assert await got.read(1001) == b"x" * 1001
    assert (caught.value.reason, caught.value.billed) == (Reason.INVALID_RESPONSE, Billed.UNKNOWN)
    assert "1000 bytes" in caught.value.message


async def test_the_media_type_is_bare() -> None:
    """In lower case, without parameters, empty if there is none."""
    for sent, media_type in {"Text/Event-Stream; charset=UTF-8": "text/event-stream", "": ""}.items():
        response = httpx.Response(200, headers={"Content-Type": sent} if sent else {})
        assert Answer(response, "h").media_type == media_type


class _Cut(httpx.AsyncByteStream):
    def __init__(self, data: bytes, size: int) -> None:
        self._data = data
        self._size = size

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._data), self._size):
            yield self._data[start : start + self._size]


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(1, 40), st.integers(1, 50), st.integers(0, 1))
def test_inflating_in_any_steps(data: bytes, repeated: int, step: int, cut: int, missing: int) -> None:
    """However it arrives and however little is inflated at a time, it is whole, or seen to be cut."""
    body = data * repeated
    sent = gzip.compress(body)
    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=_Cut(sent[: len(sent) - missing], cut))
    with patch("imagegen_server.http.answer._INFLATED", step):
        if missing:
            with pytest.raises(ImageError):
                collected(Answer(response, "h").chunks())
        else:
            assert b"".join(collected(Answer(response, "h").chunks())) == body
