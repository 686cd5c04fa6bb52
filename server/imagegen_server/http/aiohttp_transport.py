"""The fast engine: httpx's types on aiohttp, by way of httpx-aiohttp. Imported with the first request only."""

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncGenerator, Sequence

import aiohttp
import httpx
import httpx_aiohttp
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

_RECEIVE_BUFFER = 4 * 1024 * 1024
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


class _Protocol(ResponseHandler):
    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Tell the reader of the body, too: aiohttp leaves it waiting where what follows is no HTTP."""
        super().set_exception(exc, *cause)
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("no HTTP"))


class _Stream(httpx.AsyncByteStream):
    """The body, with faults that say what they are."""

    def __init__(self, stream: httpx_aiohttp.transport.AiohttpResponseStream) -> None:
        self._stream = stream
        self._body = stream._aiohttp_response.content  # noqa: SLF001 - its own reader forgets what a fault finds unread

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        try:
            # Pieces as they were received. An empty one may end a chunk of HTTP, or all.
            while True:
                chunk, ends_chunk = await self._body.readchunk()
                if chunk:
                    yield chunk
                elif not ends_chunk or self._body.at_eof():
                    # All answers that can have no body (204, 304) share one, which tells its end only once.
                    return
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # What came before the fault may be all that matters.
            while unread := self._body._read_nowait(-1):  # noqa: SLF001 - the open ways raise the fault first
                yield unread
            raise _lost(error) from _cause(error)

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
            fault = _lost(error.__cause__ or error)
        except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
            fault = self._not_sent(error, request)
        else:
            assert isinstance(response.stream, httpx_aiohttp.transport.AiohttpResponseStream)
            response.stream = _Stream(response.stream)
            return response
        raise fault  # outside of the handlers, so that it does not keep what aiohttp raised

    async def aclose(self) -> None:
        """Close all connections at once."""
        if isinstance(self.client, aiohttp.ClientSession):
            if isinstance(self.client.connector, aiohttp.TCPConnector):
                await self.client.connector.close(abort_ssl=True)
            await self.client.close()

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, ssl=self.ssl_context, keepalive_timeout=self._keepalive, socket_factory=self._open_socket
        )
        protocol = functools.partial(_Protocol, loop=asyncio.get_running_loop())
        connector._factory = protocol  # type: ignore[assignment]  # noqa: SLF001 - a subclass; there is no open way
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=_RECEIVE_BUFFER,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            max_headers=_MOST_HEADERS,
        )
        # It would write %3A in a path as a colon: another address to a vendor who had it signed. There is no open way.
        object.__setattr__(session, "_build_url", _as_it_stands)
        return session

    def _not_sent(self, error: BaseException, request: httpx.Request) -> httpx.TransportError:
        cause = _cause(error)
        if isinstance(cause, asyncio.TimeoutError):
            return _because_of(cause, httpx.ConnectTimeout("no connection in time"))
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return _because_of(cause, httpx.ProxyError(str(cause.status)))
        if self.proxy is None or _is_of_target(cause, request):
            return _because_of(cause, httpx.ConnectError("no connection"))
        return _because_of(cause, httpx.ProxyError("no connection"))

    def _open_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        opened = socket.socket(*address[:3])
        for option in self._options:
            opened.setsockopt(*option)
        return opened


def _as_it_stands(url: str) -> yarl.URL:
    """Take a URL as httpx wrote it, which is in ASCII."""
    return yarl.URL(url, encoded=True)


def _cause(error: BaseException) -> BaseException:
    """What aiohttp raised, from under what httpx-aiohttp made of it."""
    return error.__cause__ if isinstance(error, httpx.TransportError) and error.__cause__ else error


def _is_of_target(cause: BaseException, request: httpx.Request) -> bool:
    """Tell TLS trouble with the target of a tunnel from trouble with the proxy, whose name alone is looked up here."""
    if isinstance(cause, aiohttp.ClientProxyConnectionError | aiohttp.ClientConnectorDNSError):
        return False
    return isinstance(cause, aiohttp.ClientConnectorError) and cause.host == request.url.raw_host.decode("ascii")


def _lost(error: BaseException) -> httpx.TransportError:
    cause = _cause(error)
    cause.__traceback__ = None  # aiohttp keeps the fault beside what it received: with its frames this is a circle
    if isinstance(cause, asyncio.TimeoutError):
        return _because_of(cause, httpx.ReadTimeout("no answer in time"))
    if isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError):
        return _because_of(cause, httpx.RemoteProtocolError("no complete answer"))
    return _because_of(cause, httpx.ReadError("connection lost"))


def _because_of(cause: BaseException, fault: httpx.TransportError) -> httpx.TransportError:
    # A ClientResponseError shows the headers of its request, and so the keys, to whoever looks at it.
    fault.__cause__ = cause.__cause__ if isinstance(cause, aiohttp.ClientResponseError) else cause
    return fault
