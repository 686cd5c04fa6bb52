"""What goes wrong between the client and a provider, and whether the request may have arrived."""

import asyncio
import socket

import httpx
import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.client import FormFile, HttpClient, HttpSettings

from tests.support.http_server import PATIENCE, Exchange, HttpServer, client_of, say_yes

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def _failure_of(client: HttpClient, path: str = "x") -> ImageError:
    with pytest.raises(ImageError) as caught:
        async with client.post_json(path, {"prompt": "secret"}, {"Authorization": "Bearer key"}) as got:
            await got.read()
    assert "secret" not in caught.value.message
    assert "key" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 O",
        _HEAD,
        _HEAD + b"Content-Length: 10\r\n\r\n",
        _HEAD + b"Content-Length: 10\r\n\r\n123456789",
        _CHUNKED,
        _CHUNKED + b"5\r\n123",
        _CHUNKED + b"5\r\n12345\r\n",
        _CHUNKED + b"5\r\n12345\r\n0\r\n",
    ],
    ids=["nothing", "status", "head", "no-body", "short", "no-chunk", "in-chunk", "no-last-chunk", "no-end"],
)
async def test_hanging_up_is_after_sending(engine: str, sent: bytes, reset: bool) -> None:
    """Wherever the answer stops, the request may have been paid for, and is not sent again."""

    async def stop(exchange: Exchange) -> None:
        await exchange.send(sent)
        if reset:
            exchange.reset()
        else:
            exchange.hang_up()

    async with HttpServer(stop) as server, client_of(server.url, engine=engine) as client:
        failure = await _failure_of(client)

    assert (failure.reason, failure.sent, failure.billed) == (Reason.NETWORK_ERROR, True, Billed.UNKNOWN)
    assert f"127.0.0.1:{server.port}" in failure.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("rubbish", [b"SSH-2.0-x\r\n\r\n", _CHUNKED + b"z\r\n\r\n"], ids=["head", "chunk"])
async def test_what_is_no_http(engine: str, rubbish: bytes) -> None:
    """An answer that cannot be read came after the request."""

    async def talk(exchange: Exchange) -> None:
        await exchange.send(rubbish)

    async with HttpServer(talk) as server, client_of(server.url, engine=engine) as client:
        failure = await _failure_of(client)

    assert (failure.reason, failure.sent) == (Reason.NETWORK_ERROR, True)


async def test_chunks_break_off_too(engine: str) -> None:
    """What came is seen, then the error."""

    async def stop(exchange: Exchange) -> None:
        await exchange.send(_HEAD + b"Content-Length: 10\r\n\r\n12345")
        exchange.hang_up()

    got = bytearray()

    async def call(client: HttpClient) -> None:
        async with client.get("x", {}) as answer:
            async for chunk in answer.chunks():
                got.extend(chunk)

    async with HttpServer(stop) as server, client_of(server.url, engine=engine) as client:
        with pytest.raises(ImageError) as caught:
            await call(client)
    assert got == b"12345"
    assert (caught.value.reason, caught.value.sent) == (Reason.NETWORK_ERROR, True)


async def test_hanging_up_during_an_upload(engine: str) -> None:
    """Half a request may do something as well."""

    async def stop(exchange: Exchange) -> None:
        exchange.reset()

    upload = FormFile("image", "i.png", "image/png", bytes(20_000_000))
    async with HttpServer(stop, reads_body=False) as server, client_of(server.url, engine=engine) as client:
        with pytest.raises(ImageError) as caught:
            async with client.post_form("x", [], [upload], {}):
                pass
    assert (caught.value.reason, caught.value.sent) == (Reason.NETWORK_ERROR, True)


async def test_an_error_during_an_upload_is_heard() -> None:
    """A server that refuses before it has read all is an answer, and the rest is not sent."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(b"too large", "413 Content Too Large")
        await counts.put(await exchange.closed_by_peer())

    counts: asyncio.Queue[int] = asyncio.Queue()
    upload = FormFile("image", "i.png", "image/png", bytes(60_000_000))
    async with HttpServer(refuse, reads_body=False) as server, client_of(server.url, engine="aiohttp") as client:
        async with client.post_form("x", [], [upload], {}) as got:
            assert got.status == 413
            assert await got.read() == b"too large"
        async with asyncio.timeout(PATIENCE):
            assert await counts.get() < 60_000_000


async def test_refused_connections(engine: str) -> None:
    """Nobody listens, nothing was sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with client_of(f"http://127.0.0.1:{port}", engine=engine) as client:
        failure = await _failure_of(client)

    assert (failure.reason, failure.sent, failure.billed) == (Reason.NETWORK_ERROR, False, Billed.NO)
    assert failure.message == f"cannot connect to 127.0.0.1:{port}: Connection refused"


async def test_unknown_names(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not found, nothing was sent."""

    def lookup(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with client_of("https://images.invalid", engine=engine) as client:
        failure = await _failure_of(client)

    assert (failure.reason, failure.sent) == (Reason.NETWORK_ERROR, False)
    assert failure.message == "cannot connect to images.invalid: the name was not found (Name or service not known)"


async def test_connecting_takes_too_long(engine: str) -> None:
    """A peer that accepts and is silent while TLS should begin: not sent, and given up in the time set."""
    async with HttpServer() as server:
        url = f"https://127.0.0.1:{server.port}"
        async with client_of(url, engine=engine, connect_timeout=0.1) as client:
            failure = await _failure_of(client)

    assert (failure.reason, failure.sent) == (Reason.NETWORK_ERROR, False)
    assert "no connection in time" in failure.message


async def test_waiting_is_not_limited(engine: str) -> None:
    """No clock runs while the provider paints; neither the connect timeout nor a default of a library ends it."""
    loop = asyncio.get_running_loop()

    async def look(exchange: Exchange) -> None:
        timers.extend(handle.when() - loop.time() for handle in loop._scheduled if not handle.cancelled())  # type: ignore[attr-defined]
        await say_yes(exchange)

    timers: list[float] = []
    async with HttpServer(look) as server, client_of(server.url, engine=engine, connect_timeout=0.5) as client:
        for _ in range(2):  # on a new connection and on one that was kept
            async with client.post_json("x", {}, {}) as got:
                await got.read()
    assert not [left for left in timers if left < 10 or left > 60]  # an idle connection is looked after


async def test_a_client_is_as_good_as_new_after_a_failure(engine: str) -> None:
    """Failed and cancelled exchanges leave nothing behind."""

    async def fail(exchange: Exchange) -> None:
        exchange.hang_up()

    async def wait(exchange: Exchange) -> None:
        await exchange.closed_by_peer()

    async with HttpServer(fail) as server, client_of(server.url, engine=engine) as client:
        for _ in range(2):
            await _failure_of(client)
        server.script = wait
        task = asyncio.create_task(_failure_of(client))
        await server.arrived(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.script = say_yes
        async with client.get("x", {}) as got:
            assert await got.read() == b'{"yes":true}'


async def test_an_idle_connection_that_was_closed_is_not_used(engine: str) -> None:
    """The next request goes over a new one."""

    async def once(exchange: Exchange) -> None:
        await say_yes(exchange)
        exchange.hang_up()

    async with HttpServer(once) as server, client_of(server.url, engine=engine) as client:
        for _ in range(2):
            async with client.post_json("x", {}, {}) as got:
                await got.read()
            async with client_of(server.url, engine=engine) as other, other.get("other", {}) as got:
                await got.read()  # a whole exchange later, the end of the connection has been noticed
    assert [request.connection for request in server.requests] == [1, 2, 3, 4]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_is_sent_twice(engine: str, method: str) -> None:
    """A connection that was kept and breaks when it is used again: told to the caller, who alone may try again."""

    async def second_time_lucky(exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await say_yes(exchange)
        else:
            exchange.reset()

    async with HttpServer(second_time_lucky) as server, client_of(server.url, engine=engine) as client:
        async with client.get("x", {}) as got:
            await got.read()
        with pytest.raises(ImageError) as caught:
            async with client.post_json("x", {}, {}) if method == "POST" else client.get("x", {}):
                pass
    assert (caught.value.reason, caught.value.sent) == (Reason.NETWORK_ERROR, True)
    assert [request.connection for request in server.requests] == [1, 1]


@pytest.mark.parametrize(
    ("error", "reason", "sent"),
    [
        (httpx.ConnectError("x"), Reason.NETWORK_ERROR, False),
        (httpx.ConnectTimeout("x"), Reason.NETWORK_ERROR, False),
        (httpx.ProxyError("x"), Reason.NETWORK_ERROR, False),
        (httpx.ReadTimeout("x"), Reason.TIMEOUT, True),
        (httpx.WriteTimeout("x"), Reason.TIMEOUT, True),
        (httpx.WriteError("x"), Reason.NETWORK_ERROR, True),
        (httpx.ReadError("x"), Reason.NETWORK_ERROR, True),
        (httpx.RemoteProtocolError("x"), Reason.NETWORK_ERROR, True),
        (ConnectionResetError(104, "x"), Reason.NETWORK_ERROR, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_every_fault_of_a_transport(error: Exception, reason: Reason, sent: bool) -> None:
    """Only the three kinds that come before sending are free."""

    def handle(_: httpx.Request) -> httpx.Response:
        raise error

    failure = await _failure_of(HttpClient(HttpSettings("https://a.example"), httpx.MockTransport(handle)))

    assert (failure.reason, failure.sent) == (reason, sent)
    assert "a.example" in failure.message
