"""The provider: one request to /images/generations or /images/edits, and what comes back."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Operation, Task
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.providers.base import Call, Provider

from .answer import AnswerReader
from .errors import error_of_answer
from .models import PARAM_OPTIONS, find_model, living_models
from .request import fields_of, files_of, fitted, form_of

_MASKS_AT_ONCE = 2
"""Masks that are decoded at the same time: each may take hundreds of megabytes."""


@dataclass(frozen=True, slots=True)
class OpenAISettings:
    """Whom the vendor bills where a key belongs to several: the ids of an organization and of a project.

    :raises ValueError: when one of them fits into no header
    """

    organization: str = ""
    project: str = ""

    def __post_init__(self) -> None:
        """Check what would otherwise fail with every request."""
        for name, value in (("organization", self.organization), ("project", self.project)):
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"{name} must be one line of ASCII characters")


class OpenAI(Provider):
    """Draws and edits by the Images API."""

    param_options: ClassVar[Mapping[str, str]] = PARAM_OPTIONS
    controlled_params: ClassVar[frozenset[str]] = frozenset(
        {"model", "prompt", "stream", "image", "image[]", "images", "mask", "response_format"}
    )

    def __init__(self, name: str, settings: OpenAISettings) -> None:
        """Take the configured name and the settings."""
        self._name = name
        self._decoding = asyncio.Semaphore(_MASKS_AT_ONCE)
        self._headers = {
            header: value
            for header, value in (
                ("OpenAI-Organization", settings.organization),
                ("OpenAI-Project", settings.project),
            )
            if value
        }

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models that the vendor has not ended. Its own list (GET /models) lacks image models that work."""
        return living_models(datetime.now(UTC))

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(task)

    def images_per_request(self, task: Task) -> int:
        """See Provider. A stream's events do not say to which image they belong, and SVG is drawn one by one."""
        alone = task.preview_count > 0 or task.options.format == "svg"
        return 1 if alone else super().images_per_request(task)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Send the task, and read the answer.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        key = call.key.reveal() if call.key else ""
        headers = self._headers | ({"Authorization": f"Bearer {key}"} if key else {})
        fields = fields_of(task)
        if task.operation is Operation.GENERATE:
            exchange = call.http.post_json("/images/generations", fields, headers)
        else:
            async with self._decoding if task.mask else nullcontext():
                files = await files_of(task)
            exchange = call.http.post_form("/images/edits", form_of(fields), files, headers)
        async with exchange as answer:
            context = ErrorContext(
                self._name, call.http.host, answer.status, answer.headers, task.prompt, key, call.http.header_values
            )
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            try:
                async with aclosing(AnswerReader(context, task.count, call.fetch).events(answer)) as events:
                    async for event in events:
                        # An answer that is no error shows that the vendor has taken the task on.
                        call.accepted(context.request_id)
                        yield event
            except ImageError as error:
                # Of a connection that breaks nobody but the vendor's support knows what became, and they ask for this.
                error.provider_request_id = error.provider_request_id or context.request_id
                raise
