"""The provider: a graph is queued with a websocket beside it, watched until it ends, and its pictures are got."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure, read_object
from imagegen_server.http.polling import Farewells
from imagegen_server.http.whole_answer import read_list
from imagegen_server.providers.base import Call, Provider

from .answer import Ended, events_of
from .errors import error_of_answer, left_out
from .exchange import Exchange, Pace, call_off, call_off_late, key_header
from .frames import text
from .graphs import LOADER, LOADER_INPUT
from .inputs import uploaded
from .line import Line, watched
from .models import Models
from .request import PARAM_OPTIONS, fitted, params_of, seed_in, seed_of, values_of
from .settings import ComfyUISettings
from .watch import Watch
from .workflow import IMAGES

_MOST_QUEUED_BYTES = 4 * 1024 * 1024
_MOST_LIST_BYTES = 16 * 1024 * 1024
_LONGEST_ID = 100


class ComfyUI(Provider):
    """Draws and edits with one server."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = frozenset({"prompt", "client_id", "prompt_id", "mask", *IMAGES})

    def __init__(self, name: str, settings: ComfyUISettings, pace: Pace | None = None) -> None:
        """Take the configured name. `pace` of asking after a prompt."""
        self._name = name
        self._settings = settings
        self._pace = pace or Pace()
        self._models = Models(settings)
        self._farewells = Farewells(name)

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return self._models.find(model_id)

    async def models(self) -> Sequence[Model]:
        """List the workflows, and the checkpoints that the server last named."""
        return self._models.all()

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the workflows, and the checkpoints that the server has.

        :raises ImageError: what the server said, or what happened to the connection
        """
        if self._settings.checkpoints:
            secret = key.reveal() if key else ""
            async with http.get(f"/object_info/{LOADER}", key_header(secret)) as answer:
                context = ErrorContext(
                    self._name, http.host, answer.status, answer.headers, "", secret, http.header_values
                )
                names = await read_list(answer, context, error_of_answer, _checkpoints, most_bytes=_MOST_LIST_BYTES)
            self._models.listed(names)
        return self._models.all()

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST, MODEL_NOT_FOUND
        """
        return fitted(self._name, task, self._models)

    def images_per_request(self, task: Task) -> int:
        """See Provider. The server makes previews of the first picture of a batch only."""
        return 1 if task.preview_count else super().images_per_request(task)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Queue the task, and watch it.

        :raises ImageError: what the server said, or what happened to the connection
        """
        assert call.http is not None
        key = call.key.reveal() if call.key else ""
        exchange = Exchange(self._name, task, call, call.http, self._models.workflow_of(task), self._pace, key)
        values = await uploaded(exchange)
        # An id that nobody else has, so that no other socket takes the place of ours, and no other prompt that of ours.
        own_id = str(uuid.uuid4())
        body, seed = self._body(exchange, values, own_id)
        async with Line(exchange, own_id) as line:
            try:
                context, queued = await self._queue(exchange, body, own_id)
            except asyncio.CancelledError:
                self._farewells.say(call_off_late(exchange, own_id))
                raise
            prompt_id = text(queued["prompt_id"])
            call.accepted(prompt_id)
            watch, done = Watch(task, exchange.workflow, prompt_id, context), False
            try:
                async with aclosing(watched(exchange, line, watch, context)) as events:
                    async for event in events:
                        yield event
                not_run = left_out(context, queued.get("node_errors"))
                ended = Ended(prompt_id, context, seed, watch.history, watch.pushed, watch.pushed_more, not_run)
                async with aclosing(events_of(exchange, ended)) as events:
                    async for event in events:
                        yield event
                done = True
            except ImageError as error:
                done = watch.ended
                error.provider_request_id = prompt_id
                raise
            finally:
                if not done:
                    self._farewells.say(call_off(exchange, prompt_id, own_id))

    async def close(self) -> None:
        """Wait until the server has been told of what nobody wants any more."""
        await self._farewells.close()

    def _body(
        self, exchange: Exchange, values: Mapping[str, JsonValue], own_id: str
    ) -> tuple[dict[str, JsonValue], int | None]:
        """Write what is queued, and tell the seed that it is drawn with."""
        task, workflow = exchange.task, exchange.workflow
        builtin = not self._models.is_workflow(task.model)
        params = params_of(task, workflow)
        seed = seed_of(task.options, exchange.call.idempotency_key)
        graph = workflow.filled(
            {**values_of(task, workflow, builtin=builtin, seed=seed), **values},
            params.inputs,
        )
        # Old servers do as they were started, whatever this says.
        extra: JsonObject = {"preview_method": self._settings.preview_method if task.preview_count else "none"}
        rest = dict(params.rest)
        if isinstance(more := rest.pop("extra_data", None), Mapping):
            extra = {**extra, **more}
        body: dict[str, JsonValue] = {
            **rest,
            "prompt": graph,
            "client_id": own_id,
            "prompt_id": own_id,
            "extra_data": dict(extra),
        }
        return body, seed_in(graph, workflow)

    async def _queue(
        self, exchange: Exchange, body: JsonObject, own_id: str
    ) -> tuple[ErrorContext, Mapping[str, object]]:
        """Queue a graph: the context and the content of the answer.

        :raises ImageError: it is refused, or what happened to the connection
        """
        try:
            async with exchange.http.post_json("/prompt", body, exchange.headers) as answer:
                context = exchange.context_of(answer)
                if not answer.ok:
                    failure = await read_failure(answer)
                    raise error_of_answer(context, failure, exchange.workflow, exchange.task.model)
                queued = read_object(await answer.read(_MOST_QUEUED_BYTES))
        except ImageError as error:
            if error.billed is not Billed.NO:
                # It may be queued all the same.
                self._farewells.say(call_off_late(exchange, own_id))
            raise
        # Versions before August 2025 choose the id.
        prompt_id = text(queued.get("prompt_id"))
        if not prompt_id or len(prompt_id) > _LONGEST_ID or prompt_id != context.name(prompt_id):
            self._farewells.say(call_off_late(exchange, own_id))
            raise context.invalid("no id of a prompt, so it is not known whether there is one")
        return context, queued


def _checkpoints(payload: object) -> list[str]:
    """Read the names that the loader of checkpoints takes, as old and new versions tell them.

    :raises KeyError, TypeError: there are none
    """
    if not isinstance(payload, Mapping):
        raise TypeError("no object")
    match payload[LOADER]["input"]["required"][LOADER_INPUT]:
        case ["COMBO", {"options": list() as names}, *_] | [list() as names, *_]:
            if all(isinstance(name, str) and name for name in names):
                return names
    raise TypeError("names that are no texts")
