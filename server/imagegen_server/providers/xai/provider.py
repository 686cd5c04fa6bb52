"""The provider: one request to /images/generations or /images/edits, and what comes back."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Task
from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure, read_object
from imagegen_server.http.whole_answer import read_list
from imagegen_server.providers.accepted import accepted_events
from imagegen_server.providers.base import Call, NoSettings, Provider

from .answer import AnswerReader, report_of
from .errors import error_of_answer
from .models import PARAM_OPTIONS, find_model, listed_models, living_models
from .request import body_of, fitted

_MOST_LIST_BYTES = 4 * 1024 * 1024


class XAI(Provider):
    """Draws and edits by the REST API."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = frozenset(
        # The last two make the vendor answer without pictures: later, or by putting them elsewhere.
        {"model", "prompt", "image", "images", "mask", "stream", "response_format", "deferred", "output"}
    )

    def __init__(self, name: str, settings: NoSettings) -> None:  # noqa: ARG002 - there are none
        """Take the configured name."""
        self._name = name

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models that the vendor has not ended, as far as they are known here."""
        return living_models(datetime.now(UTC))

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the models of `GET /image-generation-models`.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        secret = key.reveal() if key else ""
        async with http.get("/image-generation-models", _headers(secret)) as answer:
            context = ErrorContext(self._name, http.host, answer.status, answer.headers, "", secret, http.header_values)
            return await read_list(answer, context, error_of_answer, listed_models, most_bytes=_MOST_LIST_BYTES)

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(task)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Send the task, and read the answer.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        http, key = call.http, call.key.reveal() if call.key else ""
        path = "/images/generations" if task.operation is Operation.GENERATE else "/images/edits"
        async with http.post_json(path, body_of(task), _headers(key)) as answer:
            context = ErrorContext(
                self._name, http.host, answer.status, answer.headers, task.prompt, key, http.header_values
            )
            if not answer.ok:
                body = await read_failure(answer)
                report = report_of(read_object(body))
                if report.usage and report.usage.cost and report.usage.cost.amount:
                    # A picture that moderation has kept back is an error with a price.
                    call.accepted(context.request_id)
                    yield report
                raise error_of_answer(context, body)
            reader = AnswerReader(context, task.count, call.fetch)
            async with aclosing(accepted_events(reader.events(answer), call, lambda: context.request_id)) as events:
                async for event in events:
                    yield event


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
