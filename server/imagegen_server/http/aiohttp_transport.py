"""The fast engine: httpx's types on aiohttp, by way of httpx-aiohttp. Imported with the first request only."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Sequence
from typing import NoReturn

import aiohttp
import httpx
import httpx_aiohttp
from aiohttp.connector import Connection

_RECEIVE_BUFFER = 4 * 1024 * 1024
_CHUNK = 1024 * 1024
_LONGEST_HEADER = 65_536
_MOST_HEADERS = 1_000

SocketOption = tuple[int, int, int]


class _AnswerLostError(Exception):
    """The request was handed to a connection, and no answer came. Foreign to aiohttp, so that it retries nothing."""


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the head of the answer. From here on the request may have arrived."""
        try:
            return await super().start(connection)
        except Exception as error:
            raise _AnswerLostError from error

    def close(self) -> None:
        self._abort()
        super().close()

    def release(self) -> None:
        self._abort()
        super().release()

    def _abort(self) -> None:
        """Hang up without flushing what is left to send, or waiting for a TLS farewell. Done with = no connection."""
        if self.connection is not None and self.connection.protocol is not None:
            self.connection.protocol.abort()


class _Stream(httpx.AsyncByteStream):
    """The body, with faults that say what they are."""

    def __init__(self, stream: httpx_aiohttp.transport.AiohttpResponseStream) -> None:
        # Pieces as they were received: the default cuts them into 16 KiB.
        stream.CHUNK_SIZE = _CHUNK
        self._stream = stream

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._stream:
                yield chunk
        except (httpx.TransportError, aiohttp.ClientError, OSError, RuntimeError) as error:
            _raise_lost(error)

    async def aclose(self) -> None:
        await self._stream.aclose()


class AiohttpTransport(httpx_aiohttp.AiohttpTransport):
    """ConnectError, ConnectTimeout and ProxyError mean that nothing was sent; every other fault that it may have been.

    httpx-aiohttp itself calls a server that hung up after the request a ConnectTimeout.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        proxy: httpx.Proxy | None,
        socket_options: Sequence[SocketOption],
        keepalive: float,
    ) -> None:
        """Open nothing. `keepalive` in seconds."""
        super().__init__(verify=context, proxy=proxy, client=self._open_session)
        self._options = socket_options
        self._keepalive = keepalive
        self._proxy_credentials = proxy.headers.get("proxy-authorization") if proxy else None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, once."""
        if self._proxy_credentials and request.url.scheme == "http":
            request.headers["proxy-authorization"] = self._proxy_credentials  # aiohttp adds it to CONNECT alone
        try:
            response = await super().handle_async_request(request)
        except _AnswerLostError as error:
            _raise_lost(error.__cause__ or error)
        except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
            self._raise_not_sent(error, request)
        assert isinstance(response.stream, httpx_aiohttp.transport.AiohttpResponseStream)
        response.stream = _Stream(response.stream)
        return response

    async def aclose(self) -> None:
        """Close all connections at once."""
        if isinstance(self.client, aiohttp.ClientSession):
            if isinstance(self.client.connector, aiohttp.TCPConnector):
                await self.client.connector.close(abort_ssl=True)
            await self.client.close()

    def _open_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=self.ssl_context,
                keepalive_timeout=self._keepalive,
                socket_factory=self._open_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=_RECEIVE_BUFFER,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            max_headers=_MOST_HEADERS,
        )

    def _raise_not_sent(self, error: BaseException, request: httpx.Request) -> NoReturn:
        cause = _cause(error)
        if isinstance(cause, asyncio.TimeoutError):
            raise httpx.ConnectTimeout("no connection in time") from cause
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            raise httpx.ProxyError(str(cause.status)) from cause
        if self.proxy is None or _is_of_target(cause, request):
            raise httpx.ConnectError("no connection") from cause
        raise httpx.ProxyError("no connection") from cause

    def _open_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        opened = socket.socket(*address[:3])
        for option in self._options:
            opened.setsockopt(*option)
        return opened


def _cause(error: BaseException) -> BaseException:
    """What aiohttp raised, from under what httpx-aiohttp made of it."""
    return error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ else error


def _is_of_target(cause: BaseException, request: httpx.Request) -> bool:
    """Tell TLS trouble with the target of a tunnel from trouble with the proxy, whose name alone is looked up here."""
    if isinstance(cause, aiohttp.ClientProxyConnectionError | aiohttp.ClientConnectorDNSError):
        return False
    return isinstance(cause, aiohttp.ClientConnectorError) and cause.host == request.url.raw_host.decode("ascii")


def _raise_lost(error: BaseException) -> NoReturn:
    cause = _cause(error)
    if isinstance(cause, asyncio.TimeoutError):
        raise httpx.ReadTimeout("no answer in time") from cause
    if isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError):
        raise httpx.RemoteProtocolError("no complete answer") from cause
    raise httpx.ReadError("connection lost") from cause
