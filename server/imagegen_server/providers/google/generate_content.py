"""What the Gemini API and Vertex AI have in common: one request to generateContent, and what comes back."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import ClassVar
from urllib.parse import quote, urlencode

import httpx

from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.result import Warning
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer, HttpClient, Sign, Unsigned
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.http.whole_answer import read_list
from imagegen_server.providers.accepted import accepted_events
from imagegen_server.providers.base import Call, Provider

from .answer import AnswerReader
from .errors import error_of_answer
from .request import CONTROLLED_PARAMS, PARAM_PATHS, body_of, fitted

_MOST_LIST_BYTES = 4 * 1024 * 1024
_MOST_PAGES = 20


class Access:
    """How one request proves who asks: by the key, or by what `sign` tells if there is no key."""

    def __init__(self, http: HttpClient, key: Secret | None, sign: Sign | None = None) -> None:
        """Ask nobody yet."""
        self.http = http
        self._key = key.reveal() if key else ""
        self._ask = sign
        self._proof = ""
        # In a header: a key in the URL would stand in the log of every proxy.
        self.headers = {"x-goog-api-key": self._key} if self._key else {}
        self.sign = self._sign if sign and not self._key else None

    async def _sign(self, unsigned: Unsigned) -> Mapping[str, str]:
        assert self._ask is not None
        proof = await self._ask(unsigned)
        self._proof = proof.get("authorization", "")
        return proof

    def context(self, provider: str, answer: Answer, prompt: str = "") -> ErrorContext:
        """Tell with what an error is read; what proved who asks is in no message."""
        hidden = (*self.http.header_values, self._proof)
        return ErrorContext(provider, self.http.host, answer.status, answer.headers, prompt, self._key, hidden)


class GenerateContent(Provider):
    """One provider that is asked so."""

    controlled_params: ClassVar[frozenset[str]] = CONTROLLED_PARAMS
    uses_image_metadata: ClassVar[bool] = True
    param_paths: ClassVar[Mapping[str, Sequence[str]]] = PARAM_PATHS

    def __init__(self, name: str) -> None:
        """Take the configured name."""
        self._name = name

    @abstractmethod
    def access(self, http: HttpClient, key: Secret | None) -> tuple[Access, str]:
        """Tell how a request proves who asks, and the path below which the models are."""

    def refused(self) -> None:
        """Hear that the vendor does not know who asks (401)."""

    def prepare(self, task: Task) -> tuple[Task, Sequence[Warning]]:
        """See Provider.

        :raises ImageError: INVALID_REQUEST
        """
        return fitted(task, self._name, self.param_paths)

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Send the task, and read the answer.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        access, models = self.access(call.http, call.key)
        method = "streamGenerateContent?alt=sse" if task.preview_count else "generateContent"
        path = f"{models}/{quote(task.model, safe='')}:{method}"
        body = body_of(task, self._name, self.param_paths)
        async with access.http.post_json(path, body, access.headers, access.sign) as answer:
            context = access.context(self._name, answer, task.prompt)
            if answer.status == httpx.codes.UNAUTHORIZED:
                self.refused()
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer))
            reader = AnswerReader(context, task.preview_count, task.prompt)
            accepted = accepted_events(reader.events(answer), call, lambda: reader.response_id)
            async with aclosing(accepted) as events:
                async for event in events:
                    yield event

    async def listed(self, access: Access, path: str, field: str, page_size: int) -> list[Mapping[str, object]]:
        """Read a list of models to its end; they stand in `field` of each page.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        found: list[Mapping[str, object]] = []
        query: dict[str, object] = {"pageSize": page_size}
        for _ in range(_MOST_PAGES):
            page = await self._page(access, f"{path}?{urlencode(query)}")
            entries = page.get(field)
            found += [entry for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, Mapping)]
            if not (token := page.get("nextPageToken")):
                break
            query["pageToken"] = token
        return found

    async def _page(self, access: Access, path: str) -> Mapping[str, object]:
        async with access.http.get(path, access.headers, access.sign) as answer:
            context = access.context(self._name, answer)
            if answer.status == httpx.codes.UNAUTHORIZED:
                self.refused()
            return await read_list(answer, context, error_of_answer, _as_object, most_bytes=_MOST_LIST_BYTES)


def _as_object(page: object) -> Mapping[str, object]:
    if not isinstance(page, dict):
        raise TypeError("no object")
    return page
