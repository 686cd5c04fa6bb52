"""By the queue: a request is submitted, asked after until it is completed, and its answer got. Leaving calls it off.

Asking is preferred to the stream of statuses: it outlives a broken connection, and the vendor's own clients do so
until its streams are stable.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Phase, Progress, ProviderEvent
from imagegen_server.domain.json import JsonObject
from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure, read_object
from imagegen_server.http.polling import Farewells, Pace, Poller, Told

from .answer import events_of, most_bytes, read_payload
from .errors import REQUEST_ID, error_in, error_of_answer, still_in_progress, tells_of_work
from .exchange import Exchange, key_header
from .request import app_path

_MOST_SUBMITTED_BYTES = 1024 * 1024
_MOST_POSITION = 2**31
_ENDED = ("COMPLETED", "FAILED", "ERROR", "CANCELLED", "CANCELED")
"""The first is all that the vendor documents: work that failed is COMPLETED, too."""

_ACCEPTED, _CLIENT_ERROR = 202, 400
_SOON, _SLOWER = 0.01, 3.0
"""The answer of work that has ended is there as a rule; if not, it is asked for ever more seldom."""

_ANSWER_SECONDS = 300.0
"""How long an answer with pictures may take. It can be asked for again."""


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A request that the vendor has taken on, and where it says that it is."""

    request_id: str
    app: str
    urls: dict[str, str]

    def place(self, exchange: Exchange, what: str, behind: str = "") -> tuple[HttpClient, str]:
        """Tell where to ask; `behind` is what follows the request's path where the vendor has not said it.

        :raises ImageError: INVALID_RESPONSE: at an address that is not the vendor's
        """
        if url := self.urls.get(what):
            return exchange.http.at(url, exchange.settings.domains)
        return exchange.http, f"/{self.app}/requests/{self.request_id}{behind}"


async def queued_events(
    exchange: Exchange, body: JsonObject, farewells: Farewells, pace: Pace
) -> AsyncGenerator[ProviderEvent, None]:
    """Submit a request and wait for its pictures.

    :raises ImageError: what the vendor said, or what happened to the connection
    """
    async with exchange.http.post_json(exchange.task.model, body, exchange.headers(queued=True)) as answer:
        context = exchange.context_of(answer)
        if not answer.ok:
            raise error_of_answer(context, await read_failure(answer), accepted=False)
        try:
            submitted = _read_submitted(exchange, context, await answer.read(_MOST_SUBMITTED_BYTES))
        except ImageError as error:
            error.provider_request_id = error.provider_request_id or context.request_id
            raise
    exchange.call.accepted(submitted.request_id)
    ended = False
    try:
        failed, last = False, None
        async with aclosing(_statuses(exchange, submitted, pace)) as statuses:
            async for status in statuses:
                failed, progress = bool(status.get("error") or status.get("error_type")), _progress(status)
                if progress not in (None, last):
                    last = progress
                    yield progress
        told = await _answer(exchange, submitted, pace, failed=failed)
        ended = True
        # It is about the work, whatever id the asking itself had.
        context = replace(told.context, headers={**told.context.headers, REQUEST_ID: submitted.request_id})
        if context.status >= _CLIENT_ERROR:
            raise error_of_answer(context, told.body)
        payload = read_payload(context, told.body)
        async with aclosing(events_of(exchange, context, payload)) as events:
            async for event in events:
                yield event
    except ImageError as error:
        error.provider_request_id = submitted.request_id
        raise
    finally:
        if not ended:
            farewells.say(_call_off(exchange, submitted))


def _read_submitted(exchange: Exchange, context: ErrorContext, body: bytes) -> _Submitted:
    """Read the answer to what was submitted.

    :raises ImageError: INVALID_RESPONSE, or the error that it is
    """
    payload = read_object(body)
    request_id = payload.get("request_id")
    if not isinstance(request_id, str) or not request_id or request_id != context.name(request_id):
        raise error_in(context, payload, accepted=False) or context.invalid(
            "no id of a request, so it is not known whether there is one"
        )
    urls = {
        name: url for name in ("status_url", "response_url", "cancel_url") if isinstance(url := payload.get(name), str)
    }
    return _Submitted(request_id, app_path(exchange.task.model), urls)


async def _statuses(
    exchange: Exchange, submitted: _Submitted, pace: Pace
) -> AsyncGenerator[Mapping[str, object], None]:
    """Yield how far the work is, until it has ended. A status that is not known is one of work under way."""
    http, path = submitted.place(exchange, "status_url", "/status")
    poller = Poller(http, key_header(exchange.key), exchange.context_of, error_of_answer, pace)
    async with aclosing(poller.answers(path)) as answers:
        async for told in answers:
            payload = read_object(told.body)
            yield payload
            if payload.get("status") in _ENDED:
                return


def _progress(payload: Mapping[str, object]) -> Progress | None:
    status, position = payload.get("status"), payload.get("queue_position")
    if status in _ENDED:
        return None
    if status != "IN_QUEUE":
        return Progress(Phase.GENERATING)
    known = isinstance(position, int) and not isinstance(position, bool) and 0 <= position < _MOST_POSITION
    return Progress(Phase.QUEUED, queue_position=position if known and isinstance(position, int) else None)


async def _answer(exchange: Exchange, submitted: _Submitted, pace: Pace, *, failed: bool) -> Told:
    """Get the answer of work that has ended, which may be a refusal. It costs nothing, so trouble on the way passes.

    :raises ImageError: the trouble that lasted too long
    """
    http, path = submitted.place(exchange, "response_url")
    poller = Poller(
        http,
        key_header(exchange.key),
        exchange.context_of,
        error_of_answer,
        replace(pace, first=_SOON, factor=_SLOWER),
        most_bytes(exchange.task.count),
        _ANSWER_SECONDS,
        partial(tells_of_work, failed=failed),
    )
    async with aclosing(poller.answers(path)) as answers:
        async for told in answers:
            failure = told.context.status >= _CLIENT_ERROR
            if told.context.status != _ACCEPTED and not (failure and still_in_progress(read_object(told.body))):
                return told
    raise AssertionError("a poller ends only with an answer")


async def _call_off(exchange: Exchange, submitted: _Submitted) -> None:
    """Ask that the work is not begun, or stopped."""
    http, path = submitted.place(exchange, "cancel_url", "/cancel")
    async with http.send_empty("PUT", path, key_header(exchange.key)) as answer:
        await answer.read(_MOST_SUBMITTED_BYTES)
