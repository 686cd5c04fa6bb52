"""The websocket of one prompt, and what is done when it is not there.

A server that goes without it, a line that breaks, and a socket that another has taken the place of are no end: the
prompt runs on, and its history tells what it came to. Without a socket there are no previews.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from urllib.parse import quote

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Phase, Progress, ProviderEvent
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.websocket import WebSocket

from .errors import lost
from .exchange import Exchange, passes
from .frames import FEATURES
from .watch import Watch

_MOST_MESSAGE_BYTES = MAX_IMAGE_BYTES + 128 * 1024
"""A finished picture may come as a message, with what is told of it."""

_SLOWER = 2.0
_SELDOM = 6
"""So many times as long is waited between questions while others run before the prompt."""

_SILENT = 6
"""Questions in a row while the prompt runs, and nothing is heard: another socket may have taken the place of ours."""


class Line:
    """A websocket that is opened again when it is lost."""

    def __init__(self, exchange: Exchange, client_id: str) -> None:
        """Have none. `client_id` is the socket's own name; a server knows one socket of a name."""
        self._exchange = exchange
        self._path = f"/ws?clientId={quote(client_id, safe='')}"
        self._socket: WebSocket | None = None
        self._opened = AsyncExitStack()
        self._delay = exchange.pace.first
        self._next = 0.0

    async def __aenter__(self) -> Self:
        """Open it, if that can be done."""
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut it."""
        await self._opened.aclose()

    @property
    def up(self) -> bool:
        """There is a socket."""
        return self._socket is not None

    async def receive(self, seconds: float) -> str | bytes | None:
        """Wait for a message; None = there was none for so long, or there is no socket any more."""
        if self._socket is None:
            await asyncio.sleep(seconds)
            if asyncio.get_running_loop().time() >= self._next:
                await self._open()
            return None
        try:
            async with asyncio.timeout(seconds):
                return await self._socket.receive()
        except TimeoutError:
            return None
        except ImageError as error:
            self._note("websocket lost", error)
            await self.drop()
            return None

    async def drop(self) -> None:
        """Cut the socket; another is opened in its place."""
        self._socket = None
        await self._opened.aclose()
        self._opened = AsyncExitStack()
        self._wait()

    async def _open(self) -> None:
        opening = self._exchange.http.websocket(self._path, self._exchange.headers, _MOST_MESSAGE_BYTES)
        try:
            async with asyncio.timeout(self._exchange.pace.opening):
                socket = await self._opened.enter_async_context(opening)
                await socket.send(FEATURES)
        except (ImageError, TimeoutError) as error:
            self._note("no websocket", error)
            await self.drop()
            return
        self._socket, self._delay = socket, self._exchange.pace.first

    def _wait(self) -> None:
        self._next = asyncio.get_running_loop().time() + self._delay
        self._delay = min(self._delay * _SLOWER, self._exchange.pace.longest)

    def _note(self, what: str, error: ImageError | TimeoutError) -> None:
        told = error if isinstance(error, ImageError) else ImageError(Reason.TIMEOUT, "")
        self._exchange.call.log.info(what, reason=told.reason.name, http_status=told.http_status)


async def watched(
    exchange: Exchange, line: Line, watch: Watch, context: ErrorContext
) -> AsyncGenerator[ProviderEvent, None]:
    """Yield what happens until the prompt has ended.

    :raises ImageError: it has failed, is lost, or the server cannot be asked any more
    """
    asking, told = _Asking(exchange, line, watch, context), -1
    while not watch.ended:
        message = await line.receive(asking.left)
        if message is not None:
            for event in watch.feed(message):
                yield event
        place = await asking.place(silent=message is None)
        if place and place != told:
            told = place
            yield Progress(Phase.QUEUED, queue_position=place)
    if watch.garbage:
        exchange.call.log.info("frames that cannot be read", count=watch.garbage)


class _Asking:
    """Questions after a prompt: when nothing was heard of it for a while, when the socket is away, and for its place.

    What others send to every socket is not heard of the prompt: a server that was restarted may talk a lot.
    """

    def __init__(self, exchange: Exchange, line: Line, watch: Watch, context: ErrorContext) -> None:
        self._exchange = exchange
        self._line = line
        self._watch = watch
        self._context = context
        self._heard = self._remaining = self._missing = self._in_vain = 0
        self._well = self._now
        self._asked_place = self._until = 0.0
        self._rest(None)

    @property
    def left(self) -> float:
        """Seconds until the next question."""
        return max(self._until - self._now, 0.0)

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def place(self, *, silent: bool) -> int | None:
        """Ask, if it is time to, and tell how many are before the prompt; None = nothing is known of that.

        :raises ImageError: the prompt is lost, or trouble has lasted too long
        """
        watch = self._watch
        if watch.ended:
            return None
        if watch.heard != self._heard:
            self._heard, self._in_vain = watch.heard, 0
            self._rest(None)
        if silent or not self.left:
            place = await self._ask()
            self._in_vain += place == 0
            if self._line.up and self._in_vain >= _SILENT:
                self._in_vain = 0
                await self._line.drop()
            self._rest(place)
            return place
        return await self._place_in_queue() if watch.waits and watch.remaining != self._remaining else None

    def _rest(self, place: int | None) -> None:
        """Wait until the next question: longer while others run before the prompt."""
        usual = self._exchange.pace.quiet if self._line.up else self._exchange.pace.poll
        self._until = self._now + usual * (_SELDOM if place else 1)

    async def _ask(self) -> int | None:
        """Ask how far the prompt is: notes its end, and tells how many are before it."""
        try:
            if history := await self._exchange.history(self._watch.prompt_id):
                self._watch.history, self._watch.ended = history, True
                return None
            place = await self._exchange.queue_place(self._watch.prompt_id)
        except TimeoutError:
            self._bear(ImageError(Reason.TIMEOUT, f"{self._exchange.http.host} did not say how far the prompt is"))
            return None
        except ImageError as error:
            self._bear(error)
            return None
        self._well = self._now
        # It may have ended between the two questions.
        self._missing = self._missing + 1 if place is None else 0
        if self._missing >= self._exchange.pace.missing:
            raise lost(self._context)
        return place

    async def _place_in_queue(self) -> int | None:
        """Ask for the place alone, as the queue has changed; not too often, as it is told with all that is in it."""
        if self._now - self._asked_place < self._exchange.pace.poll:
            return None
        self._remaining, self._asked_place = self._watch.remaining, self._now
        try:
            return await self._exchange.queue_place(self._watch.prompt_id)
        except (ImageError, TimeoutError):
            return None

    def _bear(self, trouble: ImageError) -> None:
        if not passes(trouble) or self._now - self._well > self._exchange.pace.patience:
            raise trouble
