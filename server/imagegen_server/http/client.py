"""The HTTP client of one provider: prepared, called without layers, and every fault an ImageError."""

import copy
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import httpx
import structlog

from imagegen_server import __version__
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.json import JsonObject

from .addresses import is_loopback
from .answer import MOST_ANSWER_BYTES, Answer
from .body import Body, FormFile, form_body, json_body
from .failures import network_failure
from .target import read_target
from .transport import HttpSettings, Transport, open_transport
from .websocket import MOST_MESSAGE_BYTES, WebSocket

__all__ = ["MOST_ANSWER_BYTES", "Answer", "FormFile", "HttpClient", "HttpSettings", "Sign", "Unsigned"]

_logger = structlog.get_logger("imagegen.http")

_KNOWN_PATHS = 256


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request as it will be sent, for a vendor that wants it signed. Names of headers are in lower case.

    `body` is empty for a form, which stands nowhere in one piece.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


Sign = Callable[[Unsigned], Awaitable[Mapping[str, str]]]
"""Tells the headers, in lower case, that prove who asks. The operator's own headers win over these, too."""


class HttpClient:
    """Exchanges with one provider.

    Nothing is sent twice and no redirect is followed: a 3xx is an answer like any other. The calls are context
    managers; leaving one early closes the connection at once, reading the answer to its end gives it back to the pool.
    They raise ImageError: NETWORK_ERROR (`sent` tells whether the request may have arrived), TIMEOUT, INVALID_RESPONSE.
    """

    def __init__(self, settings: HttpSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Check the settings; no socket is opened before the first call. `transport`: for tests, instead of the engine.

        :raises ValueError: as `open_transport`
        """
        base = httpx.URL(settings.base_url)
        self._transport = transport or open_transport(settings)
        self.settings = settings
        """What it was opened with, for packages of vendors that open connections of their own: see `open_blocking`."""
        self._headers = {
            "accept": "*/*",
            "accept-encoding": "identity",  # base64 of a compressed picture does not get smaller
            "user-agent": f"imagegen/{__version__}",
        }
        self._settle(settings.base_url.rstrip("/"), base.netloc.decode("ascii"))
        self._own_headers = {name.lower(): value for name, value in settings.headers.items()}
        limit = settings.connect_timeout
        self._extensions = {"timeout": {"connect": limit, "pool": limit, "read": None, "write": None}}
        if base.scheme == "http" and not is_loopback(base.host):
            _logger.warning("insecure: keys and pictures travel unencrypted", host=self._host)

    @property
    def base_url(self) -> str:
        """What every path is added to."""
        return self._base

    @property
    def host(self) -> str:
        """Whom this client talks to, as messages name it: the host, with its port if that is no usual one."""
        return self._host

    @property
    def header_values(self) -> tuple[str, ...]:
        """What the operator's own headers say: any of it may be a secret, and then belongs in no message."""
        return tuple(self._own_headers.values())

    def post_json(
        self, path: str, body: JsonObject, headers: Mapping[str, str], sign: Sign | None = None
    ) -> AbstractAsyncContextManager[Answer]:
        """Post an object as JSON. `path` is what follows the base URL, with its query if there is one.

        `sign` is asked when everything else is settled, before anything is sent; what it raises comes out.
        """
        return self._exchange("POST", path, headers, json_body(body), sign)

    def post_form(
        self,
        path: str,
        fields: Sequence[tuple[str, str]],
        files: Sequence[FormFile],
        headers: Mapping[str, str],
        sign: Sign | None = None,
    ) -> AbstractAsyncContextManager[Answer]:
        """Post a multipart form: the fields, then the files, in the order given. `sign` as in `post_json`."""
        return self._exchange("POST", path, headers, form_body(fields, files), sign)

    def get(
        self, path: str, headers: Mapping[str, str], sign: Sign | None = None
    ) -> AbstractAsyncContextManager[Answer]:
        """Get what is at `path`. `sign` as in `post_json`."""
        return self._exchange("GET", path, headers, None, sign)

    def send_empty(
        self, method: Literal["POST", "PUT", "DELETE"], path: str, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request without a body, as vendors want it to cancel something."""
        return self._exchange(method, path, {**headers, "content-length": "0"}, None)

    @asynccontextmanager
    async def websocket(
        self, path: str, headers: Mapping[str, str], most_bytes: int = MOST_MESSAGE_BYTES
    ) -> AsyncGenerator[WebSocket, None]:
        """Open a websocket at `path`. Leaving the block cuts it at once. `most_bytes` of one message.

        Whoever works without one too can go on after an error: nothing that costs was sent.

        :raises ImageError: NETWORK_ERROR: there is none, and nothing was sent
        """
        if not isinstance(self._transport, Transport):
            message = f"{self._host} cannot be reached by a websocket: this transport has none"
            raise ImageError(Reason.NETWORK_ERROR, message, sent=False)
        merged = self._headers | {name.lower(): value for name, value in headers.items()} | self._own_headers
        try:
            opening = self._transport.websocket(str(self._url(path)), merged, self._host, most_bytes)
        except httpx.TransportError as error:
            raise network_failure(error, self._host) from error
        async with opening as socket:
            yield socket

    def at(self, url: str, domains: Collection[str]) -> tuple["HttpClient", str]:
        """Follow an address that the vendor answered: a client for that host, and the path there.

        Keys may go to the origin of the base URL, and by https to a host of the vendor's `domains`, such as "bfl.ai"
        with all below it. Connections and the operator's headers are those of this client; close this one alone.

        :raises ImageError: INVALID_RESPONSE: the address is none of these
        """
        try:
            target = read_target(url)
        except ValueError as problem:
            raise ImageError(Reason.INVALID_RESPONSE, f"{self._host} answered an address for us: {problem}") from None
        origin = f"{target.scheme}://{target.name}"
        named = any(f".{target.host}".endswith(f".{domain}") for domain in domains)
        if target.origin != read_target(self._base).origin and not (target.scheme == "https" and named):
            message = f"{self._host} answered an address at {target.name}, which is not the vendor's: no key goes there"
            raise ImageError(Reason.INVALID_RESPONSE, message)
        there = copy.copy(self)
        there._settle(origin, target.name)  # noqa: SLF001 - of its own class
        return there, target.path

    def _settle(self, base: str, host: str) -> None:
        self._base, self._host = base, host
        self._headers = self._headers | {"host": host}
        self._url = lru_cache(_KNOWN_PATHS)(self._full_url)

    async def close(self) -> None:
        """Close every connection, those in use included."""
        await self._transport.aclose()

    @asynccontextmanager
    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: Body | None, sign: Sign | None = None
    ) -> AsyncGenerator[Answer, None]:
        url = self._url(path)
        merged = self._headers | {name.lower(): value for name, value in headers.items()} | self._own_headers
        if body is not None:
            merged |= {"content-type": body.content_type, "content-length": str(body.length)}
        if sign is not None:
            proof = await sign(Unsigned(method, str(url), merged, body.data if body else b""))
            merged = merged | dict(proof) | self._own_headers
        request = httpx.Request(
            method,
            url,
            headers=merged,
            stream=body.stream if body else None,
            extensions=self._extensions,
        )
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx.TransportError, OSError) as error:
            raise network_failure(error, self._host) from error
        try:
            if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
                # Only a proxy says so. To a CONNECT the transport hears it; here it stands for the answer.
                raise network_failure(httpx.ProxyError("407"), self._host)
            yield Answer(response, self._host)
        finally:
            with suppress(httpx.TransportError, OSError):  # what has been read is not lost to a bad farewell
                await response.aclose()

    def _full_url(self, path: str) -> httpx.URL:
        return httpx.URL(f"{self._base}/{path.lstrip('/')}")
