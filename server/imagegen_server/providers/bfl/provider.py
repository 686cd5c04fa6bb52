"""The provider: a task is posted to the path of its model, and asked after until its picture lies at a URL."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.http.polling import Pace, Poller
from imagegen_server.providers.base import Call, NoSettings, Provider

from .answer import ResultReader, Submitted, read_submitted, report_of
from .errors import error_of_answer, error_of_question, tells_of_task
from .models import INPUT_FIELDS, PARAM_OPTIONS, find_model, known_models, path_of
from .request import body_of, fitted

_MOST_SUBMITTED_BYTES = 1024 * 1024


class BFL(Provider):
    """Draws and edits by one task a picture."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = frozenset(
        # With a webhook the vendor tells the result to somebody else.
        {"prompt", "webhook_url", "webhook_secret", *INPUT_FIELDS}
    )

    def __init__(self, name: str, settings: NoSettings, pace: Pace | None = None) -> None:  # noqa: ARG002 - none
        """Take the configured name, and when to ask after a task; by default as the vendor does in its examples."""
        self._name = name
        self._pace = pace or Pace()

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models of the vendor's OpenAPI document; there is no list to ask for."""
        return known_models()

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST, MODEL_NOT_FOUND
        """
        return fitted(self._name, task)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Submit the task, and ask after it. The vendor knows no way to call it off: leaving only stops the asking.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        http, key = call.http, call.key.reveal() if call.key else ""
        headers = {"x-key": key} if key else {}

        def context_of(answer: Answer) -> ErrorContext:
            return ErrorContext(
                self._name, http.host, answer.status, answer.headers, task.prompt, key, http.header_values
            )

        async with http.post_json(path_of(task.model), await body_of(task), headers) as answer:
            context = context_of(answer)
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            submitted = read_submitted(context, await answer.read(_MOST_SUBMITTED_BYTES))
        call.accepted(submitted.task_id)
        yield report_of(submitted, submitted.payload)
        try:
            there, path = submitted.place(http)
            poller = Poller(there, headers, context_of, error_of_question, self._pace, tells=tells_of_task)
            async with aclosing(_events(poller, path, task, submitted, call)) as events:
                async for event in events:
                    yield event
        except ImageError as error:
            error.provider_request_id = submitted.task_id
            raise


async def _events(
    poller: Poller, path: str, task: Task, submitted: Submitted, call: Call
) -> AsyncGenerator[ProviderEvent, None]:
    """Ask until the picture is there."""
    reader = ResultReader(task, submitted, call.fetch)
    async with aclosing(poller.answers(path)) as answers:
        async for told in answers:
            async with aclosing(reader.events(told)) as events:
                async for event in events:
                    yield event
            if reader.done:
                return
