"""The provider: predictions with the models of the vendor's catalogue, and what is known of these."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import ClassVar

from imagegen_server.domain.capabilities import Capabilities, Model
from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.domain.events import ProviderEvent, Report
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import HttpClient
from imagegen_server.http.polling import Farewells, Pace
from imagegen_server.providers.base import Call, Provider

from .inputs import CONTROLLED, PARAM_OPTIONS, Inputs
from .listing import Catalogue, Listed
from .models import known_ids, known_inputs
from .prediction import Exchange, predicted_events
from .request import fitted, model_path, unsayable
from .settings import ReplicateSettings

_ASKED_AT_ONCE = 8
_MOST_REMEMBERED = 1000
"""Models that are in no list and have been asked."""

_TELLING = frozenset({Reason.MODEL_NOT_FOUND, Reason.AUTHENTICATION_FAILED})
"""What a question about a model may end with that its prediction would end with, too."""


class Replicate(Provider):
    """Draws and edits with the models at the vendor: its own, other people's, and yours."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = CONTROLLED

    def __init__(self, name: str, settings: ReplicateSettings, pace: Pace | None = None) -> None:
        """Take the configured name. `pace` of asking after a prediction; the vendor's own client begins like this."""
        self._name = name
        self._settings = settings
        self._pace = pace or Pace()
        self._farewells = Farewells(name)
        self._listed: Mapping[str, Inputs] = {}
        self._asked: dict[str, Inputs] = {}

    def model(self, model_id: str) -> Model:
        """See Provider. What the vendor said counts; before that, what is known here, or a guess."""
        inputs = self._inputs(model_id)
        return Model(id=model_id, capabilities=inputs.capabilities(), known=not inputs.guessed)

    async def models(self) -> Sequence[Model]:
        """List what the vendor's collections last named; before they were read, what is known here."""
        return [self.model(model_id) for model_id in (self._listed or known_ids())]

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the models of the vendor's collections and those of the table, and remember their inputs.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        catalogue = Catalogue(self._name, http, key.reveal() if key else "")
        listed = [entry for slug in self._settings.collections for entry in await catalogue.collection(slug)]
        named = [Listed(model_id, None) for model_id in self._settings.models]
        told = {entry.model_id: entry.inputs for entry in (*named, *listed)}
        silent = [model_id for model_id, inputs in told.items() if inputs is None]
        gate = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def ask(model_id: str) -> None:
            async with gate:
                told[model_id] = await _asked(catalogue, model_id)

        await asyncio.gather(*map(ask, silent))
        self._listed = {model_id: inputs or known_inputs(model_id) for model_id, inputs in told.items()}
        return await self.models()

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(self._name, task, self._inputs(task.model))

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Ask a model that nothing is known of for its inputs, then create the prediction.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        model_path(task.model)  # nothing else goes into a path
        key = call.key.reveal() if call.key else ""
        inputs, left_out = self._inputs(task.model), list[str]()
        if inputs.guessed and (told := await _asked(Catalogue(self._name, call.http, key), task.model, _TELLING)):
            if len(self._asked) < _MOST_REMEMBERED:
                self._asked[task.model] = told
            inputs = told
            task, left_out = self._held_against(task, told)
        exchange = Exchange(self._name, task, inputs, call, call.http, key)
        async with aclosing(predicted_events(exchange, self._farewells, self._pace)) as events:
            async for event in events:
                if left_out and isinstance(event, Report):
                    event = replace(event, metadata={**event.metadata, "left_out": [*left_out]})  # noqa: PLW2901
                yield event

    async def close(self) -> None:
        """Wait until the vendor has been told of what nobody wants any more."""
        await self._farewells.close()

    def _inputs(self, model_id: str) -> Inputs:
        return self._listed.get(model_id) or self._asked.get(model_id) or known_inputs(model_id)

    def _held_against(self, task: Task, inputs: Inputs) -> tuple[Task, list[str]]:
        """Hold a task that was planned by a guess against what the model has; tells what cannot be said to it.

        :raises ImageError: INVALID_REQUEST, OPERATION_NOT_SUPPORTED, OPTION_NOT_SUPPORTED; nothing was spent
        """
        name = f"{self._name}/{task.model}"
        if missing := _not_done(task, inputs.capabilities()):
            raise ImageError(Reason.OPERATION_NOT_SUPPORTED, f"{name} {missing}", billed=Billed.NO)
        unknown = unsayable(task, inputs)
        task = replace(task, options=replace(task.options, **dict.fromkeys(unknown)))
        task, noted = fitted(self._name, task, inputs)
        left_out = [*(f"options.{option}" for option in unknown), *(note.field for note in noted)]
        if left_out and task.strict:
            message = f"strict is set and {name}, which was asked what it can do, would not do as asked"
            wrong = [Violation(path, "this model would not do it") for path in left_out]
            raise ImageError(Reason.OPTION_NOT_SUPPORTED, message, billed=Billed.NO, violations=wrong)
        return task, left_out


def _not_done(task: Task, able: Capabilities) -> str:
    """Say what of a task a model does not do at all; "" = nothing."""
    if task.images and not able.edit:
        return "takes no images"
    if task.mask is not None and not able.mask:
        return "takes no mask"
    return "needs an image" if not task.images and not able.generate else ""


async def _asked(catalogue: Catalogue, model_id: str, telling: frozenset[Reason] = frozenset()) -> Inputs | None:
    """Ask for the inputs of a model; None = they are not told, so that what is known here must do.

    :raises ImageError: for a reason of `telling`
    """
    try:
        return (await catalogue.model(model_id)).inputs
    except ImageError as error:
        if error.reason in telling:
            raise
        return None
