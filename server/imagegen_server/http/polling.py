"""Work that a vendor takes on and does later: asking after it until it is done, and calling it off."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from imagegen_server.domain.errors import Billed, ImageError, Reason

from .answer import Answer
from .client import HttpClient
from .error_context import ErrorContext, read_failure
from .retry_after import retry_after

_logger = structlog.get_logger("imagegen.http")

_QUESTION_SECONDS = 30.0
_MOST_ANSWER_BYTES = 4 * 1024 * 1024
_NOT_FOUND = 404
_PASSING = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_FAREWELL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pace:
    """When to ask: `first` seconds after the work was taken on, then each time `factor` as long, at most `longest`.

    Trouble on the way is no news of the work, which is paid for by now: asking goes on until it has lasted `patience`
    seconds, or `not_found` answers in a row say that there is no such work, which a vendor's copies may not know yet.
    """

    first: float = 0.5
    factor: float = 1.3
    longest: float = 2.0
    patience: float = 120.0
    not_found: int = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered to one question, with a status of success."""

    context: ErrorContext
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Poller:
    """Asks after work of one request.

    `context_of` tells with what an answer is read, `error_of` what a refusal with its body means. `most_bytes` is the
    longest answer that is read, `seconds` how long one question may take; the next one may fare better. `tells` says
    of the body of a refusal that it tells of the work all the same: some vendors give work that failed such a status.
    """

    http: HttpClient
    headers: Mapping[str, str] = field(repr=False)
    context_of: Callable[[Answer], ErrorContext]
    error_of: Callable[[ErrorContext, bytes], ImageError]
    pace: Pace = Pace()
    most_bytes: int = _MOST_ANSWER_BYTES
    seconds: float = _QUESTION_SECONDS
    tells: Callable[[bytes], bool] = lambda _: False

    async def answers(self, path: str) -> AsyncGenerator[Told, None]:
        """Ask after the work at `path`, again and again, and yield every answer; it ends when the caller leaves.

        A Retry-After is obeyed, and a wait that only the body of a refusal tells. Asking costs nothing, but the work
        may have been paid for, whatever is raised.

        :raises ImageError: what `error_of` makes of a refusal, or the trouble that lasted too long
        """
        pace, clock = self.pace, asyncio.get_running_loop().time
        delay, missed, well = pace.first, 0, clock()
        while True:
            await asyncio.sleep(delay)
            delay = min(delay * pace.factor, pace.longest)
            told, wait = await self._ask(path)
            if isinstance(told, Told):
                missed, well = 0, clock()
                yield told
                continue
            missed = missed + 1 if told.http_status == _NOT_FOUND else 0
            if not _passes(told) or missed >= pace.not_found or clock() - well > pace.patience:
                raise told.with_billed(Billed.UNKNOWN)
            if wait is not None:
                delay = max(delay, min(wait, pace.patience))

    async def _ask(self, path: str) -> tuple[Told | ImageError, float | None]:
        """Ask once: the answer, or the trouble and the wait that it asks for."""
        try:
            async with asyncio.timeout(self.seconds), self.http.get(path, self.headers) as answer:
                context = self.context_of(answer)
                if answer.ok:
                    return Told(context, answer.media_type, await answer.read(self.most_bytes)), None
                body = await read_failure(answer)
                if self.tells(body):
                    return Told(context, answer.media_type, body), None
                error = self.error_of(context, body)
                error.http_status = answer.status
                wait = retry_after(answer.headers)
                return error, error.retry_after if wait is None else wait
        except TimeoutError:
            return ImageError(Reason.TIMEOUT, f"{self.http.host} did not say how far the work is"), None
        except ImageError as error:
            return error, None


def _passes(trouble: ImageError) -> bool:
    """Tell whether the next question may fare better."""
    status = trouble.http_status
    if status:
        return status == _NOT_FOUND or status in _PASSING or status >= _SERVER_ERROR
    return trouble.reason in {Reason.NETWORK_ERROR, Reason.TIMEOUT}


class Farewells:
    """Requests that call work off, sent while whoever wanted it has left already."""

    def __init__(self, provider: str) -> None:
        """Have none under way. `provider` is its configured name, for the log."""
        self._provider = provider
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, farewell: Coroutine[Any, Any, object]) -> None:
        """Send one beside everything else. What becomes of it is logged, as nobody waits for it."""
        task = asyncio.get_running_loop().create_task(self._say(farewell))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait until all are sent, or given up after 10 seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _say(self, farewell: Coroutine[Any, Any, object]) -> None:
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await farewell
        except (ImageError, TimeoutError) as problem:
            reason = problem.reason.name if isinstance(problem, ImageError) else Reason.TIMEOUT.name
            _logger.warning("work not called off", provider=self._provider, reason=reason)
