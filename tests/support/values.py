"""Finished values of the domain, for tests of the rooms that pass them on."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, ImageFinished, PreviewShown
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.result import (
    Attempt,
    AttemptOutcome,
    GeneratedImage,
    GenerationFailure,
    ImageResult,
    StoredImage,
)

PNG = ImageFacts("image/png", 8, 6, alpha=False)
NOON = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def stored(size: int = 10, image_id: str = "img_a_b") -> StoredImage:
    """Name an image of so many bytes."""
    return StoredImage(image_id, NOON, PNG, size, "0" * 64)


def generated(index: int = 0, size: int = 10, **more: Any) -> GeneratedImage:
    """Make a finished image of so many bytes."""
    return GeneratedImage(index, stored(size, f"img_a_{index}"), **more)


def finished(index: int = 0, size: int = 10) -> ImageFinished:
    """Finish an image in a log."""
    return ImageFinished(generated(index, size), bytes(size))


def preview(
    index: int = 0, number: int = 1, data: bytes = b"preview", metadata: Mapping[str, Any] | None = None
) -> PreviewShown:
    """Show a preview in a log."""
    return PreviewShown(index, number, PNG, data, metadata or {})


def result(*images: GeneratedImage, **more: Any) -> ImageResult:
    """Make a result of these images; none = one."""
    values: dict[str, Any] = {
        "generation_id": "gen_a_b",
        "request_id": "req_a_b",
        "model": "test/any",
        "images": images or (generated(),),
        "failures": (),
        "usage": None,
        "warnings": (),
        "attempts": (),
        "metadata": {},
    }
    return ImageResult(**values | more)


def end() -> Finished:
    """End a log well."""
    return Finished(result())


def break_off(error: ImageError | None = None) -> Broken:
    """End a log without an image."""
    error = error or ImageError(Reason.PROVIDER_ERROR, "it broke")
    return Broken(failed(Failure(0, error)), error)


def failed(*failures: Failure, attempts: tuple[Attempt, ...] = ()) -> GenerationFailure:
    """Make the failure of a whole generation."""
    return GenerationFailure("gen_a_b", "req_a_b", failures, attempts, None)


def attempt(**changes: Any) -> Attempt:
    """Make an attempt that failed."""
    values: dict[str, Any] = {
        "provider": "test",
        "model": "test/any",
        "outcome": AttemptOutcome.AMBIGUOUS,
        "billed": Billed.UNKNOWN,
        "reason": Reason.PROVIDER_ERROR,
        "http_status": 500,
        "provider_request_id": "req-1",
        "start_time": NOON,
        "duration": 1.5,
    }
    return Attempt(**values | changes)
