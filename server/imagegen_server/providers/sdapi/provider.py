"""The provider: one call for a picture, and questions beside it how far that is."""

import asyncio
import base64
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, ClassVar, TypeVar

from imagegen_server.domain.capabilities import Capabilities, Model
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer, HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.http.image_json import ImageJson
from imagegen_server.http.polling import Farewells
from imagegen_server.http.whole_answer import read_list
from imagegen_server.providers.base import Call, Provider

from .answer import events_of, read_answer
from .errors import error_of_answer
from .models import (
    DEFAULT,
    Limits,
    as_model,
    capabilities_of,
    listed_samplers,
    listed_titles,
    read_limits,
)
from .request import CONTROLLED, PARAM_OPTIONS, body_of, fitted, path_of, with_seed
from .settings import SdapiSettings
from .watching import Pace, Routes, Watch, developing

_MOST_LIST_BYTES = 16 * 1024 * 1024
_ListT = TypeVar("_ListT")
_LOST = frozenset({Reason.NETWORK_ERROR, Reason.TIMEOUT})


class Sdapi(Provider):
    """Draws and edits by one server."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = CONTROLLED

    def __init__(self, name: str, settings: SdapiSettings, pace: Pace | None = None) -> None:
        """Take the configured name and the settings. `pace`: for tests, instead of that of the settings."""
        self._name = name
        self._settings = settings
        self._pace = pace or Pace(settings.poll_seconds, 2 * settings.poll_seconds)
        self._titles: Mapping[str, str] = {}
        self._samplers: Sequence[str] = ()
        self._limits = Limits()
        self._routes = Routes()
        self._under_way = 0
        self._farewells = Farewells(name)

    def model(self, model_id: str) -> Model:
        """See Provider."""
        known = model_id == DEFAULT or model_id in self._titles
        return as_model(model_id, self._able(), self._titles.get(model_id, ""), known=known)

    async def models(self) -> Sequence[Model]:
        """List the model that is loaded, and those that the server last listed."""
        return [self.model(model_id) for model_id in dict.fromkeys((DEFAULT, *self._titles))]

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the server's checkpoints. Its samplers and its limits are kept for what comes.

        :raises ImageError: what the server said, or what happened to the connection
        """
        secret = key.reveal() if key else ""
        self._titles = await self._listed(http, "/sdapi/v1/sd-models", listed_titles, secret)
        self._samplers, self._limits = (), Limits()
        with suppress(ImageError):
            self._samplers = await self._listed(http, "/sdapi/v1/samplers", listed_samplers, secret)
        with suppress(ImageError):
            self._limits = await self._listed(http, "/sdcpp/v1/capabilities", read_limits, secret)
        return [self.model(title) for title in self._titles]

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(self._name, task, self._limits)

    def images_per_request(self, task: Task) -> int:
        """See Provider. A preview of several at once would show them side by side."""
        return 1 if task.preview_count else super().images_per_request(task)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Ask for the picture, and tell how far it is until it comes.

        :raises ImageError: what the server said, or what happened to the connection
        """
        assert call.http is not None
        http, key = call.http, call.key.reveal() if call.key else ""
        own = call.idempotency_key or uuid.uuid4().hex
        task, task_id = with_seed(task, own), f"imagegen-{own}"
        body = await body_of(task, task_id, self._settings.preview_steps)
        if not self._settings.shared:
            # Somebody has left: what interrupts that must not meet this.
            await self._farewells.close()
        watch = Watch(http, authorization(key), self._routes, task_id, lambda: self._alone(1))
        self._under_way += 1
        main = asyncio.ensure_future(self._made(task, http, key, body))
        try:
            accepted = partial(_accept, call, watch)
            async with aclosing(developing(main, watch, self._pace, task.preview_count, accepted)) as seen:
                async for event in seen:
                    yield event
            payload, context = main.result()
            accepted()
            async with aclosing(events_of(payload, context, task)) as events:
                async for event in events:
                    yield event
        except ImageError as error:
            error.provider_request_id = error.provider_request_id or task_id
            # Whoever refuses what was at work already is no longer the one who knows.
            raise (
                error.with_billed(Billed.UNKNOWN) if watch.accepted and error.billed is Billed.NO else error
            ) from None
        finally:
            self._under_way -= 1
            await self._leave(main, watch)

    async def close(self) -> None:
        """See Provider."""
        await self._farewells.close()

    async def _leave(self, main: "asyncio.Task[tuple[Mapping[str, ImageJson], ErrorContext]]", watch: Watch) -> None:
        """Close the connection if it is open, and call off what the server may work on for nobody."""
        left = not main.done()
        main.cancel()
        (end,) = await asyncio.gather(main, return_exceptions=True)
        if left or (isinstance(end, ImageError) and end.reason in _LOST and end.sent):
            watch.alone = lambda: self._alone(0)
            self._farewells.say(watch.call_off(self._pace.previews))

    async def _made(
        self, task: Task, http: HttpClient, key: str, body: JsonObject
    ) -> tuple[Mapping[str, ImageJson], ErrorContext]:
        """Make the call that is answered when all is done.

        :raises ImageError: why it was not
        """
        async with http.post_json(path_of(task), body, authorization(key)) as answer:
            context = self._context(http, answer, task.prompt, key)
            if answer.ok:
                return await read_answer(answer, context, task), context
            error = error_of_answer(context, await read_failure(answer), self._samplers)
        raise await self._explained(error, task, http, key)

    async def _explained(self, error: ImageError, task: Task, http: HttpClient, key: str) -> ImageError:
        """Find out whether a failure is about the model: Forge answers an unknown one by 500, and without words."""
        plain = error.reason is Reason.PROVIDER_ERROR and (error.http_status or 0) >= 500  # noqa: PLR2004
        if task.model == DEFAULT or not plain:
            return error
        with suppress(ImageError):
            titles = await self._listed(http, "/sdapi/v1/sd-models", listed_titles, key)
            if titles and task.model not in titles and task.model not in titles.values():
                message = (
                    f"{self._name}: the server failed, and does not list such a model; ListModels tells which it has"
                )
                return ImageError(Reason.MODEL_NOT_FOUND, message, billed=Billed.NO, http_status=error.http_status)
        return error

    async def _listed(self, http: HttpClient, path: str, read: Callable[[Any], _ListT], key: str) -> _ListT:
        async with http.get(path, authorization(key)) as answer:
            context = self._context(http, answer, "", key)
            return await read_list(answer, context, error_of_answer, read, most_bytes=_MOST_LIST_BYTES)

    def _able(self) -> Capabilities:
        most = min(self._settings.batch_size, self._limits.batch or self._settings.batch_size)
        return capabilities_of(most, tells=self._routes.tell)

    def _alone(self, mine: int) -> bool:
        """Tell whether nothing can be under way on the server but so many tasks of ours."""
        return not self._settings.shared and self._under_way == mine

    def _context(self, http: HttpClient, answer: Answer, prompt: str, key: str) -> ErrorContext:
        secrets = (*http.header_values, *authorization(key).values(), key.partition(":")[2])
        return ErrorContext(self._name, http.host, answer.status, answer.headers, prompt, key, secrets)


def _accept(call: Call, watch: Watch) -> None:
    watch.accepted = True
    call.accepted(watch.task_id)


def authorization(key: str) -> Mapping[str, str]:
    """Make the header for a key: "user:password" is what --api-auth wants (RFC 7617), anything else is a token."""
    if not key:
        return {}
    basic = base64.b64encode(key.encode()).decode("ascii")
    return {"Authorization": f"Basic {basic}" if ":" in key else f"Bearer {key}"}
