"""The servicer of ImageService: decode, open, read, encode."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc, image_stream_pb2

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.events import Broken, Finished, ImageFinished
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.generation.engine import Engine
from imagegen_server.generation.explain import Explainer
from imagegen_server.generation.generation import BrokenGeneration, Generation
from imagegen_server.generation.opening import Terms
from imagegen_server.generation.readers import deadline_in
from imagegen_server.generation.reading import Reading
from imagegen_server.generation.uploads import Uploads

from .boundary import Context, note
from .callers import current_caller
from .chunks import pieces, stream_events
from .decode import Request, decode, why_no_request_id
from .encode import image_message, result_message
from .explain import explain
from .uploads import upload_image

_Events: TypeAlias = AsyncGenerator[image_stream_pb2.ImageStreamEvent | bytes, None]
"""Chunks come as bytes that are written already."""

_Handle = image_service_pb2.ResumeRequest | image_service_pb2.CancelRequest

DEFAULT_INLINE_BYTES = 3 * 1024 * 1024
STREAM_PREVIEWS = 2


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """`max_inline_bytes`: the most a unary answer may carry. `heartbeat`: seconds of silence before one is sent."""

    max_inline_bytes: int = 64 * 1024 * 1024
    heartbeat: float = 5.0


class ImageService(image_service_pb2_grpc.ImageServiceServicer):
    """Makes and changes pictures."""

    def __init__(self, engine: Engine, uploads: Uploads, explainer: Explainer, settings: DeliverySettings) -> None:
        """Be wired by the app."""
        self._engine = engine
        self._readers = engine.readers
        self._uploads = uploads
        self._explainer = explainer
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

    async def Resume(self, request: image_service_pb2.ResumeRequest, context: Context) -> _Events:  # type: ignore[override]  # chunks are written already
        """Read a generation on from an event, then live."""
        _check_handle(request)
        note(after_sequence=request.after_sequence)
        mode = request.delivery.mode
        if mode not in image_pb2.DeliveryMode.values():
            raise _invalid("delivery.mode", f"has no value {mode}")
        terms = Terms(
            deadline=deadline_in(context.time_remaining()), with_bytes=mode != image_pb2.DELIVERY_MODE_REFERENCE
        )
        reading = await self._engine.resume(
            current_caller(),
            terms,
            generation_id=request.generation_id,
            request_id=request.request_id,
            after=request.after_sequence,
        )
        async with self._reading(reading, context) as generation:
            async for event in self._events(generation, request.after_sequence, mode):
                yield event

    async def Cancel(
        self,
        request: image_service_pb2.CancelRequest,
        context: Context,  # noqa: ARG002 - the signature of a gRPC handler
    ) -> image_service_pb2.CancelResponse:
        """Stop a generation."""
        _check_handle(request)
        id_, stopped = await self._engine.cancel(
            current_caller(), generation_id=request.generation_id, request_id=request.request_id
        )
        note(generation_id=id_, stopped=stopped)
        return image_service_pb2.CancelResponse(generation_id=id_, stopped=stopped)

    async def ReadImage(
        self,
        request: image_service_pb2.ReadImageRequest,
        context: Context,  # noqa: ARG002 - the signature of a gRPC handler
    ) -> AsyncGenerator[image_service_pb2.ReadImageResponse, None]:
        """Send an image from any offset."""
        if not request.image_id:
            raise _invalid("image_id", "is required")
        stored, data = await self._readers.image(current_caller(), request.image_id)
        note(size_bytes=stored.size_bytes, offset=request.offset)
        if request.offset > stored.size_bytes:
            raise _invalid("offset", f"is past the end of the image, which has {stored.size_bytes} bytes")
        # The store may let go of it meanwhile, and a slow reader holds it on.
        async with self._readers.counted(current_caller(), stored.size_bytes - request.offset):
            facts: image_pb2.Image | None = image_message(stored)
            if request.offset == stored.size_bytes:
                yield image_service_pb2.ReadImageResponse(image=facts, offset=request.offset)
            for offset, piece in pieces(data, request.offset):
                yield image_service_pb2.ReadImageResponse(image=facts, offset=offset, data=bytes(piece))
                facts = None
        if request.offset < stored.size_bytes:
            self._readers.delivered(request.image_id)

    async def UploadImage(
        self,
        request: image_service_pb2.UploadImageRequest,
        context: Context,  # noqa: ARG002 - the signature of a gRPC handler
    ) -> image_service_pb2.UploadImageResponse:
        """Take a piece of an image, or tell how much of it is there."""
        self._engine.require_serving()
        caller = current_caller()
        async with self._readers.counted(caller, len(request.data)):
            return await upload_image(self._uploads, caller.name, request)

    async def Explain(
        self,
        request: image_service_pb2.ExplainRequest,
        context: Context,  # noqa: ARG002 - the signature of a gRPC handler
    ) -> image_service_pb2.ExplainResponse:
        """Tell what a request would do."""
        return await explain(self._engine, self._explainer, request)

    async def _unary(self, request: Request, context: Context) -> image_pb2.ImageResult:
        async with self._generation(request, context, streaming=False) as generation:
            last = await generation.log.end()
            if isinstance(last, Broken):
                self._readers.told(generation.id)
                raise BrokenGeneration(last.error, last.failure)
            assert isinstance(last, Finished)
            return result_message(last.result, self._inline(request.delivery, generation, context))

    async def _stream(self, request: Request, context: Context) -> _Events:
        async with self._generation(request, context, streaming=True) as generation:
            async for event in self._events(generation, 0, request.delivery.mode):
                yield event

    def _events(self, generation: Generation, after: int, mode: image_pb2.DeliveryMode.ValueType) -> _Events:
        return stream_events(self._readers, generation, after=after, mode=mode, heartbeat=self._settings.heartbeat)

    @asynccontextmanager
    async def _generation(self, request: Request, context: Context, *, streaming: bool) -> AsyncIterator[Generation]:
        """Open or join the generation that a request means, and read it until the context is left."""
        decoded = decode(request, preview_default=STREAM_PREVIEWS if streaming else 0)
        note(model=request.model)
        if request.request_id:
            note(request_id=request.request_id)
        wish, warnings = decoded.wish, decoded.warnings
        if not streaming:
            wish = replace(wish, previews_shown=False)
            warnings = [*warnings, *self._unary_warnings(request)]
        terms = Terms(
            request_id=request.request_id,
            detach=_DETACH.get(request.on_disconnect),
            streaming=streaming,
            deadline=deadline_in(context.time_remaining()),
            with_bytes=request.delivery.mode != image_pb2.DELIVERY_MODE_REFERENCE,
        )
        reading = await self._engine.open(wish, current_caller(), terms, decoded.violations, warnings)
        async with self._reading(reading, context) as generation:
            yield generation

    @asynccontextmanager
    async def _reading(self, reading: Reading, context: Context) -> AsyncIterator[Generation]:
        """Commit the RPC, and only then let a generation begin: a client's automatic retry would buy a second one."""
        generation = reading.generation
        note(
            generation_id=generation.id,
            request_id=generation.request_id,
            model=generation.model,
            count=generation.count,
        )
        async with reading:
            if generation.launched:
                note(joined=True)
            await context.send_initial_metadata(
                (("imagegen-generation-id", generation.id), ("imagegen-request-id", generation.request_id))
            )
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
        size = sum(event.generated.image.size_bytes for event in finished)
        data = {}
        if delivery.mode != image_pb2.DELIVERY_MODE_REFERENCE and size <= limit:
            data = {event.generated.image.image_id: event.data for event in finished}

        # grpc keeps a callback in a circle with its context until the collector comes by: it must hold no bytes.
        image_ids, generation_id = tuple(data), generation.id

        def delivered(call: Any) -> None:
            if not call.cancelled():
                for image_id in image_ids:
                    self._readers.delivered(image_id)
                self._readers.told(generation_id)

        context.add_done_callback(cast("Any", delivered))
        return data


_DETACH = {image_pb2.ON_DISCONNECT_CANCEL: False, image_pb2.ON_DISCONNECT_DETACH: True}


def _check_handle(request: _Handle) -> None:
    """See that a request names a generation.

    :raises ImageError: INVALID_REQUEST
    """
    if not (request.generation_id or request.request_id):
        raise _invalid("generation_id", "is required, or request_id")
    if problem := why_no_request_id(request.request_id):
        raise _invalid("request_id", problem)
    note(**{name: id_ for name in ("generation_id", "request_id") if (id_ := getattr(request, name))})


def _note_outcome(generation: Generation) -> None:
    last = generation.log.events[-1]
    if isinstance(last, Finished | Broken):
        ended = last.result if isinstance(last, Finished) else last.failure
        sizes = [image.image.size_bytes for image in last.result.images] if isinstance(last, Finished) else []
        note(
            images=len(sizes),
            failures=len(ended.failures),
            image_bytes=sum(sizes),
        )
    else:
        note(unfinished_after=round(time.monotonic() - generation.start_time, 4))


def _invalid(field: str, problem: str) -> ImageError:
    return ImageError(Reason.INVALID_REQUEST, f"{field}: {problem}", violations=[Violation(field, problem)])
