"""The provider: one request to generateContent or streamGenerateContent, and what comes back."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote, urlencode

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.providers.base import Call, Provider

from .answer import AnswerReader
from .errors import error_of_answer
from .models import draws, find_model, living_models
from .request import body_of, fitted
from .settings import GoogleSettings

_MOST_LIST_BYTES = 4 * 1024 * 1024
_MOST_PAGES = 20


class Google(Provider):
    """Draws and edits by the Gemini API."""

    controlled_params: ClassVar[frozenset[str]] = frozenset({"model", "contents"})
    uses_image_metadata: ClassVar[bool] = True

    def __init__(self, name: str, settings: GoogleSettings) -> None:  # noqa: ARG002 - there are none
        """Take the configured name."""
        self._name = name

    def model(self, model_id: str) -> Model:
        """See Provider."""
        return find_model(model_id)

    async def models(self) -> Sequence[Model]:
        """List the models that the vendor has not ended, as far as they are known here."""
        return living_models(datetime.now(UTC))

    async def list_models(self, http: HttpClient, key: Secret | None) -> Sequence[Model]:
        """List the image models of `GET /models`.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        found: list[Model] = []
        token = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(http, key, token)
            entries = page.get("models")
            found += [
                find_model(str(entry["name"]).removeprefix("models/"), str(entry.get("displayName", "")), listed=True)
                for entry in (entries if isinstance(entries, list) else ())
                if isinstance(entry, Mapping) and draws(entry)
            ]
            token = str(page.get("nextPageToken") or "")
            if not token:
                break
        return found

    async def _page(self, http: HttpClient, key: Secret | None, token: str) -> Mapping[str, object]:
        query = urlencode({"pageSize": 1000} | ({"pageToken": token} if token else {}))
        secret = key.reveal() if key else ""
        async with http.get(f"/models?{query}", _headers(secret)) as answer:
            context = ErrorContext(self._name, http.host, answer.status, answer.headers, "", secret, http.header_values)
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            try:
                page = json.loads(await answer.read(_MOST_LIST_BYTES))
            except (ValueError, RecursionError):
                page = None
        if not isinstance(page, dict):
            raise context.invalid("a list of models that cannot be read")
        return page

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
        key = call.key.reveal() if call.key else ""
        method = "streamGenerateContent?alt=sse" if task.preview_count else "generateContent"
        path = f"/models/{quote(task.model, safe='')}:{method}"
        async with call.http.post_json(path, body_of(task, self._name), _headers(key)) as answer:
            http = call.http
            context = ErrorContext(
                self._name, http.host, answer.status, answer.headers, task.prompt, key, http.header_values
            )
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            reader = AnswerReader(context, task.preview_count, task.prompt)
            try:
                async with aclosing(reader.events(answer)) as events:
                    async for event in events:
                        # An answer that is no error shows that the vendor has taken the task on.
                        call.accepted(reader.response_id)
                        yield event
            except ImageError as error:
                error.provider_request_id = error.provider_request_id or reader.response_id
                raise


def _headers(key: str) -> dict[str, str]:
    # In a header: a key in the URL would stand in the log of every proxy.
    return {"x-goog-api-key": key} if key else {}
