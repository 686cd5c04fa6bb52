"""The provider: one request to /images, and what comes back."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer, HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.http.whole_answer import read_list
from imagegen_server.providers.accepted import accepted_events
from imagegen_server.providers.base import Call, NoSettings, Provider

from .answer import AnswerReader
from .errors import error_of_answer
from .models import PARAM_OPTIONS, guessed_model, models_of
from .request import body_of, fitted

_MOST_LIST_BYTES = 16 * 1024 * 1024
_REQUEST_IDS = ("x-generation-id", "x-request-id")
"""Headers that may hold the vendor's id of a request; the first that is there counts."""


class OpenRouter(Provider):
    """Draws and edits by the Image API."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = frozenset({"model", "prompt", "stream", "input_references"})

    def __init__(self, name: str, settings: NoSettings) -> None:  # noqa: ARG002 - there are none
        """Take the configured name. Nothing is known of models until the vendor's list was read."""
        self._name = name
        self._listed: Mapping[str, Model] = {}

    def model(self, model_id: str) -> Model:
        """See Provider. What the vendor's list last said counts; before that, what holds for all models."""
        return self._listed.get(model_id) or guessed_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List what the vendor's list last named; nothing before it was read."""
        return list(self._listed.values())

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the models of `GET /images/models`, and remember what it says of them.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        secret = key.reveal() if key else ""
        async with http.get("/images/models", _headers(secret)) as answer:
            context = self._context(http, answer, "", secret)
            models = await read_list(answer, context, error_of_answer, models_of, most_bytes=_MOST_LIST_BYTES)
        self._listed = {model.id: model for model in models}
        return models

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(task)

    def images_per_request(self, task: Task) -> int:
        """See Provider. The events of a stream do not say to which image they belong."""
        return 1 if task.preview_count > 0 else super().images_per_request(task)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Send the task, and read the answer.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        key = call.key.reveal() if call.key else ""
        async with call.http.post_json("/images", body_of(task), _headers(key)) as answer:
            context = self._context(call.http, answer, task.prompt, key)
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            reader = AnswerReader(context, task.count, call.fetch)
            async with aclosing(accepted_events(reader.events(answer), call, lambda: context.request_id)) as events:
                async for event in events:
                    yield event

    def _context(self, http: HttpClient, answer: Answer, prompt: str, key: str) -> ErrorContext:
        named = next((name for name in _REQUEST_IDS if name in answer.headers), _REQUEST_IDS[0])
        return ErrorContext(
            self._name, http.host, answer.status, answer.headers, prompt, key, http.header_values, named
        )


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
