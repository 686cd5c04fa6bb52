"""A client that sends nothing: it keeps the first request that an adapter makes of it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.secret import Secret

from .answer import Answer
from .body import FormFile
from .client import HttpClient, Sign
from .redaction import HIDDEN, form_text, json_text, url_text
from .websocket import MOST_MESSAGE_BYTES, WebSocket

HIDDEN_KEY = Secret(HIDDEN)
"""The key for an adapter whose request is only recorded."""


@dataclass(frozen=True, slots=True)
class UnsentRequest:
    """A request as it would be sent, in a form to be shown. `url` without user and key; headers are not kept.

    `body` writes the body as text: see `json_text` and `form_text`. It reads and hashes every byte, and may be called
    in a thread.
    """

    method: str
    url: str
    body: Callable[[], str]


class NotSent(BaseException):
    """Ends an adapter whose request was recorded. Adapters take an `Exception` for trouble."""


class RecordingClient(HttpClient):
    """Stands in for the client of a provider; has no transport, so that nothing can be sent."""

    def __init__(self, real: HttpClient) -> None:
        """Have the address of a real client."""
        self._settle(real.base_url, real.host)
        self._requests: list[UnsentRequest] = []  # one list for all that `at` makes of this

    @property
    def request(self) -> UnsentRequest | None:
        """The first request that would have been sent."""
        return self._requests[0] if self._requests else None

    def post_json(
        self,
        path: str,
        body: JsonObject,
        headers: Mapping[str, str],  # noqa: ARG002
        sign: Sign | None = None,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[Answer]:
        """See HttpClient. Nothing is signed."""
        return self._record("POST", path, lambda: json_text(body))

    def post_form(
        self,
        path: str,
        fields: Sequence[tuple[str, str]],
        files: Sequence[FormFile],
        headers: Mapping[str, str],  # noqa: ARG002
        sign: Sign | None = None,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[Answer]:
        """See HttpClient. Nothing is signed."""
        return self._record("POST", path, lambda: form_text(fields, files))

    def get(
        self,
        path: str,
        headers: Mapping[str, str],  # noqa: ARG002
        sign: Sign | None = None,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[Answer]:
        """See HttpClient. Nothing is signed."""
        return self._record("GET", path, str)

    def send_empty(
        self,
        method: Literal["POST", "PUT", "DELETE"],
        path: str,
        headers: Mapping[str, str],  # noqa: ARG002
    ) -> AbstractAsyncContextManager[Answer]:
        """See HttpClient."""
        return self._record(method, path, str)

    @asynccontextmanager
    async def websocket(
        self,
        path: str,  # noqa: ARG002
        headers: Mapping[str, str],  # noqa: ARG002
        most_bytes: int = MOST_MESSAGE_BYTES,  # noqa: ARG002
    ) -> AsyncGenerator[WebSocket, None]:
        """See HttpClient. It is open, takes everything, and ends whoever waits for a message; no request is kept."""
        yield _NoSocket()

    async def close(self) -> None:
        """There is nothing to close."""

    def _record(self, method: str, path: str, body: Callable[[], str]) -> AbstractAsyncContextManager[Answer]:
        request = UnsentRequest(method, url_text(self._full_url(path)), body)

        return _NoExchange(lambda: self._requests.append(request))

    def _settle(self, base: str, host: str) -> None:
        self._base, self._host = base, host


class _NoSocket:
    """A websocket that leads nowhere."""

    async def send(self, text: str) -> None:
        """See WebSocket."""

    async def receive(self) -> str | bytes:
        """See WebSocket."""
        raise NotSent


class _NoExchange(AbstractAsyncContextManager[Answer]):
    """An exchange that ends before it begins."""

    def __init__(self, entered: Callable[[], None]) -> None:
        self._entered = entered

    async def __aenter__(self) -> Answer:
        self._entered()
        raise NotSent

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It is never inside."""
