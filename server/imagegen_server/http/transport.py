"""The engines that carry a provider's requests: HTTP/1.1 with pools, TLS and proxies."""

import asyncio
import base64
import re
import socket
import ssl
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

import httpx

from .authorities import check_authorities, trust
from .websocket import WebSocket

_KEEPALIVE = 15.0
"""Seconds that an idle connection is kept. Short: one that the server has just given up on costs a paid request."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OF_THE_BODY = frozenset({"content-length", "content-type", "transfer-encoding"})


def _socket_options() -> list[tuple[int, int, int]]:
    """Have the system ask after a silent peer: an image call is silent for minutes, and a dead peer is so for ever."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    # Seconds until the first question, between questions, and questions without an answer. macOS names the first
    # TCP_KEEPALIVE.
    for name, value in {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}.items():
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How to reach a provider.

    `headers` are sent with every request and win over what the adapter sends.
    `proxy` is a URL, with user and password if the proxy wants them; empty: what HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and
    NO_PROXY say. `ca` is the path of a PEM file with authorities to trust beside the usual ones. `connect_timeout` is
    in seconds and covers name, connection and TLS; nothing else is limited here.

    :raises ValueError: when a value cannot be used
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str = field(default="", repr=False)
    ca: str = ""
    engine: Literal["aiohttp", "httpx"] = "aiohttp"
    connect_timeout: float = 15.0

    def __post_init__(self) -> None:
        """Check what would otherwise fail with the first request."""
        try:
            url = httpx.URL(self.base_url)
        except (httpx.InvalidURL, UnicodeError):
            raise ValueError("base_url is no URL") from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError('base_url must be a URL that begins with "https://" or "http://"')
        if url.userinfo or url.query or url.fragment:
            raise ValueError("base_url must have neither a user, a query nor a fragment")
        if self.engine not in {"aiohttp", "httpx"}:
            raise ValueError('engine must be "aiohttp" or "httpx"')
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"headers: {name!r} is no name of a header")
            if name.lower() in _OF_THE_BODY:
                raise ValueError(f"headers: {name} belongs to the body and cannot be set")
            if not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"headers: the value of {name} must be one line of ASCII characters")


def open_transport(settings: HttpSettings) -> "Transport":
    """Make the transport of a provider. The environment is read now, once; the engine is loaded by the first request.

    What it raises tells whether a request may have arrived: not if it is ConnectError, ConnectTimeout or ProxyError,
    otherwise it may have.

    :raises ValueError: when the CA file cannot be read, or the proxy is none that can be used
    """
    if settings.ca:
        check_authorities(settings.ca)
    return Transport(settings, _proxy(settings))


def _proxy(settings: HttpSettings) -> httpx.Proxy | None:
    url = settings.proxy or _proxy_of_environment(httpx.URL(settings.base_url))
    return read_proxy(url) if url else None


def read_proxy(url: str) -> httpx.Proxy:
    """Read the URL of a proxy.

    :raises ValueError: it is none that can be used
    """
    try:
        parsed = httpx.URL(url if "://" in url else f"http://{url}")
    except httpx.InvalidURL:
        raise ValueError("proxy is no URL") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"proxy: only http and https proxies are supported, not {parsed.scheme}://{parsed.host}")
    headers = {}
    if parsed.userinfo:
        # As a header, because aiohttp has deprecated the other ways.
        user, _, password = parsed.userinfo.decode("ascii").partition(":")
        credentials = f"{unquote(user)}:{unquote(password)}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(credentials).decode('ascii')}"
    return httpx.Proxy(parsed.copy_with(userinfo=b"", path="/", query=None, fragment=None), headers=headers)


def _proxy_of_environment(base: httpx.URL) -> str:
    proxies = urllib.request.getproxies()
    host = base.host
    if urllib.request.proxy_bypass(host) or urllib.request.proxy_bypass(f"{host}:{base.port or ''}".rstrip(":")):
        return ""
    return proxies.get(base.scheme) or proxies.get("all", "")


class Transport(httpx.AsyncBaseTransport):
    """The engine, made by the first request: its modules and the certificates take a while to load."""

    def __init__(self, settings: HttpSettings, proxy: httpx.Proxy | None) -> None:
        """Open nothing yet; see `open_transport`."""
        self._settings = settings
        self._proxy = proxy
        self._engine: httpx.AsyncBaseTransport | None = None
        self._context: ssl.SSLContext | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request by the engine."""
        if self._closed:
            raise RuntimeError("the transport is closed")
        if self._engine is None:
            self._engine = self._open_engine()
        return await self._engine.handle_async_request(request)

    def websocket(
        self, url: str, headers: Mapping[str, str], host: str, most_bytes: int
    ) -> AbstractAsyncContextManager[WebSocket]:
        """Open a websocket, by aiohttp with either engine; see `open_websocket`. It is not closed by `aclose`.

        :raises httpx.ConnectError: the certificates cannot be read
        """
        if self._closed:
            raise RuntimeError("the transport is closed")
        from .aiohttp_websocket import open_websocket  # noqa: PLC0415 - as below

        return open_websocket(
            url,
            headers,
            host,
            context=self._trust(),
            proxy=self._proxy,
            socket_options=_socket_options(),
            connect_timeout=self._settings.connect_timeout,
            most_bytes=most_bytes,
        )

    async def aclose(self) -> None:
        """Close every connection, those in use included."""
        self._closed = True
        if self._engine is not None:
            await self._engine.aclose()

    def _trust(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = trust(self._settings.ca)
            except (OSError, ValueError) as error:
                raise httpx.ConnectError("the certificates cannot be read") from error
        return self._context

    def _open_engine(self) -> httpx.AsyncBaseTransport:
        context = self._trust()
        if self._proxy is not None and self._proxy.url.scheme == "https":
            self._proxy.ssl_context = context
        if self._settings.engine == "httpx":
            return _HttpxTransport(context, self._proxy)
        from .aiohttp_transport import AiohttpTransport  # noqa: PLC0415 - its import takes longer than the server's own

        return AiohttpTransport(context, self._proxy, _socket_options(), _KEEPALIVE)


class _Progress:
    """How far a request of httpcore has come."""

    def __init__(self, clock: asyncio.Timeout) -> None:
        self._clock = clock
        self._stream: Any = None
        self.tunnelled = False
        self.sent = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
            self.sent = True
            self._clock.reschedule(None)
        elif event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "proxy.start_tls.started":
            self.tunnelled = True

    async def hang_up(self) -> None:
        """Close what httpcore forgets when it is stopped in the middle of a TLS handshake."""
        if self._stream is not None and not self.sent:
            await self._stream.aclose()


class _HttpxTransport(httpx.AsyncHTTPTransport):
    """httpx's own engine, kept as the second opinion."""

    def __init__(self, context: ssl.SSLContext, proxy: httpx.Proxy | None) -> None:
        super().__init__(
            verify=context,
            limits=httpx.Limits(keepalive_expiry=_KEEPALIVE),
            proxy=proxy,
            socket_options=_socket_options(),
        )
        self._through_proxy = proxy is not None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # httpcore limits each step to a connection, but not the wait for a proxy's answer.
        clock = asyncio.timeout(request.extensions.get("timeout", {}).get("connect"))
        progress = _Progress(clock)
        request.extensions = {**request.extensions, "trace": progress}
        try:
            async with clock:
                return await self._handle(request, progress)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except httpx.TransportError as error:
            if progress.sent or isinstance(error, httpx.ConnectTimeout | httpx.ProxyError):
                raise
            if self._through_proxy and not progress.tunnelled:
                raise httpx.ProxyError("no connection") from error
            raise httpx.ConnectError("no connection") from error

    async def _handle(self, request: httpx.Request, progress: _Progress) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except BaseException:
            await progress.hang_up()
            raise
