"""A scripted imagegen server in this process, and the events it is scripted with."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from imagegen.v1 import (
    error_reason_pb2,
    image_pb2,
    image_service_pb2,
    image_service_pb2_grpc,
    image_stream_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
)

CHUNK = 196_608
EXAMPLE_PROMPT = "a harbour at dawn"

Event = image_stream_pb2.ImageStreamEvent
Wish: TypeAlias = image_service_pb2.GenerateRequest | image_service_pb2.EditRequest
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
StreamScript: TypeAlias = Callable[[Wish, Context], AsyncIterator[Event]]
ReadScript: TypeAlias = Callable[
    [image_service_pb2.ReadImageRequest, Context], AsyncIterator[image_service_pb2.ReadImageResponse]
]
ResumeScript: TypeAlias = Callable[[image_service_pb2.ResumeRequest, Context], AsyncIterator[Event]]
CancelScript: TypeAlias = Callable[
    [image_service_pb2.CancelRequest, Context], Awaitable[image_service_pb2.CancelResponse]
]
UploadScript: TypeAlias = Callable[
    [image_service_pb2.UploadImageRequest, Context], Awaitable[image_service_pb2.UploadImageResponse]
]
ExplainScript: TypeAlias = Callable[
    [image_service_pb2.ExplainRequest, Context], Awaitable[image_service_pb2.ExplainResponse]
]
ListScript: TypeAlias = Callable[
    [model_service_pb2.ListModelsRequest, Context], Awaitable[model_service_pb2.ListModelsResponse]
]
GetScript: TypeAlias = Callable[
    [model_service_pb2.GetModelRequest, Context], Awaitable[model_service_pb2.GetModelResponse]
]


def picture(size: int = 1000, *, salt: int = 0) -> bytes:
    """Bytes that stand for an image; which ones depends on size and salt."""
    block = hashlib.sha256(bytes([salt])).digest()
    return (block * (size // len(block) + 1))[:size]


def facts(data: bytes, *, image_id: str = "", media_type: str = "image/png") -> image_pb2.Image:
    """What the server tells of finished bytes."""
    return image_pb2.Image(
        image_id=image_id or f"img_{hashlib.sha256(data).hexdigest()[:8]}",
        media_type=media_type,
        width=640,
        height=480,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def started(generation_id: str = "gen_1") -> Event:
    """The first event of a stream."""
    return Event(
        sequence=1,
        started=image_stream_pb2.GenerationStarted(
            generation_id=generation_id, request_id="req_1", model="sandbox/scene"
        ),
    )


def progress(fraction: float = 0.5) -> Event:
    """News without pixels."""
    return Event(progress=image_stream_pb2.Progress(phase=image_stream_pb2.PHASE_GENERATING, fraction=fraction))


def opening_of_preview(data: bytes, *, index: int = 0, number: int = 1) -> Event:
    """Opens a preview."""
    image = image_pb2.Image(media_type="image/png", size_bytes=len(data))
    return Event(preview=image_stream_pb2.ImagePreview(index=index, number=number, image=image))


def opening(data: bytes, *, index: int = 0) -> Event:
    """Opens a finished image."""
    return Event(complete=made(data, index=index))


def made(data: bytes, *, index: int = 0) -> image_pb2.GeneratedImage:
    """A finished image without its bytes."""
    return image_pb2.GeneratedImage(index=index, image=facts(data), revised_prompt="a harbour", seed=7)


def chunks(data: bytes, *, index: int = 0, number: int = 0, size: int = CHUNK) -> list[Event]:
    """The pieces of an image."""
    return [
        Event(
            chunk=image_stream_pb2.ImageChunk(
                index=index, preview_number=number, offset=offset, data=data[offset : offset + size]
            )
        )
        for offset in range(0, len(data), size)
    ]


def preview(data: bytes, *, index: int = 0, number: int = 1) -> list[Event]:
    """A whole preview."""
    return [opening_of_preview(data, index=index, number=number), *chunks(data, index=index, number=number)]


def complete(data: bytes, *, index: int = 0) -> list[Event]:
    """A whole finished image."""
    return [opening(data, index=index), *chunks(data, index=index)]


def failure(index: int) -> image_pb2.ImageFailure:
    """One image that will not come."""
    return image_pb2.ImageFailure(
        index=index,
        reason=error_reason_pb2.ERROR_REASON_CONTENT_FILTERED,
        message="refused",
        billed=image_pb2.BILLED_NO,
    )


def result(*images: bytes, failures: Sequence[image_pb2.ImageFailure] = ()) -> Event:
    """The last event: images by position."""
    return Event(
        result=image_pb2.ImageResult(
            generation_id="gen_1",
            request_id="req_1",
            model="sandbox/scene",
            images=[made(data, index=index) for index, data in enumerate(images)],
            failures=failures,
            usage=image_pb2.ImageUsage(images_generated=len(images)),
        )
    )


def whole_stream(*images: bytes) -> list[Event]:
    """A stream as it should be, without previews."""
    return [
        started(),
        *(event for at, data in enumerate(images) for event in complete(data, index=at)),
        result(*images),
    ]


def status_trailer(code: grpc.StatusCode, message: str, *details: Message) -> tuple[str, bytes]:
    """The trailer that carries a google.rpc.Status."""
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return ("grpc-status-details-bin", status.SerializeToString())


def error_info(reason: str, **metadata: str) -> Message:
    """What every error of the server carries."""
    info: Message = error_details_pb2.ErrorInfo(domain="imagegen", reason=f"ERROR_REASON_{reason}", metadata=metadata)
    return info


def play(*events: Event) -> StreamScript:
    """A script that sends events and ends well."""

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        for event in events:
            yield event

    return script


@dataclass
class Handled:
    """One call as the server saw it."""

    method: str
    request: Message
    metadata: dict[str, str]
    time_remaining: float | None


@dataclass
class FakeServer(
    image_service_pb2_grpc.ImageServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """A server whose answers are set by the test. Its events may be waited for from any thread."""

    stream: StreamScript = field(default_factory=lambda: play(*whole_stream(picture())))
    """What StreamGenerate and StreamEdit do."""
    resume: ResumeScript | None = None
    cancel: CancelScript | None = None
    """Unset: every generation is stopped."""
    upload: UploadScript | None = None
    explain: ExplainScript | None = None
    read: ReadScript | None = None
    list_models: ListScript | None = None
    get_model: GetScript | None = None
    calls: list[Handled] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when a stream's handler was cancelled, wherever it stood: a cancel at its `yield` is a GeneratorExit."""
    address: str = ""

    async def __aenter__(self) -> Self:
        """Start on a free port."""
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", 70 * 1024 * 1024)])
        image_service_pb2_grpc.add_ImageServiceServicer_to_server(self, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop without grace."""
        await self._server.stop(None)

    async def hang(self) -> None:
        """Wait until the call is cancelled."""
        await asyncio.get_running_loop().create_future()

    async def saw_cancel(self) -> bool:
        """Whether a hanging call is cancelled soon."""
        return await asyncio.to_thread(self.cancelled.wait, 10)

    def called(self, method: str) -> list[Any]:
        """The requests of a method so far."""
        return [call.request for call in self.calls if call.method == method]

    async def saw(self, method: str) -> Any:
        """The first request of a method, which comes soon."""
        async with asyncio.timeout(10):
            while not (seen := self.called(method)):  # noqa: ASYNC110 - a list, no event
                await asyncio.sleep(0.005)
        return seen[0]

    @property
    def last(self) -> Handled:
        """The call that came last."""
        return self.calls[-1]

    @contextmanager
    def _telling_of_cancel(self) -> Iterator[None]:
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    def _note(self, method: str, request: Message, context: Context) -> None:
        metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        self.calls.append(Handled(method, request, metadata, context.time_remaining()))

    async def StreamGenerate(
        self, request: image_service_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[Event]:
        """Play the script."""
        self._note("StreamGenerate", request, context)
        with self._telling_of_cancel():
            async for event in self.stream(request, context):
                yield event

    async def StreamEdit(self, request: image_service_pb2.EditRequest, context: Context) -> AsyncIterator[Event]:
        """Play the script."""
        self._note("StreamEdit", request, context)
        with self._telling_of_cancel():
            async for event in self.stream(request, context):
                yield event

    async def ReadImage(
        self, request: image_service_pb2.ReadImageRequest, context: Context
    ) -> AsyncIterator[image_service_pb2.ReadImageResponse]:
        """Play the script."""
        self._note("ReadImage", request, context)
        assert self.read is not None
        with self._telling_of_cancel():
            async for piece in self.read(request, context):
                yield piece

    async def ListModels(
        self, request: model_service_pb2.ListModelsRequest, context: Context
    ) -> model_service_pb2.ListModelsResponse:
        """Play the script."""
        self._note("ListModels", request, context)
        assert self.list_models is not None
        return await self.list_models(request, context)

    async def GetModel(
        self, request: model_service_pb2.GetModelRequest, context: Context
    ) -> model_service_pb2.GetModelResponse:
        """Play the script."""
        self._note("GetModel", request, context)
        assert self.get_model is not None
        return await self.get_model(request, context)

    async def Generate(self, request: image_service_pb2.GenerateRequest, context: Context) -> image_pb2.ImageResult:
        """Never called by the client: generate() goes over the stream form."""
        raise NotImplementedError

    async def Edit(self, request: image_service_pb2.EditRequest, context: Context) -> image_pb2.ImageResult:
        """Never called by the client: edit() goes over the stream form."""
        raise NotImplementedError

    async def Resume(self, request: image_service_pb2.ResumeRequest, context: Context) -> AsyncIterator[Event]:
        """Play the script."""
        self._note("Resume", request, context)
        assert self.resume is not None
        with self._telling_of_cancel():
            async for event in self.resume(request, context):
                yield event

    async def Cancel(
        self, request: image_service_pb2.CancelRequest, context: Context
    ) -> image_service_pb2.CancelResponse:
        """Play the script."""
        self._note("Cancel", request, context)
        if self.cancel is None:
            return image_service_pb2.CancelResponse(generation_id="gen_1", stopped=True)
        return await self.cancel(request, context)

    async def UploadImage(
        self, request: image_service_pb2.UploadImageRequest, context: Context
    ) -> image_service_pb2.UploadImageResponse:
        """Play the script."""
        self._note("UploadImage", request, context)
        assert self.upload is not None
        return await self.upload(request, context)

    async def Explain(
        self, request: image_service_pb2.ExplainRequest, context: Context
    ) -> image_service_pb2.ExplainResponse:
        """Play the script."""
        self._note("Explain", request, context)
        assert self.explain is not None
        return await self.explain(request, context)


@contextmanager
def in_thread() -> Iterator[FakeServer]:
    """A server for tests without an event loop: it runs in a thread of its own."""
    server = FakeServer()
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
