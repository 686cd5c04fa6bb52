"""Middleware that notes what it is told, and generations without an engine for it to see."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.result import (
    Attempt,
    AttemptOutcome,
    GeneratedImage,
    GenerationFailure,
    ImageResult,
    StoredImage,
)
from imagegen_server.domain.task import Operation, Options, Wish
from imagegen_server.generation.middleware import _HOOKS, Context, Middleware

LONG_AGO = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Notes:
    """What the hooks of several middleware were told, in order, as "name hook"."""

    lines: list[str] = field(default_factory=list)

    def __call__(self, one: Middleware, hook: str) -> None:
        """Add a line."""
        self.lines.append(f"{one.name} {hook}")


class Noting(Middleware):
    """Has every hook; notes each and changes nothing."""

    def __init__(self, name: str, notes: Notes) -> None:
        """Note into `notes`."""
        super().__init__(name)
        self.notes = notes


def _noting(hook: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def note(self: Noting, *told: Any) -> Any:
        event = told[1] if hook == "on_stream_event" else None
        what = type(event).__name__ if event else told[1].reason.name if hook == "on_error" else ""
        self.notes(self, f"{hook} {what}".rstrip())
        return event

    return note


for _hook in (*_HOOKS, "close"):
    setattr(Noting, _hook, _noting(_hook))


def wish(**changes: Any) -> Wish:
    """Wish for a picture."""
    return replace(Wish(Operation.GENERATE, "test/any", "a boat", Options()), **changes)


def context_of(asked: Wish | None = None, **changes: Any) -> Context:
    """Make the context of a generation that begins."""
    request = asked or wish()
    told: dict[str, Any] = {
        "operation": request.operation,
        "model": request.model,
        "provider": "",
        "streaming": True,
        "caller": "shop",
        "generation_id": "gen_abcdefgh_one",
        "request_id": "order 7",
        "request": request,
    }
    return Context(**(told | changes))


def attempt(**changes: Any) -> Attempt:
    """Make an attempt that was accepted."""
    told: dict[str, Any] = {
        "provider": "test",
        "model": "test/any",
        "outcome": AttemptOutcome.ACCEPTED,
        "billed": Billed.YES,
        "reason": None,
        "http_status": None,
        "provider_request_id": "req-1",
        "start_time": LONG_AGO,
        "duration": 1.5,
    }
    return Attempt(**(told | changes))


def generated(index: int, data: bytes = b"bytes", **changes: Any) -> GeneratedImage:
    """Make a finished image of 8 x 8 pixels."""
    stored = StoredImage(
        f"img_{index}", LONG_AGO + timedelta(minutes=15), ImageFacts("image/png", 8, 8, alpha=False), len(data), "ab"
    )
    return GeneratedImage(index, stored, **changes)


def result_of(*images: GeneratedImage, **changes: Any) -> ImageResult:
    """Make the result of a generation; none = one image."""
    told: dict[str, Any] = {
        "generation_id": "gen_abcdefgh_one",
        "request_id": "order 7",
        "model": "test/any",
        "images": images or (generated(0),),
        "failures": (),
        "usage": None,
        "warnings": (),
        "attempts": (attempt(),),
        "metadata": {},
    }
    return ImageResult(**(told | changes))


def finished(*images: GeneratedImage, **changes: Any) -> Finished:
    """End well."""
    return Finished(result_of(*images, **changes))


def broken(reason: Reason = Reason.PROVIDER_ERROR, **changes: Any) -> Broken:
    """End without an image."""
    told: dict[str, Any] = {"failures": (), "attempts": (attempt(reason=reason),), "usage": None} | changes
    return Broken(GenerationFailure("gen_abcdefgh_one", "order 7", **told), ImageError(reason, "it broke"))
