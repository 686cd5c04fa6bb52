"""Puts a stream of API events together: chunks become whole images, and the end becomes a result."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from imagegen._errors import ImageGenError, invalid_response
from imagegen._events import Complete, Failed, ImageEvent, Preview, Started, progress_from_proto
from imagegen._image import MAX_IMAGE_BYTES, GeneratedImage, generated_image_from_proto, image_from_proto
from imagegen._params import metadata_from_proto
from imagegen._result import (
    ImageResult,
    attempt_from_proto,
    failure_from_proto,
    usage_from_proto,
    warnings_from_proto,
)
from imagegen.v1 import image_pb2, image_stream_pb2

# The preview number of chunks that belong to a finished image.
_FINISHED: Final = 0


class ByteRun:
    """Bytes of one image that arrive in order, in pieces of any length, and are checked at the end."""

    def __init__(self, facts: image_pb2.Image, *, free: bool = False) -> None:
        """Expect the image that `facts` tells of; `free`: out of a call that never costs anything.

        Raises:
            ImageGenError: INVALID_RESPONSE, the image is larger than the API allows, or has no size.
        """
        if not 0 < facts.size_bytes <= MAX_IMAGE_BYTES:
            raise invalid_response(f"the server told of an image of {facts.size_bytes} bytes", free=free)
        self._free = free
        self._facts = facts
        self._pieces: list[bytes] = []
        self._digest = hashlib.sha256()
        self.received = 0
        """Bytes so far: where the next piece must start."""

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.received == self._facts.size_bytes

    def append(self, offset: int, data: bytes) -> None:
        """Take the next piece.

        Raises:
            ImageGenError: INVALID_RESPONSE, it does not follow the piece before, or is more than the image has.
        """
        if offset != self.received:
            raise self._wrong(f"a piece of the image starts at byte {offset} where byte {self.received} was due")
        if self.received + len(data) > self._facts.size_bytes:
            raise self._wrong(f"the image is longer than the {self._facts.size_bytes} bytes that the server told")
        self._pieces.append(data)
        self._digest.update(data)
        self.received += len(data)

    def join(self) -> bytes:
        """All bytes, checked against size and, where the server told one, SHA-256.

        Raises:
            ImageGenError: INVALID_RESPONSE, bytes are missing or are not those that the server told of.
        """
        if not self.whole:
            raise self._wrong(f"the image ended after {self.received} of {self._facts.size_bytes} bytes")
        if self._facts.sha256 and self._digest.hexdigest() != self._facts.sha256:
            raise self._wrong("the bytes of the image do not have the SHA-256 that the server told")
        return b"".join(self._pieces)

    def _wrong(self, message: str) -> ImageGenError:
        return invalid_response(message, free=self._free)


@dataclass(slots=True)
class _Opening:
    """The image opened last."""

    event: image_stream_pb2.ImagePreview | image_pb2.GeneratedImage
    index: int
    number: int
    run: ByteRun


class Assembler:
    """Takes the events of one stream in order. Needs no network and no event loop."""

    def __init__(self, *, chunked: bool, whole: bool = True) -> None:
        """Expect a stream, which may come over several connections one after the other.

        Args:
            chunked: the bytes of images follow as chunks (inline delivery). False: images are facts and an id.
            whole: the events come from the start. False: an image whose beginning is missing is left to its id.
        """
        self._chunked = chunked
        self._whole = whole
        self._open: _Opening | None = None
        self._images: dict[int, tuple[image_pb2.GeneratedImage, GeneratedImage]] = {}
        self.started: Started | None = None
        """The stream's first event, once it was there."""
        self.result: ImageResult | None = None
        """What the stream came to, once it was told."""

    def feed(self, event: image_stream_pb2.ImageStreamEvent) -> ImageEvent | None:  # noqa: PLR0911 - one for each kind
        """Take the next event; what it completes is returned. An unset or newer event is ignored.

        Raises:
            ImageGenError: INVALID_RESPONSE, the stream breaks a promise of the API that a finished image depends on. A
                preview that is damaged is left out instead.
        """
        if self.result is not None:
            return None
        match event.WhichOneof("event"):
            case "started":
                self.started = _started(event.started)
                return self.started
            case "progress":
                return progress_from_proto(event.progress)
            case "preview":
                return self._preview(event.preview)
            case "complete":
                return self._complete(event.complete)
            case "chunk":
                return self._chunk(event.chunk)
            case "failure":
                return Failed(failure=failure_from_proto(event.failure))
            case "result":
                self._end_open()
                self.result = self._result(event.result)
        return None

    def _preview(self, preview: image_stream_pb2.ImagePreview) -> ImageEvent | None:
        self._end_open()
        if not self._chunked:
            return _preview_event(preview, None)
        try:
            self._open = _Opening(preview, preview.index, preview.number, ByteRun(preview.image))
        except ImageGenError:
            return None
        return None

    def _complete(self, made: image_pb2.GeneratedImage) -> ImageEvent | None:
        self._end_open()
        if not self._chunked:
            return self._complete_event(made, None)
        self._open = _Opening(made, made.index, _FINISHED, ByteRun(made.image))
        return None

    def _chunk(self, chunk: image_stream_pb2.ImageChunk) -> ImageEvent | None:
        opening = self._open
        if opening is None or opening.index != chunk.index or opening.number != chunk.preview_number:
            if chunk.preview_number != _FINISHED:
                return None  # the rest of a preview that was given up
            if not self._whole and opening is None and chunk.index not in self._images:
                return None  # the rest of an image that was begun before
            raise invalid_response(f"bytes of image {chunk.index} came outside of their place")
        try:
            opening.run.append(chunk.offset, chunk.data)
            if not opening.run.whole:
                return None
            data = opening.run.join()
        except ImageGenError:
            self._open = None
            if chunk.preview_number != _FINISHED:
                return None  # a damaged preview is no reason to lose the image
            raise
        self._open = None
        if isinstance(opening.event, image_stream_pb2.ImagePreview):
            return _preview_event(opening.event, data)
        return self._complete_event(opening.event, data)

    def _complete_event(self, made: image_pb2.GeneratedImage, data: bytes | None) -> Complete:
        image = generated_image_from_proto(made, data)
        self._images[image.index] = made, image
        return Complete(image=image)

    def _end_open(self) -> None:
        """An opening ends an unfinished preview; a finished image may not be cut short."""
        opening, self._open = self._open, None
        if opening is not None and isinstance(opening.event, image_pb2.GeneratedImage):
            raise invalid_response(f"image {opening.event.index} was cut short")

    def _result(self, result: image_pb2.ImageResult) -> ImageResult:
        if not result.images:
            raise invalid_response("the server ended the generation without an image and without an error")
        return ImageResult(
            generation_id=result.generation_id,
            request_id=result.request_id,
            model=result.model,
            images=tuple(self._with_bytes(made) for made in result.images),
            failures=tuple(failure_from_proto(failure) for failure in result.failures),
            usage=usage_from_proto(result.usage) if result.HasField("usage") else None,
            warnings=warnings_from_proto(result.warnings),
            attempts=tuple(attempt_from_proto(attempt) for attempt in result.attempts),
            metadata=metadata_from_proto(result.metadata),
        )

    def _with_bytes(self, made: image_pb2.GeneratedImage) -> GeneratedImage:
        if (received := self._images.get(made.index)) is None:
            if self._chunked and self._whole:
                raise invalid_response(f"the result names image {made.index}, which never came")
            return generated_image_from_proto(made)
        told, image = received
        return image if told == made else generated_image_from_proto(made, image.data)


def _started(started: image_stream_pb2.GenerationStarted) -> Started:
    return Started(
        generation_id=started.generation_id,
        request_id=started.request_id,
        model=started.model,
        warnings=warnings_from_proto(started.warnings),
    )


def _preview_event(preview: image_stream_pb2.ImagePreview, data: bytes | None) -> Preview:
    return Preview(
        index=preview.index,
        number=preview.number,
        image=image_from_proto(preview.image, data),
        metadata=metadata_from_proto(preview.metadata),
    )
