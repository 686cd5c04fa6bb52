"""What every provider does that speaks as OpenAI's Images API: one exchange, and what comes back."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing

from imagegen_server.domain.events import ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer, HttpClient
from imagegen_server.http.error_context import ErrorContext, read_failure
from imagegen_server.providers.accepted import accepted_events
from imagegen_server.providers.base import Call, Provider

from .answer import AnswerReader
from .dialect import Dialect
from .errors import error_of_answer

_MASKS_AT_ONCE = 2
"""Masks that are decoded at the same time: each may take hundreds of megabytes."""


class ImagesApi(Provider):
    """One provider that speaks so, in its dialect."""

    def __init__(self, name: str, dialect: Dialect) -> None:
        """Take the configured name."""
        self._name = name
        self._dialect = dialect
        self._decoding = asyncio.Semaphore(_MASKS_AT_ONCE)

    @abstractmethod
    async def exchange(self, task: Task, http: HttpClient, key: str) -> AbstractAsyncContextManager[Answer]:
        """Make the request of a task; it is sent when it is entered. `key` "" = there is none."""

    async def run(self, task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        """Send the task, and read the answer.

        :raises ImageError: what the vendor said, or what happened to the connection
        """
        assert call.http is not None
        key = call.key.reveal() if call.key else ""
        async with await self.exchange(task, call.http, key) as answer:
            context = self.context(call.http, answer, task.prompt, key)
            if not answer.ok:
                raise error_of_answer(context, await read_failure(answer), self._dialect)
            reader = AnswerReader(context, task.count, call.fetch, self._dialect)
            async with aclosing(accepted_events(reader.events(answer), call, lambda: context.request_id)) as events:
                async for event in events:
                    yield event

    def context(self, http: HttpClient, answer: Answer, prompt: str, key: str) -> ErrorContext:
        """Tell with what an answer is read."""
        ids = self._dialect.request_ids
        named = next((name for name in ids if name in answer.headers), ids[0])
        return ErrorContext(
            self._name, http.host, answer.status, answer.headers, prompt, key, http.header_values, named
        )

    async def mask_of(self, task: Task, write: Callable[[bytes], bytes]) -> bytes | None:
        """Decode the mask and write it anew, not too many at the same time; None = there is none."""
        if task.mask is None:
            return None
        async with self._decoding:
            return await asyncio.to_thread(write, task.mask.data)


def bearer(key: str) -> dict[str, str]:
    """Make the header of a key; "" = there is none."""
    return {"Authorization": f"Bearer {key}"} if key else {}
