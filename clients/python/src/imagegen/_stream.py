"""A running generation: its events, its result, its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from types import TracebackType
from typing import Self

from imagegen._assembly import Assembler
from imagegen._errors import ImageGenError, cancelled
from imagegen._events import ImageEvent
from imagegen._generation import Generation
from imagegen._result import ImageResult


class AsyncImageStream:
    """A generation that runs. Iterate it for events, await `result()` for the whole, in either order or both.

    It runs whether or not anybody reads. `abort()` stops it. So does leaving it (the end of an `async with`,
    cancelling a task that waits for it, dropping the last reference to it), unless it was meant to go on without its
    reader: one with a `request_id` of yours or `on_disconnect="detach"`, or one that was resumed by its id.

    An iteration ends when the result is there, and raises `ImageGenError` if the generation fails. Events that
    `result()` passes by are kept for an iteration after it.
    """

    def __init__(self, generation: Generation, assembler: Assembler) -> None:
        """Take over what was just begun. Streams are made by the client and its models."""
        self._outcome: ImageResult | ImageGenError | None = None
        self._generation = generation
        self._loop = asyncio.get_running_loop()
        self._assembler = assembler
        self._events: deque[ImageEvent] = deque()
        self._turn: asyncio.Event | None = None  # set when who reads has taken one; an iteration and result() may wait

    def __del__(self) -> None:
        """Nobody will ever read on, so nobody shall pay on. Any thread may come here."""
        if self._outcome is None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the call with it
                self._loop.call_soon_threadsafe(self._generation.leave)

    @property
    def generation_id(self) -> str:
        """The server's id for it, for `resume`, `cancel` and support. Empty until something was received."""
        return self._generation.generation_id

    @property
    def request_id(self) -> str:
        """The id of the wish, good for the same. Empty if none was sent and `Started` was not received."""
        return self._generation.request_id

    @property
    def last_sequence(self) -> int:
        """Where the generation's log was read to: `after_sequence` for a `resume` that goes on from here."""
        return self._generation.sequence

    async def __aenter__(self) -> Self:
        """Use the stream in a block that leaves it at its end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the stream."""
        await self.aclose()

    def __aiter__(self) -> Self:
        """Iterate the events; a second iteration goes on where the first one stopped."""
        return self

    async def __anext__(self) -> ImageEvent:
        """The next event.

        Raises:
            ImageGenError: the generation failed or was stopped.
            StopAsyncIteration: the result is there.
        """
        while not self._events:
            if isinstance(self._outcome, ImageGenError):
                raise self._outcome
            if self._outcome is not None:
                raise StopAsyncIteration
            await self._advance()
        return self._events.popleft()

    async def result(self) -> ImageResult:
        """Wait for the end and return what came of it; asked again, return the same again.

        Raises:
            ImageGenError: the generation failed or was stopped.
        """
        while self._outcome is None:
            await self._advance()
        if isinstance(self._outcome, ImageGenError):
            raise self._outcome
        return self._outcome

    async def abort(self) -> None:
        """Stop the generation at once. No event follows; `result()` and iterations raise CANCELLED.

        The provider may bill what it has begun. Does nothing once the result is there. Where the generation would run
        on without its reader, the server is told to stop it.

        Raises:
            ImageGenError: the server could not be told, so the generation may run on.
        """
        self._end("the generation was aborted")
        await self._generation.stop()

    async def aclose(self) -> None:
        """Leave the stream: read no more and, unless it was meant to go on without its reader, stop the generation."""
        self._end("the stream was left")
        await self._generation.leave_and_wait()

    async def _advance(self) -> None:
        """Take one more message in, or wait until another reader has done so."""
        try:
            if self._turn is not None:
                await self._turn.wait()
                return
            turn = self._turn = asyncio.Event()
            try:
                message = await self._generation.receive()
                if message is None:
                    self._outcome = self._outcome or self._assembler.result
                elif (event := self._assembler.feed(message)) is not None and self._outcome is None:
                    self._events.append(event)
            except ImageGenError as error:
                self._finish(error)
                self._generation.leave()  # bytes that are not the promised ones: nobody shall pay for more of them
            finally:
                self._turn = None
                turn.set()
        except asyncio.CancelledError:
            self._finish(cancelled("a task that waited for the generation was cancelled"))
            await self._generation.leave_and_wait()
            raise

    def _end(self, why: str) -> None:
        if self._outcome is None:
            self._events.clear()
            self._finish(cancelled(why))

    def _finish(self, error: ImageGenError) -> None:
        """End the stream with `error`, unless it came to a result: that stands, whatever becomes of the call."""
        if self._outcome is None:
            error.generation_id = error.generation_id or self.generation_id
            error.request_id = error.request_id or self.request_id
            self._outcome = self._assembler.result or error
