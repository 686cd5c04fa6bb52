"""A fake of the OpenAI Images API on a loopback port.

It is as strict as the published interface, so that what works here is not wrong in our favour; the official `openai`
package is held against it in tests/providers/openai.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web

from .openai_checks import MODELS, Order, read_edit, read_generation
from .openai_recording import RecordedRequest, recorded
from .openai_refusals import Refused, missing_key, wrong_key
from .openai_wire import events, images_body

_MOST_BODY_BYTES = 1 << 30


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


class FakeOpenAI:
    """One loopback server: where it is, what it was asked, what it shall say."""

    def __init__(self, key: str) -> None:
        """Know one key and the models that are not retired."""
        self.key = key
        self.models = MODELS
        self.base_url = ""
        self.requests: list[RecordedRequest] = []
        self._answers: deque[Answer] = deque()
        self._numbers = count(1)

    def answer_next(self, *answers: Answer) -> None:
        """Say these to the next calls, in this order; then draw again."""
        self._answers.extend(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one call."""
        body = await request.read()
        call = recorded(request.method, request.path, list(request.headers.items()), body)
        self.requests.append(call)
        answer = self._answers.popleft() if self._answers else None
        try:
            order = None if answer and not answer.checks else self._order(call)
        except Refused as refused:
            return self._json(refused.status, refused.body)
        if answer:
            answer.asked.set()
            return await self._say(request, answer)
        assert order is not None
        if not order.stream:
            return self._json(200, images_body(order))
        return await self._say(request, event_answer(*events(order)))

    def _order(self, call: RecordedRequest) -> Order:
        self._check_key(call.headers.get("authorization", ""))
        operation = {"/v1/images/generations": read_generation, "/v1/images/edits": read_edit}.get(call.path)
        if operation is None:
            raise Refused(f"Invalid URL ({call.method} {call.path})", code=None, status=404)
        if call.method != "POST":
            message = f"Not allowed to {call.method} on {call.path}."
            raise Refused(message, code="method_not_supported", status=405)
        return operation(call, self.models)

    def _check_key(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        if scheme != "Bearer" or not key:
            raise missing_key()
        if key != self.key:
            raise wrong_key(key)

    def _headers(self) -> dict[str, str]:
        number = next(self._numbers)
        return {"x-request-id": f"req_{number:032x}", "openai-version": "2020-10-01", "openai-processing-ms": "12"}

    def _json(self, status: int, body: dict[str, Any]) -> web.Response:
        return web.json_response(body, status=status, headers=self._headers())

    async def _say(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        try:
            if answer.before:
                await answer.before.wait()
            response = web.StreamResponse(status=answer.status, headers=self._headers() | _lower(answer.headers))
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


@asynccontextmanager
async def fake_openai(key: str = "sk-test") -> AsyncIterator[FakeOpenAI]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    fake = FakeOpenAI(key)
    app = web.Application(client_max_size=_MOST_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    # The handler is cancelled when its client leaves; that is how `client_gone` comes to be set.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fake.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield fake
    finally:
        await runner.cleanup()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
