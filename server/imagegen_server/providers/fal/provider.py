"""The provider: by the queue, or by a stream where previews are wanted."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import HttpClient
from imagegen_server.http.polling import Farewells, Pace
from imagegen_server.providers.base import Call, Provider

from .exchange import Exchange
from .inputs import IMAGE_FIELDS, MASK_FIELDS, PARAM_OPTIONS, Inputs
from .listing import Listed, listed_models
from .models import known_ids, known_inputs, known_to_stream
from .queue import queued_events
from .request import body_of, fitted
from .settings import FalSettings
from .stream import NotStreamedError, streamed_events

_MOST_REMEMBERED = 1000
"""Models that are known to have no stream."""


class Fal(Provider):
    """Draws and edits with the models of the vendor's catalogue, and with apps of your own there."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = frozenset({"prompt", *IMAGE_FIELDS, *MASK_FIELDS})

    def __init__(self, name: str, settings: FalSettings, pace: Pace | None = None) -> None:
        """Take the configured name. `pace` of asking after a request; by default about as the vendor's own client."""
        self._name = name
        self._settings = settings
        self._pace = pace or Pace()
        self._farewells = Farewells(name)
        self._listed: Mapping[str, Listed] = {}
        self._silent: set[str] = set()

    def model(self, model_id: str) -> Model:
        """See Provider. What the vendor's list last said counts; before that, what is known here, or a guess."""
        listed, inputs = self._listed.get(model_id), self._inputs(model_id)
        return Model(
            id=model_id,
            capabilities=inputs.capabilities(streams=self._streams(model_id)),
            display_name=listed.display_name if listed else "",
            known=listed is not None or model_id in known_ids(),
        )

    async def models(self) -> Sequence[Model]:
        """List what the vendor's list last named; before it was read, what is known here."""
        return [self.model(model_id) for model_id in (self._listed or known_ids())]

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the image models of the vendor's model search, and remember what it says of their fields.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        if api_url := self._settings.api_url_beside(http.base_url):
            secret = key.reveal() if key else ""
            self._listed = await listed_models(self._name, http, api_url, self._settings.domains, secret)
        return await self.models()

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST, MODEL_NOT_FOUND
        """
        return fitted(self._name, task, self._inputs(task.model))

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Stream the task, or have it queued.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        exchange = Exchange(self._name, self._settings, task, call, call.http, call.key.reveal() if call.key else "")
        body = await body_of(task, self._inputs(task.model), sync_mode=self._settings.sync_mode)
        run_url = self._settings.run_url_beside(call.http.base_url)
        if task.preview_count and run_url and task.model not in self._silent:
            try:
                async with aclosing(streamed_events(exchange, run_url, body)) as streamed:
                    async for event in streamed:
                        yield event
                return
            except NotStreamedError:
                if len(self._silent) < _MOST_REMEMBERED:
                    self._silent.add(task.model)
        async with aclosing(queued_events(exchange, body, self._farewells, self._pace)) as queued:
            async for event in queued:
                yield event

    async def close(self) -> None:
        """Wait until the vendor has been told of what nobody wants any more."""
        await self._farewells.close()

    def _inputs(self, model_id: str) -> Inputs:
        listed = self._listed.get(model_id)
        return (listed.inputs if listed else None) or known_inputs(model_id)

    def _streams(self, model_id: str) -> bool | None:
        """Tell whether a model streams; None = nobody has said so, and it can only be tried."""
        listed = self._listed.get(model_id)
        if model_id in self._settings.streaming or known_to_stream(model_id) or (listed and listed.streams):
            return True
        return False if model_id in self._silent or model_id in known_ids() else None
