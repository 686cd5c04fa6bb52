"""By `/stream`: the pictures while they develop, on one connection and without a queue.

What an event holds is the model's own matter: as a rule the same as its answer, with the picture so far. The last
event is the answer. Source: fal.ai/docs on streaming, and the streams of `@fal-ai/client`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Phase, Progress, ProviderEvent
from imagegen_server.domain.json import JsonObject
from imagegen_server.http.answer import Answer
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.http.sse import read_events
from imagegen_server.providers.accepted import accepted_events

from .answer import Payload, events_of, most_bytes, pictures_in, previews_of, read_payload
from .errors import error_in, error_of_answer
from .exchange import Exchange

_NO_SUCH_PATH = (404, 405)
_END = b"[DONE]"


class NotStreamedError(Exception):
    """The model has no stream, and nothing was begun."""


async def streamed_events(exchange: Exchange, run_url: str, body: JsonObject) -> AsyncGenerator[ProviderEvent, None]:
    """Ask for a stream below `run_url`, and read it.

    :raises NotStreamedError: there is none
    :raises ImageError: what the vendor said, or what happened to the connection
    """
    http, path = exchange.http.at(f"{run_url}/{exchange.task.model}/stream", exchange.settings.domains)
    headers = exchange.headers(queued=False) | {"Accept": "text/event-stream"}
    async with http.post_json(path, body, headers) as answer:
        context = exchange.context_of(answer, http.host)
        if answer.status in _NO_SUCH_PATH:
            raise NotStreamedError
        if not answer.ok:
            raise error_of_answer(context, await read_failure(answer), accepted=False)
        streams = answer.media_type == "text/event-stream"
        read = _events(exchange, context, answer) if streams else _whole(exchange, context, answer)
        async with aclosing(accepted_events(read, exchange.call, lambda: context.request_id)) as events:
            async for event in events:
                yield event


async def _whole(exchange: Exchange, context: ErrorContext, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
    """Read an answer that is no stream although one was asked for."""
    payload = read_payload(context, await answer.read(most_bytes(exchange.task.count)))
    async with aclosing(events_of(exchange, context, payload)) as events:
        async for event in events:
            yield event


async def _events(exchange: Exchange, context: ErrorContext, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
    last: Payload | None = None
    malformed: ImageError | None = None
    shown: dict[int, int] = {}
    async with aclosing(read_events(answer.chunks())) as stream:
        async for sent in stream:
            if sent.data == _END:
                break
            try:
                payload = read_payload(context, sent.data)
            except ImageError as problem:
                # The picture may still come. If it does not, this is why.
                malformed = context.invalid(f"a malformed event: {problem.message}")
                continue
            if not pictures_in(payload):
                if error := error_in(context, payload):
                    raise error
                yield _progress(payload)
                continue
            if last is not None and min(shown.values(), default=0) < exchange.task.preview_count:
                async for preview in previews_of(exchange, last):
                    shown[preview.index] = shown.get(preview.index, 0) + 1
                    yield preview
            last = payload
    if last is None:
        raise malformed or context.invalid("a stream that ended before the picture")
    async with aclosing(events_of(exchange, context, last)) as events:
        async for event in events:
            yield event


def _progress(payload: Payload) -> Progress:
    told = payload.get("progress")
    fraction = float(told) if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told <= 1 else None
    return Progress(Phase.GENERATING, fraction=fraction)
