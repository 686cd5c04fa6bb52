"""A fake of a vendor's API on a loopback port: what it was asked, and what it shall say. Every fake is made of it."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

from .recording import RecordedRequest, recorded

_MOST_BODY_BYTES = 1 << 30


class RefusalError(Exception):
    """What a vendor answers to a request that is wrong. `body` is sent as JSON."""

    def __init__(self, status: int, body: object) -> None:
        """Take the answer."""
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


@dataclass
class Answer:
    """What the fake says to a call instead of drawing.

    `pieces` are written one by one; at an event among them the fake waits until it is set. One piece of bytes alone
    has a Content-Length, anything else is chunked.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes | asyncio.Event] = ()
    before: asyncio.Event | None = None
    """Even the status waits for it."""
    breaks_off: bool = False
    """Close the connection after the last piece, in the middle of the body."""
    checks: bool = True
    """Refuse a bad request first, as ever. False: say this whatever was asked."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the call that gets this answer has arrived whole."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the headers have been written."""
    client_gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed its connection before the answer had ended."""


def json_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Make an answer of JSON."""
    return Answer(status, {"content-type": "application/json", **(headers or {})}, [json.dumps(body).encode()])


def html_answer(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Make the page of a proxy."""
    page = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>\r\n"
    return Answer(status, {"content-type": "text/html", **(headers or {})}, [page.encode()])


def event_answer(*pieces: bytes | asyncio.Event, breaks_off: bool = False) -> Answer:
    """Make a stream of events."""
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    # A leading empty piece keeps a single one from having a length: streams have none.
    return Answer(200, headers, [b"", *pieces], breaks_off=breaks_off)


def hanging_answer(released: asyncio.Event) -> Answer:
    """Make an answer whose body ends, empty, only when it is released; its headers come at once."""
    return Answer(200, {"content-type": "application/json"}, [released])


class FakeVendor(ABC):
    """One loopback server."""

    def __init__(self, prefix: str = "") -> None:
        """Serve below `prefix`, which the base URL ends with."""
        self.prefix = prefix
        self.base_url = ""
        self.requests: list[RecordedRequest] = []
        self.retouch: Callable[[RecordedRequest, Answer], Answer] = lambda _call, answer: answer
        """Looks at every answer before it is said, and may say another."""
        self._answers: deque[Answer] = deque()

    def answer_next(self, *answers: Answer) -> None:
        """Say these to the next calls, in this order; then draw again."""
        self._answers.extend(answers)

    def forget_answers(self) -> None:
        """Draw again from now on."""
        self._answers.clear()

    @abstractmethod
    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """Check a call as strictly as the vendor, and answer it; with `checks_only` the answer is not looked at.

        :raises RefusalError: it is wrong
        """

    def takes_answers(self, call: RecordedRequest) -> bool:  # noqa: ARG002
        """Tell whether a call takes what is to be said next: not one that comes whenever it comes."""
        return True

    def headers(self) -> dict[str, str]:
        """What stands in every answer."""
        return {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one call."""
        body = await request.read()
        call = recorded(request.method, request.path_qs, list(request.headers.items()), body)
        self.requests.append(call)
        answer = self._answers.popleft() if self._answers and self.takes_answers(call) else None
        try:
            drawn = None if answer and not answer.checks else self.draw(call, checks_only=answer is not None)
        except RefusalError as refusal:
            said: Answer | None = json_answer(refusal.status, refusal.body)
        else:
            said = answer or drawn
        assert said is not None
        said = self.retouch(call, said)
        said.asked.set()
        return await self._say(request, said)

    async def _say(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        try:
            if answer.before:
                await answer.before.wait()
            response = web.StreamResponse(status=answer.status, headers=_lower(self.headers()) | _lower(answer.headers))
            if len(answer.pieces) == 1 and isinstance(answer.pieces[0], bytes):
                response.content_length = len(answer.pieces[0])
            elif answer.pieces:
                response.enable_chunked_encoding()
            else:
                response.content_length = 0
            await response.prepare(request)
            answer.begun.set()
            for piece in answer.pieces:
                if isinstance(piece, bytes):
                    await response.write(piece)
                else:
                    await piece.wait()
            if answer.breaks_off:
                assert request.transport is not None
                request.transport.abort()
            else:
                await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            answer.client_gone.set()
            raise
        return response


VendorT = TypeVar("VendorT", bound=FakeVendor)


@asynccontextmanager
async def running(fake: VendorT) -> AsyncIterator[VendorT]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    app = web.Application(client_max_size=_MOST_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    # The handler is cancelled when its client leaves; that is how `client_gone` comes to be set.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fake.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}{fake.prefix}"
        yield fake
    finally:
        await runner.cleanup()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
