"""The servicer of ImageService: decode, plan, open, read, encode."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from imagegen.v1 import image_pb2, image_service_pb2, image_stream_pb2

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.events import Broken, Finished, ImageFinished
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.generation.engine import Engine
from imagegen_server.generation.generation import Generation

from .boundary import BrokenGeneration, Context, note
from .chunks import pieces, stream_events
from .decode import Request, decode
from .encode import image_message, result_message
from .missing import MissingMethods

CALLER = "anonymous"
"""Whom every call belongs to while the server knows no callers."""

_Events: TypeAlias = AsyncGenerator[image_stream_pb2.ImageStreamEvent | bytes, None]
"""Chunks come as bytes that are written already."""

DEFAULT_INLINE_BYTES = 3 * 1024 * 1024
STREAM_PREVIEWS = 2


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """`max_inline_bytes`: the most a unary answer may carry. `heartbeat`: seconds of silence before one is sent."""

    max_inline_bytes: int = 64 * 1024 * 1024
    heartbeat: float = 5.0


class ImageService(MissingMethods):
    """Makes and changes pictures."""

    def __init__(self, engine: Engine, settings: DeliverySettings) -> None:
        """Be wired by the app."""
        self._engine = engine
        self._settings = settings

    async def Generate(self, request: image_service_pb2.GenerateRequest, context: Context) -> image_pb2.ImageResult:
        """Draw, and answer when all is done."""
        return await self._unary(request, context)

    async def Edit(self, request: image_service_pb2.EditRequest, context: Context) -> image_pb2.ImageResult:
        """Change, and answer when all is done."""
        return await self._unary(request, context)

    def StreamGenerate(self, request: image_service_pb2.GenerateRequest, context: Context) -> _Events:  # type: ignore[override]  # chunks are written already
        """Draw, and tell how it goes."""
        return self._stream(request, context)

    def StreamEdit(self, request: image_service_pb2.EditRequest, context: Context) -> _Events:  # type: ignore[override]  # chunks are written already
        """Change, and tell how it goes."""
        return self._stream(request, context)

    async def ReadImage(
        self,
        request: image_service_pb2.ReadImageRequest,
        context: Context,  # noqa: ARG002 - the signature of a gRPC handler
    ) -> AsyncGenerator[image_service_pb2.ReadImageResponse, None]:
        """Send an image from any offset."""
        if not request.image_id:
            raise _invalid("image_id", "is required")
        stored, data = await self._engine.image(CALLER, request.image_id)
        note(size_bytes=stored.size_bytes, offset=request.offset)
        if request.offset > stored.size_bytes:
            raise _invalid("offset", f"is past the end of the image, which has {stored.size_bytes} bytes")
        with self._engine.reading_image():
            facts: image_pb2.Image | None = image_message(stored)
            if request.offset == stored.size_bytes:
                yield image_service_pb2.ReadImageResponse(image=facts, offset=request.offset)
            for offset, piece in pieces(data, request.offset):
                yield image_service_pb2.ReadImageResponse(image=facts, offset=offset, data=bytes(piece))
                facts = None
        if request.offset < stored.size_bytes:
            self._engine.delivered(request.image_id)

    async def _unary(self, request: Request, context: Context) -> image_pb2.ImageResult:
        async with self._generation(request, context, streaming=False) as generation:
            last = await generation.log.end()
            if isinstance(last, Broken):
                raise BrokenGeneration(last.error, last.failure)
            assert isinstance(last, Finished)
            return result_message(last.result, self._inline(request.delivery, generation, context))

    async def _stream(self, request: Request, context: Context) -> _Events:
        async with self._generation(request, context, streaming=True) as generation:
            mode = request.delivery.mode
            events = stream_events(self._engine, generation, after=0, mode=mode, heartbeat=self._settings.heartbeat)
            async for event in events:
                yield event

    @asynccontextmanager
    async def _generation(self, request: Request, context: Context, *, streaming: bool) -> AsyncIterator[Generation]:
        """Plan, admit and launch what a request asks for, and read it until the context is left."""
        decoded = decode(request, preview_default=STREAM_PREVIEWS if streaming else 0)
        note(model=request.model)
        wish, warnings = decoded.wish, decoded.warnings
        if not streaming:
            wish = replace(wish, previews_shown=False)
            warnings = [*warnings, *self._unary_warnings(request)]
        time_left = context.time_remaining()
        generation = await self._engine.open(wish, CALLER, time_left, decoded.violations, warnings)
        plan = generation.plan
        note(generation_id=generation.id, request_id=generation.request_id, model=plan.model, count=plan.task.count)
        # A generation must not begin before the RPC is committed: a client's automatic retry would buy a second one.
        try:
            await context.send_initial_metadata(
                (("imagegen-generation-id", generation.id), ("imagegen-request-id", generation.request_id))
            )
        except BaseException:
            self._engine.discard(generation)
            raise
        with generation.reading():
            self._engine.launch(generation)
            try:
                yield generation
            finally:
                _note_outcome(generation)

    def _unary_warnings(self, request: Request) -> list[Warning]:
        noted = []
        if request.delivery.inline_limit_bytes > self._settings.max_inline_bytes:
            noted.append(
                Warning(
                    "delivery.inline_limit_bytes",
                    WarningReason.ADJUSTED,
                    f"this server's limit is {self._settings.max_inline_bytes}",
                )
            )
        return noted

    def _inline(self, delivery: image_pb2.Delivery, generation: Generation, context: Context) -> dict[str, bytes]:
        """Choose the bytes that travel in the answer: all of them or none."""
        finished = [event for event in generation.log.events if isinstance(event, ImageFinished)]
        limit = delivery.inline_limit_bytes if delivery.HasField("inline_limit_bytes") else DEFAULT_INLINE_BYTES
        limit = min(limit, self._settings.max_inline_bytes)
        if delivery.mode == image_pb2.DELIVERY_MODE_REFERENCE or sum(len(event.data) for event in finished) > limit:
            return {}
        data = {event.generated.image.image_id: event.data for event in finished}

        # grpc keeps a callback in a circle with its context until the collector comes by: it must hold no bytes.
        image_ids = tuple(data)

        def delivered(call: Any) -> None:
            if not call.cancelled():
                for image_id in image_ids:
                    self._engine.delivered(image_id)

        context.add_done_callback(cast("Any", delivered))
        return data


def _note_outcome(generation: Generation) -> None:
    last = generation.log.events[-1]
    if isinstance(last, Finished | Broken):
        ended = last.result if isinstance(last, Finished) else last.failure
        sizes = [image.image.size_bytes for image in last.result.images] if isinstance(last, Finished) else []
        note(
            images=len(sizes),
            failures=len(ended.failures),
            image_bytes=sum(sizes),
            provider_seconds=round(sum(attempt.duration for attempt in ended.attempts), 4),
            attempts=[attempt.outcome.name.lower() for attempt in ended.attempts],
        )
    else:
        note(unfinished_after=round(time.monotonic() - generation.start_time, 4))


def _invalid(field: str, problem: str) -> ImageError:
    return ImageError(Reason.INVALID_REQUEST, f"{field}: {problem}", violations=[Violation(field, problem)])
