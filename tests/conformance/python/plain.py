"""Steps done with the generated stubs alone, over a channel with default settings."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc
from conformance.v1 import driver_pb2
from google.protobuf import json_format
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc, image_stream_pb2

from .measuring import measured

_RETRYING: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.01s",
                    "maxBackoff": "0.01s",
                    "backoffMultiplier": 1,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)


def _channel(step: driver_pb2.Step) -> grpc.aio.Channel:
    options = [("grpc.service_config", _RETRYING)] if step.retrying_channel else []
    if step.ca_file:
        credentials = grpc.ssl_channel_credentials(Path(step.ca_file).read_bytes())
        return grpc.aio.secure_channel(step.address, credentials, options=options)
    return grpc.aio.insecure_channel(step.address, options=options)


async def do(step: driver_pb2.Step) -> driver_pb2.Outcome:
    """Do one step."""
    outcome = driver_pb2.Outcome()
    async with _channel(step) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        limit = step.timeout_ms / 1000 if step.timeout_ms else None
        settings: dict[str, Any] = {
            "timeout": limit,
            "metadata": (("authorization", f"Bearer {step.token}"),) if step.token else None,
        }
        try:
            match step.WhichOneof("operation"):
                case "generate":
                    _tell_result(await images.Generate(step.generate, **settings), outcome)
                case "edit":
                    _tell_result(await images.Edit(step.edit, **settings), outcome)
                case "stream":
                    await _watch(images.StreamGenerate(step.stream, **settings), step, outcome)
                case "stream_edit":
                    await _watch(images.StreamEdit(step.stream_edit, **settings), step, outcome)
                case "resume":
                    await _watch(images.Resume(step.resume, **settings), step, outcome)
                case "cancel":
                    outcome.stopped = (await images.Cancel(step.cancel, **settings)).stopped
                case "read":
                    await _read(images.ReadImage(step.read, **settings), outcome)
                case "explain":
                    outcome.explained.CopyFrom(await images.Explain(step.explain, **settings))
                case other:
                    outcome.unsupported = f"{other} is for the helper"
        except grpc.aio.AioRpcError as error:
            _tell_failure(error, outcome.failure)
    return outcome


def _tell_failure(error: grpc.aio.AioRpcError, failure: driver_pb2.Failure) -> None:
    trailers = dict(error.trailing_metadata() or ())
    failure.code = error.code().value[0]
    failure.message = error.details() or ""
    failure.reason = str(trailers.get("imagegen-reason", ""))
    failure.billed = str(trailers.get("imagegen-billed", ""))


def _picture(made: image_pb2.GeneratedImage, data: bytes, number: int = 0) -> driver_pb2.Picture:
    picture = driver_pb2.Picture(
        index=made.index,
        preview_number=number,
        media_type=made.image.media_type,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest() if data else "",
        made=made,
    )
    picture.made.image.ClearField("data")
    return picture


def _tell_result(result: image_pb2.ImageResult, outcome: driver_pb2.Outcome) -> None:
    for made in result.images:
        if made.image.data:
            outcome.pictures.append(_picture(made, made.image.data))
            made.image.ClearField("data")
    outcome.result.CopyFrom(result)


class _Watching:
    """Writes down what a stream sends, message by message."""

    def __init__(self, outcome: driver_pb2.Outcome) -> None:
        self._outcome = outcome
        self._whole: dict[int, tuple[image_pb2.GeneratedImage, bytearray]] = {}
        self._chunks: tuple[driver_pb2.Picture, bytearray] | None = None

    def take(self, event: image_stream_pb2.ImageStreamEvent) -> None:
        """Write one message down."""
        self._outcome.last_sequence = max(self._outcome.last_sequence, event.sequence)
        match event.WhichOneof("event"):
            case "progress":
                self._outcome.progress_events += 1
            case "chunk":
                self._take_chunk(event.chunk)
            case _:
                self._close_chunks()
                self._take_other(event, self._outcome.events.add())

    def end(self) -> None:
        """Tell of the images that came whole."""
        self._close_chunks()
        if self._outcome.HasField("result"):
            whole = [made for _, made in sorted(self._whole.items()) if made[1]]
            self._outcome.pictures.extend(_picture(made, bytes(data)) for made, data in whole)

    def _take_chunk(self, chunk: image_stream_pb2.ImageChunk) -> None:
        if self._chunks is None:
            self._chunks = (self._outcome.events.add().chunks, bytearray())
            self._chunks[0].index, self._chunks[0].preview_number = chunk.index, chunk.preview_number
        self._chunks[1].extend(chunk.data)
        if not chunk.preview_number and chunk.index in self._whole:
            self._whole[chunk.index][1].extend(chunk.data)

    def _take_other(self, event: image_stream_pb2.ImageStreamEvent, told: driver_pb2.Event) -> None:
        match event.WhichOneof("event"):
            case "started":
                told.started.CopyFrom(event.started)
                self._name(event.started)
            case "preview":
                opened = event.preview
                made = image_pb2.GeneratedImage(index=opened.index, image=opened.image, metadata=opened.metadata)
                told.preview.CopyFrom(_picture(made, b"", opened.number))
            case "complete":
                self._whole[event.complete.index] = (event.complete, bytearray())
                told.complete.CopyFrom(_picture(event.complete, b""))
            case "failure":
                told.failure.CopyFrom(event.failure)
            case "result":
                told.result = True
                self._outcome.result.CopyFrom(event.result)
                self._name(event.result)
            case _:
                told.unknown = True

    def _name(self, told: image_stream_pb2.GenerationStarted | image_pb2.ImageResult) -> None:
        self._outcome.generation_id, self._outcome.request_id = told.generation_id, told.request_id

    def _close_chunks(self) -> None:
        if self._chunks is not None:
            told, data = self._chunks
            told.size_bytes, told.sha256 = len(data), hashlib.sha256(data).hexdigest()
            self._chunks = None


async def _watch(
    call: "grpc.aio.UnaryStreamCall[Any, image_stream_pb2.ImageStreamEvent]",
    step: driver_pb2.Step,
    outcome: driver_pb2.Outcome,
) -> None:
    watching = _Watching(outcome)
    async for event in _until_left(call, step):
        watching.take(event)
    watching.end()


async def _until_left(
    call: "grpc.aio.UnaryStreamCall[Any, image_stream_pb2.ImageStreamEvent]", step: driver_pb2.Step
) -> AsyncIterator[image_stream_pb2.ImageStreamEvent]:
    left = step.leave.after_events if step.HasField("leave") else -1
    async for event in call:
        yield event
        left -= 1
        if not left:
            call.cancel()
            return


async def _read(call: "grpc.aio.UnaryStreamCall[Any, Any]", outcome: driver_pb2.Outcome) -> None:
    data = bytearray()
    async for piece in call:
        if piece.HasField("image"):
            outcome.image.CopyFrom(piece.image)
        data.extend(piece.data)
    outcome.pictures.append(_picture(image_pb2.GeneratedImage(image=outcome.image), bytes(data)))


async def measure(step: driver_pb2.Step) -> driver_pb2.Measured:
    """Make calls and read their chunks, each copied once into the bytes of its image, as users of plain stubs do."""
    wish = step.measure.request
    model, prompt, request_id = wish.model, wish.input.prompt, wish.request_id
    previews = wish.options.preview_count
    params = {provider: json_format.MessageToDict(values) for provider, values in wish.params.items()}
    async with _channel(step) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)

        async def call() -> int:
            request = image_service_pb2.GenerateRequest(
                model=model,
                input=image_pb2.ImageInput(prompt=prompt),
                options=image_pb2.ImageOptions(preview_count=previews),
                request_id=request_id,
            )
            for provider, values in params.items():
                request.params[provider].update(values)
            pieces: dict[int, list[bytes]] = {}
            digests: dict[int, Any] = {}
            result = image_pb2.ImageResult()
            async for event in images.StreamGenerate(request):
                match event.WhichOneof("event"):
                    case "chunk" if not event.chunk.preview_number:
                        chunk = event.chunk
                        pieces.setdefault(chunk.index, []).append(chunk.data)
                        if step.measure.checksum:
                            digests.setdefault(chunk.index, hashlib.sha256()).update(chunk.data)
                    case "result":
                        result = event.result
            whole = {index: b"".join(parts) for index, parts in pieces.items()}
            for made in result.images:
                if step.measure.checksum and digests[made.index].hexdigest() != made.image.sha256:
                    raise ValueError(f"image {made.index} is damaged")
            return sum(len(whole[made.index]) for made in result.images)

        return await measured(step.measure, call)
