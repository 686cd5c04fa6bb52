"""A running generation: its events, its result, its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from types import TracebackType
from typing import Self, TypeAlias

import grpc

from imagegen._assembly import Assembler
from imagegen._errors import ImageGenError, cancelled, invalid_response
from imagegen._events import ImageEvent
from imagegen._result import ImageResult
from imagegen._rpc import receive
from imagegen.v1 import image_service_pb2, image_stream_pb2

ImageStreamCall: TypeAlias = (
    grpc.aio.UnaryStreamCall[image_service_pb2.GenerateRequest, image_stream_pb2.ImageStreamEvent]
    | grpc.aio.UnaryStreamCall[image_service_pb2.EditRequest, image_stream_pb2.ImageStreamEvent]
)
"""A stream of either kind: they differ in what was asked only."""


class AsyncImageStream:
    """A generation that runs. Iterate it for events, await `result()` for the whole, in either order or both.

    It runs whether or not anybody reads. Leaving it stops it: the end of an `async with`, `abort()`, cancelling a task
    that waits for it, or dropping the last reference to it. An iteration ends when the result is there, and raises
    `ImageGenError` if the generation fails. Events that `result()` passes by are kept for an iteration after it.
    """

    def __init__(self, call: ImageStreamCall, assembler: Assembler) -> None:
        """Take over a call that was just started. Streams are made by the client and its models."""
        self._outcome: ImageResult | ImageGenError | None = None
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._assembler = assembler
        self._events: deque[ImageEvent] = deque()
        self._turn = asyncio.Lock()  # one reader at a time; both an iteration and result() may wait
        self._messages = 0

    def __del__(self) -> None:
        """Nobody will ever read on, so nobody shall pay on. Any thread may come here."""
        if self._outcome is None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the call with it
                self._loop.call_soon_threadsafe(self._call.cancel)

    @property
    def generation_id(self) -> str:
        """The server's id for it, for support. Empty until the `Started` event was read."""
        return self._assembler.started.generation_id if self._assembler.started is not None else ""

    async def __aenter__(self) -> Self:
        """Use the stream in a block that stops it at its end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the generation if it still runs."""
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

        The provider may bill what it has begun. Does nothing once the result is there.
        """
        self._call.cancel()
        if self._outcome is None:
            self._events.clear()
            self._finish(cancelled("the generation was aborted"))

    async def aclose(self) -> None:
        """Leave the stream: stop the generation if it still runs."""
        await self.abort()

    async def _advance(self) -> None:
        """Take one more message in, unless another reader has done so while this one waited for its turn."""
        seen = self._messages
        try:
            async with self._turn:
                if self._messages == seen and self._outcome is None:
                    await self._read()
        except asyncio.CancelledError:
            self._call.cancel()
            self._finish(cancelled("a task that waited for the generation was cancelled"))
            raise

    async def _read(self) -> None:
        try:
            message = await receive(self._call)
            self._messages += 1
            if message is None:
                self._finish(invalid_response("the stream ended without a result"))
                return
            event = self._assembler.feed(message)
        except ImageGenError as error:
            self._call.cancel()
            self._finish(error)
            return
        if event is not None:
            self._events.append(event)

    def _finish(self, error: ImageGenError) -> None:
        """End the stream with `error`, unless it came to a result: that stands, whatever becomes of the call."""
        if self._outcome is None:
            error.generation_id = error.generation_id or self.generation_id
            self._outcome = self._assembler.result or error
