"""The generation behind a stream: its RPC, what is done when that breaks, and how it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc

from imagegen._backoff import Backoff
from imagegen._connection import Connection
from imagegen._errors import GENERATION_ID, ImageGenError, cancelled, connection_broke, from_server, invalid_response
from imagegen._reason import Reason
from imagegen._rpc import answer, receive
from imagegen.v1 import image_service_pb2, image_stream_pb2

Request: TypeAlias = image_service_pb2.GenerateRequest | image_service_pb2.EditRequest | image_service_pb2.ResumeRequest
"""What a stream is asked for with."""

# A Cancel that the server does not answer in this time is given up.
_CANCEL_SECONDS: Final = 10.0
# A cancelled task is held up for no longer than this; the Cancel goes on without it.
_HOLD_UP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How a generation outlives its RPC."""

    resumable: bool = False
    """A broken stream is read on."""
    shared: bool = False
    """It may run on at the server without this reader: stopping it takes a Cancel."""
    owned: bool = False
    """Nobody else can know its name, so leaving it stops it."""


class Generation:
    """Reads a generation's events, over one RPC or, when that breaks and may be resumed, over several."""

    def __init__(self, connection: Connection, request: Request, limit: float | None, lifetime: Lifetime) -> None:
        """Send `request`; `limit` are the seconds for all of it, those of the connection if None."""
        self._connection = connection
        self._request = request
        self._lifetime = lifetime
        limit = connection.timeout(limit)
        self._deadline = None if limit is None else time.monotonic() + limit
        self._backoff = Backoff()
        self._left = asyncio.Event()
        self._ended = False  # the server told the end, so there is nothing to stop
        self._lost = False  # the connection broke for good, and who knows the generation's name may come back to it
        self._fresh = True  # nothing was received over the RPC at hand
        self._broken = False  # an RPC before the one at hand broke, and may have begun something
        self._cancelling: asyncio.Task[None] | None = None
        resumed = request if isinstance(request, image_service_pb2.ResumeRequest) else None
        self.generation_id = resumed.generation_id if resumed is not None else ""
        """The server's id. Empty until it is known."""
        self.request_id = request.request_id
        """The id of the wish, as sent or as told by the server."""
        self.sequence = resumed.after_sequence if resumed is not None else 0
        """The last sequence that was received."""
        self._known = resumed is not None  # the server has it: it is resumed, not asked for again
        self._call = self._begin(request)
        connection.track(self)

    async def receive(self) -> image_stream_pb2.ImageStreamEvent | None:
        """The next event, or None at the end behind the result. Cancelling this cancels the RPC at hand.

        Raises:
            ImageGenError: the generation failed, or the connection broke for good.
        """
        while True:
            try:
                event = await receive(self._call)
                if event is None and not self._ended:
                    raise invalid_response("the stream ended without a result")
            except ImageGenError as error:
                self._hear(error)
                if not await self._again(error):
                    self._lost = connection_broke(error)
                    raise
            else:
                if event is not None:
                    self._take(event)
                    if self._fresh:
                        await self._settle()
                return event

    def _hear(self, error: ImageGenError) -> None:
        """Note what an RPC that failed tells of the generation."""
        if from_server(error):
            # What a Resume or a wish that is sent again is refused for says nothing of the generation, and CANCELLED
            # may be said to this reader alone, who took nothing for too long. To stop what has ended does no harm.
            if error.reason != Reason.CANCELLED and not self._resuming and not self._broken:
                self._ended = True
        elif self._broken:
            error.billed = "unknown"  # what became of this RPC says nothing of the one before it
        self._name(error.generation_id)

    def _take(self, event: image_stream_pb2.ImageStreamEvent) -> None:
        self._backoff.renew()
        self.sequence = max(self.sequence, event.sequence)
        match event.WhichOneof("event"):
            case "started":
                self.request_id = event.started.request_id or self.request_id
                self._name(event.started.generation_id)
            case "result":
                self._ended = True

    async def _settle(self) -> None:
        """After the first event of an RPC, which came over a way that works, the generation has a name."""
        if not self.generation_id:
            self._name(await _told_id(self._call))
        self._fresh = False

    async def _again(self, error: ImageGenError) -> bool:
        """Begin anew where the stream broke with `error`; False if that is not to be."""
        # A server that is busy has no place for another reader right now; the generation goes on all the same.
        busy = self._resuming and error.reason == Reason.SERVER_BUSY
        if self._ended or self._left.is_set() or not self._lifetime.resumable or not (busy or _is_break(error)):
            return False
        delay = self._backoff.next_delay()
        if delay is None:
            return False
        remaining = self._remaining()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay if remaining is None else min(delay, remaining)):
                await self._left.wait()
        if self._left.is_set() or self._connection.closed:
            raise cancelled("the call was stopped on this side")
        self._fresh = True
        self._broken = self._broken or error.billed != "no"  # where no connection came about, nothing had begun
        self._call = self._begin(self._continuation())
        return True

    def _continuation(self) -> Request:
        """What reads on: the generation from where it broke or, if the server may not have it, the wish itself."""
        if not self._known:
            return self._request
        rest = image_service_pb2.ResumeRequest(after_sequence=self.sequence, delivery=self._request.delivery)
        if self.generation_id:
            rest.generation_id = self.generation_id
        else:
            rest.request_id = self.request_id
        return rest

    def leave(self) -> asyncio.Task[None] | None:
        """Go away. What nobody else can know of is stopped at the server by the task that is returned."""
        self._left.set()
        self._call.cancel()
        if self._lifetime.owned and not self._ended and not self._lost:
            return self._cancel()
        return None

    async def leave_and_wait(self) -> None:
        """As `leave`, waiting a moment for the server to have heard of it."""
        task = self.leave()
        if task is not None:
            await asyncio.wait({task}, timeout=_HOLD_UP_SECONDS)

    async def stop(self) -> None:
        """Go away, and stop the generation also where it would run on without this reader.

        Raises:
            ImageGenError: the server could not be told; the generation may run on.
        """
        self.leave()
        if self._lifetime.shared and not self._ended:
            await asyncio.shield(self._cancel())

    def _cancel(self) -> asyncio.Task[None]:
        if self._cancelling is None:
            request = image_service_pb2.CancelRequest()
            if self.generation_id:
                request.generation_id = self.generation_id
            else:
                request.request_id = self.request_id
            self._cancelling = self._connection.in_background(_stop_if_there(self._connection, request))
        return self._cancelling

    def _begin(self, request: Request) -> grpc.aio.UnaryStreamCall[Any, image_stream_pb2.ImageStreamEvent]:
        images = self._connection.images
        limit = self._remaining()
        self._resuming = isinstance(request, image_service_pb2.ResumeRequest)
        match request:
            case image_service_pb2.GenerateRequest():
                return self._connection.call(images.StreamGenerate, request, limit)
            case image_service_pb2.EditRequest():
                return self._connection.call(images.StreamEdit, request, limit)
            case image_service_pb2.ResumeRequest():
                return self._connection.call(images.Resume, request, limit)

    def _remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _name(self, generation_id: str) -> None:
        if generation_id:
            self.generation_id = generation_id
            self._known = True


async def cancel(connection: Connection, request: image_service_pb2.CancelRequest, limit: float | None) -> bool:
    """Stop a generation within `limit` seconds; whether it was running.

    Raises:
        ImageGenError: the server could not be told, or has no such generation.
    """
    told = await answer(connection.call(connection.images.Cancel, request, limit), free=True)
    return told.stopped


async def _stop_if_there(connection: Connection, request: image_service_pb2.CancelRequest) -> None:
    try:
        await cancel(connection, request, _CANCEL_SECONDS)
    except ImageGenError as error:
        if error.reason != Reason.GENERATION_NOT_FOUND:
            raise


async def _told_id(call: grpc.aio.Call) -> str:
    """The id in the initial metadata, which came before the first event."""
    for key, value in await call.initial_metadata():
        if key == GENERATION_ID and isinstance(value, str):
            return value
    return ""


def _is_break(error: ImageGenError) -> bool:
    """Whether the stream broke on its way; an end in good order that brought no result is a proxy's doing too."""
    return connection_broke(error) or (error.reason == Reason.INVALID_RESPONSE and error.__cause__ is None)
