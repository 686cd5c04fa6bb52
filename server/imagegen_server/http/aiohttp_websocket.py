"""Websockets on aiohttp, whichever engine carries the requests. Imported with the first websocket only."""

import socket
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import aiohttp
import httpx
import yarl

from imagegen_server.domain.errors import ImageError, Reason

from .failures import network_failure

_HEARTBEAT_SECONDS = 60.0
"""A peer that is silent for so long is asked whether it is there, and has half of that to answer."""

_FAREWELL_SECONDS = 0.0
"""Whoever leaves does not wait for the other side to close, too."""

SocketOption = tuple[int, int, int]


class AiohttpWebSocket:
    """See WebSocket."""

    def __init__(self, socket: "aiohttp.ClientWebSocketResponse[bool]", host: str, most_bytes: int) -> None:
        """Wrap what was opened. `host` is for messages."""
        self._socket = socket
        self._host = host
        self._most_bytes = most_bytes

    async def send(self, text: str) -> None:
        """See WebSocket."""
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise network_failure(_because_of(error, httpx.WriteError("")), self._host) from None

    async def receive(self) -> str | bytes:
        """See WebSocket."""
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            text: bytes = message.data
            return text.decode("utf-8", "replace")
        if message.type is aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        raise self._failure(message.data if message.type is aiohttp.WSMsgType.ERROR else self._socket.exception())

    def _failure(self, fault: object) -> ImageError:
        if isinstance(fault, aiohttp.WebSocketError):
            if fault.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                what = f"a message on its websocket that is longer than {self._most_bytes} bytes"
            else:
                what = "what is no message of a websocket"
            return ImageError(Reason.INVALID_RESPONSE, f"{self._host} sent {what}")
        if isinstance(fault, TimeoutError | aiohttp.ServerTimeoutError):
            return network_failure(httpx.ReadTimeout(""), self._host)
        cause = fault if isinstance(fault, Exception) else None
        return network_failure(_because_of(cause, httpx.ReadError("")), self._host)


@asynccontextmanager
async def open_websocket(
    url: str,
    headers: Mapping[str, str],
    host: str,
    *,
    context: ssl.SSLContext,
    proxy: httpx.Proxy | None,
    socket_options: Sequence[SocketOption],
    connect_timeout: float,
    most_bytes: int,
) -> AsyncGenerator[AiohttpWebSocket, None]:
    """Open one at an http or https URL until the block ends, which cuts the connection at once.

    No redirect is followed, and no compression is offered. `connect_timeout` in seconds covers the handshake, too.

    :raises ImageError: NETWORK_ERROR, nothing sent: there is no connection, or the other side refuses a websocket
    """

    def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
        opened = socket.socket(*address[:3])
        for option in socket_options:
            opened.setsockopt(*option)
        return opened

    # One for each, so that nothing outlives the block.
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, socket_factory=open_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout, sock_read=connect_timeout),
        trace_configs=[_no_redirects()],
    )
    try:
        opened = await _connect(session, url, headers, host, proxy=proxy, most_bytes=most_bytes)
        try:
            yield AiohttpWebSocket(opened, host, most_bytes)
        finally:
            with suppress(aiohttp.ClientError, OSError):
                await opened.close()
    finally:
        assert isinstance(session.connector, aiohttp.TCPConnector)
        await session.connector.close(abort_ssl=True)
        await session.close()


async def _connect(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    host: str,
    *,
    proxy: httpx.Proxy | None,
    most_bytes: int,
) -> "aiohttp.ClientWebSocketResponse[bool]":
    sent = {name: value for name, value in headers.items() if name != "accept-encoding"}
    proxy_headers = dict(proxy.headers) if proxy else {}
    if url.startswith("http:"):
        sent |= proxy_headers  # aiohttp adds them to CONNECT alone
    try:
        return await session.ws_connect(
            yarl.URL(url, encoded=True),
            headers=sent,
            proxy=str(proxy.url) if proxy else None,
            proxy_headers=proxy_headers or None,
            heartbeat=_HEARTBEAT_SECONDS,
            max_msg_size=most_bytes,
            decode_text=False,
            timeout=aiohttp.ClientWSTimeout(ws_close=_FAREWELL_SECONDS),
        )
    except (aiohttp.ClientError, OSError) as error:
        raise _not_opened(error, host) from None


class _RedirectError(aiohttp.ClientError):
    """The answer to the handshake leads elsewhere, where neither keys nor anything else may go."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


def _no_redirects() -> aiohttp.TraceConfig:
    async def refuse(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, told: aiohttp.TraceRequestRedirectParams
    ) -> None:
        told.response.close()
        raise _RedirectError(told.response.status)

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    return config


def _not_opened(error: Exception, host: str) -> ImageError:
    """Tell why there is no websocket. Nothing that costs can have been sent."""
    if isinstance(error, _RedirectError | aiohttp.WSServerHandshakeError):
        status = error.status if error.status != httpx.codes.SWITCHING_PROTOCOLS else None
        what = f"answered {status} instead" if status else "answered something else"
        message = f"{host} opens no websocket: it {what}"
        return ImageError(Reason.NETWORK_ERROR, message, sent=False, http_status=status)
    if isinstance(error, TimeoutError):
        return network_failure(httpx.ConnectTimeout(""), host)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return network_failure(httpx.ProxyError(str(error.status)), host)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return network_failure(_because_of(error, httpx.ProxyError("")), host)
    return network_failure(_because_of(error, httpx.ConnectError("")), host)


def _because_of(cause: Exception | None, fault: httpx.TransportError) -> httpx.TransportError:
    # What aiohttp says of an answer shows the headers of its request, and so the keys.
    fault.__cause__ = None if isinstance(cause, aiohttp.ClientResponseError) else cause
    return fault
