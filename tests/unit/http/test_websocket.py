"""Websockets: opened as requests are sent, cut when left, and every fault an ImageError."""

# ruff: noqa: SIM117 - a server and its client, then the calls

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from aiohttp import WSMsgType, web
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http import aiohttp_websocket
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.recording import NotSent, RecordingClient
from multidict import CIMultiDictProxy

from tests.support.authority import Authority
from tests.support.http_server import PATIENCE, Exchange, HttpServer, client_of

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


@dataclass
class Peer:
    """A websocket server on a loopback port: who asked, and when it was left."""

    port: int = 0
    asked: list[tuple[str, CIMultiDictProxy[str]]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def peer(talk: Talk, authority: Authority | None = None, name: str = "127.0.0.1") -> AsyncIterator[Peer]:
    """Serve websockets, each of which `talk` leads."""
    told = Peer()

    async def serve(request: web.Request) -> web.StreamResponse:
        told.asked.append((request.path_qs, request.headers))
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        try:
            await talk(socket)
        finally:
            told.left.set()
        return socket

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    context = authority.context(name) if authority else None
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        told.port = runner.addresses[0][1]
        yield told
    finally:
        await runner.cleanup()


async def echo(socket: web.WebSocketResponse) -> None:
    """Say everything again, until the client leaves."""
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
            await socket.send_bytes(message.data.encode())


async def failure(client: HttpClient, path: str = "ws") -> ImageError:
    """Open one, wait for a message, and tell what went wrong."""
    with pytest.raises(ImageError) as caught:
        async with client.websocket(path, {}) as socket:
            await socket.receive()
    return caught.value


async def test_texts_and_bytes_come_and_go(engine: str) -> None:
    """With either engine; the path has its query, and the handshake the headers of every request, but no Origin."""
    async with peer(echo) as server:
        async with client_of(f"{server.url}/v1/", engine=engine, headers={"X-Gateway": "g"}) as client:
            async with client.websocket("/ws?clientId=a%3Ab", {"Authorization": "Bearer key"}) as socket:
                await socket.send("ünï")
                assert await socket.receive() == "ünï"
                assert await socket.receive() == "ünï".encode()
    ((path, headers),) = server.asked

    assert path == "/v1/ws?clientId=a%3Ab"
    assert (headers["X-Gateway"], headers["Authorization"]) == ("g", "Bearer key")
    assert headers["User-Agent"].startswith("imagegen/")
    assert headers["Host"] == f"127.0.0.1:{server.port}"
    assert "Origin" not in headers
    assert "Sec-WebSocket-Extensions" not in headers


async def test_it_is_encrypted_as_requests_are(authority: Authority) -> None:
    """By the authorities of the settings; without them nothing is sent."""
    async with peer(echo, authority) as server:
        url = f"https://127.0.0.1:{server.port}"
        async with client_of(url, ca=authority.path) as client, client.websocket("ws", {}) as socket:
            await socket.send("x")
            assert await socket.receive() == "x"
        async with client_of(url) as client:
            refused = await failure(client)

    assert (refused.reason, refused.sent, refused.billed) == (Reason.NETWORK_ERROR, False, Billed.NO)
    assert "certificate verify failed" in refused.message


@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
async def test_it_goes_through_the_proxy(encrypted: bool, authority: Authority) -> None:
    """Which hears its credentials, and the provider's host does not."""
    seen: list[str] = []

    async def tunnel(exchange: Exchange) -> None:
        seen.append(exchange.received.line)
        assert exchange.received.headers["Proxy-Authorization"] == _basic("me:pass")
        if encrypted:
            await exchange.tunnel(server.port)
        else:
            await exchange.answer(status="403 Forbidden")

    async with peer(echo, authority if encrypted else None, "images.example") as server, HttpServer(tunnel) as proxy:
        url = f"http{'s' * encrypted}://images.example"
        through = proxy.url.replace("://", "://me:pass@")
        async with client_of(url, ca=authority.path, proxy=through) as client:
            if encrypted:
                async with client.websocket("ws", {}) as socket:
                    await socket.send("x")
                    assert await socket.receive() == "x"
                assert seen == ["CONNECT images.example:443 HTTP/1.1"]
                assert "Proxy-Authorization" not in server.asked[0][1]
            else:
                refused = await failure(client)
                assert refused.message == "images.example opens no websocket: it answered 403 instead"
                assert seen == ["GET http://images.example/ws HTTP/1.1"]


def _basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "502 Bad Gateway"])
async def test_a_server_without_websockets_says_so(status: str) -> None:
    """Nothing that costs was sent, and no header stands in the error."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(b"page", status)

    async with HttpServer(refuse) as server, client_of(server.url, headers={"X-Gateway": "secret-word"}) as client:
        refused = await failure(client)

    assert (refused.reason, refused.sent, refused.billed) == (Reason.NETWORK_ERROR, False, Billed.NO)
    assert refused.http_status == int(status[:3])
    assert refused.message == f"127.0.0.1:{server.port} opens no websocket: it answered {status[:3]} instead"
    assert "secret-word" not in repr(vars(refused))
    assert refused.__cause__ is None


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect"])
async def test_nobody_is_followed(status: str) -> None:
    """A redirect leads nowhere, least of all with a key."""
    async with HttpServer() as other:

        async def lead_away(exchange: Exchange) -> None:
            await exchange.answer(b"", status, f"Location: {other.url}/ws")

        async with HttpServer(lead_away) as server, client_of(server.url, headers={"X-Key": "k"}) as client:
            refused = await failure(client)

    assert other.requests == []
    assert refused.http_status == int(status[:3])


async def test_nobody_there(unused_tcp_port: int) -> None:
    """The usual words of a connection that failed."""
    async with client_of(f"http://127.0.0.1:{unused_tcp_port}") as client:
        refused = await failure(client)

    assert (refused.reason, refused.sent) == (Reason.NETWORK_ERROR, False)
    assert refused.message == f"cannot connect to 127.0.0.1:{unused_tcp_port}: Connection refused"


async def test_a_handshake_has_its_time() -> None:
    """A server that takes the connection and says nothing."""

    async def hang(exchange: Exchange) -> None:
        await exchange.closed_by_peer()

    async with HttpServer(hang) as server, client_of(server.url, connect_timeout=0.05) as client:
        refused = await failure(client)

    assert (refused.reason, refused.sent) == (Reason.NETWORK_ERROR, False)
    assert "no connection in time" in refused.message


async def test_leaving_cuts_it_at_once() -> None:
    """Also while a message is waited for, and although the other side does not close."""
    never = asyncio.Event()

    async def silent(socket: web.WebSocketResponse) -> None:
        await socket.send_str("hello")
        await never.wait()

    async with peer(silent) as server, client_of(server.url) as client:

        async def listen() -> None:
            async with client.websocket("ws", {}) as socket:
                assert await socket.receive() == "hello"
                waiting.set()
                await socket.receive()

        waiting = asyncio.Event()
        task = asyncio.create_task(listen())
        async with asyncio.timeout(PATIENCE):
            await waiting.wait()
            task.cancel()
            await asyncio.wait([task])
            await server.left.wait()
    assert task.cancelled()


async def test_a_wait_that_is_given_up_loses_nothing() -> None:
    """Whoever looks at the clock in between goes on receiving."""
    now = asyncio.Event()

    async def slow(socket: web.WebSocketResponse) -> None:
        await now.wait()
        await socket.send_str("late")
        await socket.receive()

    async with peer(slow) as server, client_of(server.url) as client, client.websocket("ws", {}) as socket:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await socket.receive()
        now.set()
        assert await socket.receive() == "late"


@pytest.mark.parametrize("how", ["closed", "cut"])
async def test_an_end_is_told(how: str) -> None:
    """Whether the other side closes or the line breaks; and again to whoever asks again."""

    async def leave(socket: web.WebSocketResponse) -> None:
        if how == "cut":
            transport = socket._req.transport if socket._req else None
            assert transport is not None
            transport.abort()

    async with peer(leave) as server, client_of(server.url) as client, client.websocket("ws", {}) as socket:
        for _ in range(2):
            with pytest.raises(ImageError) as caught:
                await socket.receive()
            assert (caught.value.reason, caught.value.sent) == (Reason.NETWORK_ERROR, True)
            assert caught.value.message.startswith(f"the connection to 127.0.0.1:{server.port} broke")
        with pytest.raises(ImageError, match="broke while the request was sent"):
            await socket.send("x")


async def test_a_message_that_is_too_long_is_not_kept() -> None:
    """It ends the websocket as soon as its length is told, before its bytes have come."""
    header_only = b"\x82\x7f" + (1 << 40).to_bytes(8, "big")

    async def boast(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"x" * 999)
        transport = socket._req.transport if socket._req else None
        assert isinstance(transport, asyncio.Transport)
        transport.write(header_only)
        await socket.receive()

    async with peer(boast) as server, client_of(server.url) as client:
        async with client.websocket("ws", {}, most_bytes=1000) as socket:
            assert await socket.receive() == b"x" * 999
            with pytest.raises(ImageError) as caught:
                await socket.receive()

    assert caught.value.reason is Reason.INVALID_RESPONSE
    assert caught.value.message.endswith("a message on its websocket that is longer than 1000 bytes")


async def test_what_is_no_message_is_told() -> None:
    """Bytes that are no frame."""

    async def babble(socket: web.WebSocketResponse) -> None:
        transport = socket._req.transport if socket._req else None
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"\xff\xff\xff\xff\xff")
        await socket.receive()

    async with peer(babble) as server, client_of(server.url) as client:
        told = await failure(client)

    assert (told.reason, told.message) == (
        Reason.INVALID_RESPONSE,
        f"127.0.0.1:{server.port} sent what is no message of a websocket",
    )


async def test_text_that_is_none_is_made_one() -> None:
    """UTF-8 that is broken does not end the websocket."""

    async def stammer(socket: web.WebSocketResponse) -> None:
        transport = socket._req.transport if socket._req else None
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"\x81\x03a\xffb")
        await socket.send_str("fine")
        await socket.receive()

    async with peer(stammer) as server, client_of(server.url) as client, client.websocket("ws", {}) as socket:
        assert [await socket.receive(), await socket.receive()] == ["a\ufffdb", "fine"]


async def test_a_peer_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked after a while of silence, and does not answer."""
    monkeypatch.setattr(aiohttp_websocket, "_HEARTBEAT_SECONDS", 0.05)
    never = asyncio.Event()

    async def deaf(_socket: web.WebSocketResponse) -> None:
        await never.wait()

    async with peer(deaf) as server, client_of(server.url) as client:
        told = await failure(client)

    assert (told.reason, told.message) == (Reason.TIMEOUT, f"127.0.0.1:{server.port} took too long")


async def test_a_transport_without_websockets_says_so() -> None:
    """One that somebody else has given the client."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    client = HttpClient(HttpSettings("http://127.0.0.1:9"), transport)
    refused = await failure(client)

    assert (refused.reason, refused.sent) == (Reason.NETWORK_ERROR, False)
    assert refused.message == "127.0.0.1:9 cannot be reached by a websocket: this transport has none"


async def test_nothing_is_opened_by_a_client_that_sends_nothing() -> None:
    """It takes what is sent, keeps no request, and ends whoever waits for a message."""
    async with HttpServer() as server, client_of(server.url) as real:
        client = RecordingClient(real)
        async with client.websocket("ws", {}) as socket:
            await socket.send("x")
            with pytest.raises(NotSent):
                await socket.receive()

    assert client.request is None
    assert server.connections == 0
