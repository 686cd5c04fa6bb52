"""The provider: a form to the path of a service; what it starts only is asked after until it is done."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Phase, Progress, ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer, HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.http.polling import Pace, Poller
from imagegen_server.providers.accepted import accepted_events
from imagegen_server.providers.base import Call, NoSettings, Provider

from .answer import MOST_BYTES, Pending, Picture, events_of, read_answer
from .errors import error_of_answer, error_of_question
from .family import PARAM_OPTIONS
from .models import find_model, known_models, path_of
from .request import fitted, form_parts

_EVERY_TEN_SECONDS = Pace(first=10.0, factor=1.0, longest=10.0)
"""Who asks more often may be refused, says the vendor."""

_QUESTION_SECONDS = 120.0
"""The answer to a question may be the picture."""

_MOST_ODD = 3
"""So many answers in a row that tell nothing of the generation are believed."""

_IMAGE_FIELDS = ("image", "init_image", "style_image", "subject_image", "background_reference", "light_reference")


class Stability(Provider):
    """Draws and edits, one picture a request."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = frozenset(
        {"prompt", "background_prompt", "mask", "mode", "model", *_IMAGE_FIELDS}
    )

    def __init__(self, name: str, settings: NoSettings, pace: Pace | None = None) -> None:  # noqa: ARG002 - none
        """Take the configured name, and when to ask after a generation; by default as the vendor wants it."""
        self._name = name
        self._pace = pace or _EVERY_TEN_SECONDS

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models and services of the vendor's OpenAPI document; there is no list to ask for."""
        return known_models()

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST, MODEL_NOT_FOUND
        """
        return fitted(self._name, task)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Send the task, and read the picture or ask after it. The vendor knows no way to call anything off.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        exchange = _Exchange(self._name, task, call.http, call.key.reveal() if call.key else "")
        accepted = accepted_events(exchange.events(self._pace), call, lambda: exchange.request_id)
        async with aclosing(accepted) as events:
            async for event in events:
                yield event


class _Exchange:
    """What is said about one task."""

    def __init__(self, name: str, task: Task, http: HttpClient, key: str) -> None:
        """Say nothing yet. `key` "" = there is none."""
        self.request_id = ""
        """The vendor's id of the request, or of the generation that it started."""
        self._name = name
        self._task = task
        self._http = http
        self._key = key
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    async def events(self, pace: Pace) -> AsyncGenerator[ProviderEvent, None]:
        """Send the task, and yield what comes of it.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        fields, files = await form_parts(self._task)
        headers = {"accept": "image/*", **self._headers}
        async with self._http.post_form(path_of(self._task.model), fields, files, headers) as answer:
            context = self._context(answer)
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            self.request_id = context.request_id
            told = read_answer(context, answer.media_type, *await answer.read_on(MOST_BYTES))
        if isinstance(told, Picture):
            for event in events_of(context, told):
                yield event
            return
        self.request_id = told.generation_id
        yield Progress(Phase.GENERATING, 0)
        try:
            async with aclosing(self._finished(told, pace)) as finished:
                async for event in finished:
                    yield event
        except ImageError as error:
            error.provider_request_id = told.generation_id
            raise

    async def _finished(self, pending: Pending, pace: Pace) -> AsyncGenerator[ProviderEvent, None]:
        """Ask until the picture is there, and yield it."""
        poller = Poller(
            self._http,
            {"accept": "*/*", **self._headers},
            self._context,
            error_of_question,
            pace,
            MOST_BYTES,
            _QUESTION_SECONDS,
        )
        odd = 0
        async with aclosing(poller.answers(f"/v2beta/results/{pending.generation_id}")) as answers:
            async for answer in answers:
                try:
                    told = read_answer(answer.context, answer.media_type, answer.body)
                except ImageError as problem:
                    odd += 1
                    if problem.reason is not Reason.INVALID_RESPONSE or odd >= _MOST_ODD:
                        raise
                    continue
                odd = 0
                if isinstance(told, Picture):
                    for event in events_of(answer.context, told):
                        yield event
                    return

    def _context(self, answer: Answer) -> ErrorContext:
        """Tell with what an answer is read."""
        http = self._http
        return ErrorContext(
            self._name, http.host, answer.status, answer.headers, self._task.prompt, self._key, http.header_values
        )
