"""Bodies that end in a fault: what came before it is handed over, and the fault is heard at once."""

import asyncio
import base64

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.client import Answer, HttpClient

from tests.support.http_server import ENGINES, PATIENCE, Exchange, HttpServer, client_of

_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

pytestmark = pytest.mark.parametrize("engine", ENGINES)


async def test_what_follows_and_is_no_http_ends_the_body(engine: str) -> None:
    """A piece that a proxy garbled is a broken connection now, not a silence until the provider's timeout."""
    seen = asyncio.Event()

    async def garble(exchange: Exchange) -> None:
        await exchange.send(_CHUNKED + b"5\r\n12345\r\n")
        await seen.wait()
        await exchange.send(b"zz\r\n")
        await exchange.closed_by_peer()

    got = bytearray()

    async def read(answer: Answer) -> None:
        async for chunk in answer.chunks():
            got.extend(chunk)
            seen.set()

    async with HttpServer(garble) as server, client_of(server.url, engine=engine) as client, client.get("x", {}) as one:
        with pytest.raises(ImageError) as caught:
            await asyncio.wait_for(read(one), PATIENCE)

    assert got == b"12345"
    assert (caught.value.reason, caught.value.sent) == (Reason.NETWORK_ERROR, True)


@pytest.mark.parametrize("end", [b"", b"zz\r\n"], ids=["closed", "no-http"])
async def test_a_slow_reader_gets_what_came_before_the_fault(engine: str, end: bytes) -> None:
    """An image that has arrived is not dropped because the connection broke before it was looked at."""
    seen, gone = asyncio.Event(), asyncio.Event()

    async def stop(exchange: Exchange) -> None:
        if exchange.received.line.startswith("GET /last"):
            await exchange.answer()
            return
        await exchange.send(_CHUNKED + b"1\r\n1\r\n")
        await seen.wait()
        await exchange.send(b"5\r\n23456\r\n" + end)
        exchange.hang_up()
        gone.set()

    got = bytearray()

    async def read(client: HttpClient, answer: Answer) -> None:
        async for chunk in answer.chunks():
            got.extend(chunk)
            seen.set()
            await gone.wait()
            async with client.get("last", {}) as last:  # by then the end of the first has come in
                await last.read()

    async with HttpServer(stop) as server, client_of(server.url, engine=engine) as client, client.get("x", {}) as one:
        with pytest.raises(ImageError) as caught:
            await read(client, one)

    assert got == b"123456"
    assert (caught.value.reason, caught.value.sent) == (Reason.NETWORK_ERROR, True)


@pytest.mark.parametrize(
    "sent",
    [_CHUNKED + b"5\r\n12345\r\n", _HEAD + b"Content-Length: 9\r\n\r\n12345"],
    ids=["no-last-chunk", "shorter-than-said"],
)
async def test_who_can_tell_what_is_missing_gets_the_rest(engine: str, sent: bytes) -> None:
    """`read_on` gives what came, exactly, with the fault; `read` raises it."""

    async def stop(exchange: Exchange) -> None:
        await exchange.send(sent)
        exchange.hang_up()

    async with HttpServer(stop) as server, client_of(server.url, engine=engine) as client:
        async with client.get("x", {}) as one:
            body, fault = await one.read_on()
        with pytest.raises(ImageError):
            async with client.get("x", {}) as one:
                await one.read()

    assert body == b"12345"
    assert fault is not None
    assert (fault.reason, fault.sent) == (Reason.NETWORK_ERROR, True)


async def test_a_whole_body_has_no_fault(engine: str) -> None:
    """And one that is too long is not handed over in part."""

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(b"12345")

    async with HttpServer(answer) as server, client_of(server.url, engine=engine) as client:
        async with client.get("x", {}) as one:
            body, fault = await one.read_on(5)
        async with client.get("x", {}) as one:
            with pytest.raises(ImageError, match="longer than 4 bytes"):
                await one.read_on(4)

    assert body == b"12345"
    assert fault is None


@pytest.mark.parametrize("tunnel", [False, True], ids=["direct", "tunnel"])
async def test_no_fault_holds_a_key(engine: str, tunnel: bool) -> None:
    """Nor the password of a proxy: whoever writes down an exception with all its causes and members finds neither."""

    async def talk(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n" if tunnel else b"SSH-2.0-x\r\n\r\n")

    key, password = "sk-1234567", "hush"
    async with HttpServer(talk) as server:
        proxy = server.url.replace("//", f"//user:{password}@") if tunnel else ""
        base_url = "https://a.invalid" if tunnel else server.url
        async with client_of(base_url, engine=engine, proxy=proxy) as client:
            with pytest.raises(ImageError) as caught:
                async with client.get("x", {"Authorization": f"Bearer {key}"}):
                    pass

    fault: BaseException | None = caught.value
    while fault is not None:
        told = repr(fault) + repr(vars(fault)) + str(fault)
        assert key not in told
        assert password not in told
        assert base64.b64encode(f"user:{password}".encode()).decode() not in told
        fault = fault.__cause__ or fault.__context__
