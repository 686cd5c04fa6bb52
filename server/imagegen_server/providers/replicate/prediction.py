"""One prediction: its images are uploaded, it is created, asked after until it has ended, and called off if left.

`Prefer: wait` is not used: while the vendor holds the request, nobody knows the id of what is paid for, so that it can
neither be called off nor shown in the making. Asking costs nothing.
"""

import math
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.task import Task
from imagegen_server.http.answer import Answer
from imagegen_server.http.client import FormFile, HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure, read_object
from imagegen_server.http.image_url import data_url
from imagegen_server.http.polling import Farewells, Pace, Poller, Told
from imagegen_server.providers.base import Call

from .answer import PredictionReader, most_answer_bytes
from .errors import error_of_answer, error_of_question, text_of
from .inputs import Inputs
from .request import File, files_of, input_of, model_path, with_files
from .settings import DOMAINS

_MOST_INSIDE = 256 * 1024
"""Bytes of an image that goes along as a data URL. Source: the HTTP reference, on files in `input`."""

_MOST_UPLOADED_BYTES = 1024 * 1024
_LEAST_LEFT, _MOST_LEFT = 5, 24 * 3600
"""Seconds that Cancel-After may say. Source: replicate.com/docs, on deadlines of predictions."""


def key_header(key: str) -> dict[str, str]:
    """Say who asks."""
    return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt at a task. `provider` is the configured name."""

    provider: str
    task: Task
    inputs: Inputs
    call: Call
    http: HttpClient
    key: str = field(repr=False)

    def context_of(self, answer: Answer) -> ErrorContext:
        """Tell with what an answer is read."""
        http = self.http
        return ErrorContext(
            self.provider, http.host, answer.status, answer.headers, self.task.prompt, self.key, http.header_values
        )


@dataclass(frozen=True, slots=True)
class _Created:
    """A prediction that the vendor has taken on, and where it says that it is."""

    prediction_id: str
    urls: Mapping[str, str]

    def place(self, http: HttpClient, what: str, behind: str = "") -> tuple[HttpClient, str]:
        """Tell where to ask; `behind` is what follows the prediction's path where the vendor has not said it.

        :raises ImageError: INVALID_RESPONSE: at an address that is not the vendor's
        """
        if url := self.urls.get(what):
            return http.at(url, DOMAINS)
        return http, f"/predictions/{self.prediction_id}{behind}"


async def predicted_events(exchange: Exchange, farewells: Farewells, pace: Pace) -> AsyncGenerator[ProviderEvent, None]:
    """Create a prediction and wait for its pictures.

    :raises ImageError: what the vendor said, or what happened to the connection
    """
    task, http = exchange.task, exchange.http
    path, version = model_path(task.model, exchange.inputs.version)
    body: JsonObject = {"input": await _input(exchange), **({"version": version} if version else {})}
    reader = PredictionReader(task, exchange.inputs, exchange.call.fetch)
    headers = key_header(exchange.key) | {"Cancel-After": _left(exchange.call.deadline)}
    async with http.post_json(path, body, headers) as answer:
        context = exchange.context_of(answer)
        if not answer.ok:
            raise error_of_answer(context, await read_failure(answer))
        first = Told(context, answer.media_type, await answer.read(most_answer_bytes(task.count)))
        created = _read_created(first)
    exchange.call.accepted(created.prediction_id)
    try:
        async with aclosing(_events(exchange, reader, created, first, pace)) as events:
            async for event in events:
                yield event
    except ImageError as error:
        error.provider_request_id = created.prediction_id
        raise
    finally:
        if not reader.ended:
            farewells.say(_call_off(exchange, created))


async def _events(
    exchange: Exchange, reader: PredictionReader, created: _Created, first: Told, pace: Pace
) -> AsyncGenerator[ProviderEvent, None]:
    """Read what was said when it was created, then ask until it has ended."""
    async with aclosing(reader.events(first)) as events:
        async for event in events:
            yield event
    if reader.done:
        return
    there, path = created.place(exchange.http, "get")
    poller = Poller(
        there,
        key_header(exchange.key),
        exchange.context_of,
        error_of_question,
        pace,
        most_answer_bytes(exchange.task.count),
    )
    async with aclosing(poller.answers(path)) as answers:
        async for told in answers:
            async with aclosing(reader.events(told)) as events:
                async for event in events:
                    yield event
            if reader.done:
                return


async def _input(exchange: Exchange) -> dict[str, JsonValue]:
    files = await files_of(exchange.task, exchange.inputs)
    placed = [(file, await _place(exchange, file, number)) for number, file in enumerate(files, 1)]
    return with_files(input_of(exchange.task, exchange.inputs), placed, exchange.inputs)


async def _place(exchange: Exchange, file: File, number: int) -> str:
    """Say where an image is: in the URL itself if it is small, else where it was uploaded to, which costs nothing."""
    if len(file.data) <= _MOST_INSIDE:
        return data_url(file.data, file.media_type)
    name = f"{number}.{file.media_type.partition('/')[2]}"
    form = [FormFile("content", name, file.media_type, file.data)]
    try:
        async with exchange.http.post_form("/files", [], form, key_header(exchange.key)) as answer:
            context = exchange.context_of(answer)
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            urls = read_object(await answer.read(_MOST_UPLOADED_BYTES)).get("urls")
    except ImageError as error:
        raise error.with_billed(Billed.NO) from None
    url = text_of(urls.get("get")) if isinstance(urls, Mapping) else ""
    if not url:
        raise context.invalid("no address of an image that was uploaded").with_billed(Billed.NO)
    return url


def _read_created(told: Told) -> _Created:
    """Read the answer to what was created.

    :raises ImageError: INVALID_RESPONSE
    """
    context, payload = told.context, read_object(told.body)
    prediction_id, urls = text_of(payload.get("id")), payload.get("urls")
    if not prediction_id or not prediction_id.isalnum() or prediction_id != context.name(prediction_id):
        raise context.invalid("no id of a prediction, so it is not known whether there is one")
    named = urls if isinstance(urls, Mapping) else {}
    return _Created(prediction_id, {name: url for name in ("get", "cancel") if (url := text_of(named.get(name)))})


def _left(deadline: float) -> str:
    """Say how long the prediction may take, so that it ends even if nobody can call it off."""
    return f"{min(max(math.ceil(deadline - time.monotonic()), _LEAST_LEFT), _MOST_LEFT)}s"


async def _call_off(exchange: Exchange, created: _Created) -> None:
    """Ask that the prediction is not begun, or stopped."""
    http, path = created.place(exchange.http, "cancel", "/cancel")
    async with http.send_empty("POST", path, key_header(exchange.key)) as answer:
        await answer.read(most_answer_bytes(exchange.task.count))
