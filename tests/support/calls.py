"""Requests, and what comes of them, for tests on plain stubs."""

import hashlib
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2, status_pb2
from imagegen.v1 import image_pb2, image_service_pb2, image_stream_pb2


def generate(model: str = "test/any", prompt: str = "a boat", **fields: Any) -> image_service_pb2.GenerateRequest:
    """Make a request; further fields as JSON."""
    return ParseDict({"model": model, "input": {"prompt": prompt}, **fields}, image_service_pb2.GenerateRequest())


def edit(*images: bytes, mask: bytes = b"", model: str = "test/any", **fields: Any) -> image_service_pb2.EditRequest:
    """Make a request to edit; further fields as JSON."""
    request = ParseDict({"model": model, "input": {"prompt": "a boat"}, **fields}, image_service_pb2.EditRequest())
    for data in images:
        request.input.images.add(data=data)
    if mask:
        request.input.mask.data = mask
    return request


@dataclass
class Seen:
    """A stream as a reader saw it, images put together from their chunks."""

    events: list[image_stream_pb2.ImageStreamEvent] = field(default_factory=list)
    previews: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Index, number, bytes; only those that came whole."""
    images: dict[int, bytes] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """What happened, chunks left out."""
        kinds = [str(event.WhichOneof("event")) for event in self.events]
        return [kind for kind in kinds if kind != "chunk"]

    @property
    def result(self) -> image_pb2.ImageResult:
        """The one result."""
        (result,) = [event.result for event in self.events if event.HasField("result")]
        return result


def as_event(message: image_stream_pb2.ImageStreamEvent | bytes) -> image_stream_pb2.ImageStreamEvent:
    """Read what the server's own rooms hand over: a message, or one that is written already."""
    return image_stream_pb2.ImageStreamEvent.FromString(message) if isinstance(message, bytes) else message


async def watch(
    stream: AsyncIterable[image_stream_pb2.ImageStreamEvent | bytes] | AsyncIterable[image_stream_pb2.ImageStreamEvent],
    into: Seen | None = None,
) -> Seen:
    """Read a stream to its end by the rules of the API, written here apart from the client's own reader."""
    seen = into or Seen()
    opened: tuple[int, int, int] | None = None
    data = bytearray()
    async for message in stream:
        event = as_event(message)
        seen.events.append(event)
        kind = event.WhichOneof("event")
        if kind == "preview":
            opened, data = (event.preview.index, event.preview.number, event.preview.image.size_bytes), bytearray()
        elif kind == "complete":
            opened, data = (event.complete.index, 0, event.complete.image.size_bytes), bytearray()
        elif kind == "chunk":
            assert opened is not None
            assert (event.chunk.index, event.chunk.preview_number) == opened[:2]
            assert event.chunk.offset == len(data)
            data += event.chunk.data
            if len(data) == opened[2]:
                if opened[1]:
                    seen.previews.append((opened[0], opened[1], bytes(data)))
                else:
                    seen.images[opened[0]] = bytes(data)
    return seen


@dataclass(frozen=True)
class Refusal:
    """An error status, taken apart."""

    code: grpc.StatusCode
    message: str
    reason: str
    """ErrorInfo.reason without its prefix."""
    billed: str
    """The trailer."""
    metadata: dict[str, str]
    violations: dict[str, str]
    retry_delay: float | None
    failure: image_pb2.GenerationFailure | None


def refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Read an error with google.rpc only, and see that the plain trailers say the same."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry, failure = error_details_pb2.RetryInfo(), image_pb2.GenerationFailure()
    kinds = (info, bad, retry, failure)
    found = {type(kind) for detail in status.details for kind in kinds if detail.Unpack(kind)}
    assert status.code == error.code().value[0]
    assert info.domain == "imagegen"
    assert trailers["imagegen-reason"] == info.reason
    assert trailers["imagegen-billed"] == info.metadata["billed"]
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        reason=info.reason.removeprefix("ERROR_REASON_"),
        billed=str(trailers["imagegen-billed"]),
        metadata=dict(info.metadata),
        violations={violation.field: violation.description for violation in bad.field_violations},
        retry_delay=retry.retry_delay.ToMilliseconds() / 1000 if error_details_pb2.RetryInfo in found else None,
        failure=failure if image_pb2.GenerationFailure in found else None,
    )


def sha256(data: bytes) -> str:
    """Hash as the API writes it."""
    return hashlib.sha256(data).hexdigest()
