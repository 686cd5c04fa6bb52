"""The events of a generation, as a reader of a stream gets them: images arrive whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from imagegen._image import GeneratedImage, Image
from imagegen._params import Metadata
from imagegen._result import ImageFailure, ImageWarning
from imagegen._times import seconds_in
from imagegen.v1 import image_stream_pb2

Phase: TypeAlias = Literal["queued", "sending", "generating", "receiving", "retrying", "unknown"]
"""What is being done: waiting for a turn, sending the request, the provider at work, its answer coming in, waiting
before another attempt."""

_PHASES: dict[int, Phase] = {
    image_stream_pb2.PHASE_QUEUED: "queued",
    image_stream_pb2.PHASE_SENDING: "sending",
    image_stream_pb2.PHASE_GENERATING: "generating",
    image_stream_pb2.PHASE_RECEIVING: "receiving",
    image_stream_pb2.PHASE_RETRYING: "retrying",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The generation exists, and nothing was spent before this."""

    generation_id: str
    """For support."""
    request_id: str
    """The server's name for the wish."""
    model: str
    """The "provider/model" tried first; the result tells which one it was."""
    warnings: tuple[ImageWarning, ...] = ()
    """What will not be done as asked, as far as it is known before anything is spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """News without pixels; also the heartbeat, at least every 10 seconds."""

    phase: Phase
    """What is being done."""
    index: int | None = None
    """The image it is about. None = all of them."""
    fraction: float | None = None
    """0 to 1. None = unknown."""
    step: int | None = None
    """Steps done. None = unknown."""
    steps: int | None = None
    """Steps in all. None = unknown."""
    queue_position: int | None = None
    """Calls waiting ahead; 0 = next. None = not waiting, or unknown."""
    remaining: float | None = None
    """Seconds still to go. None = unknown."""
    elapsed: float | None = None
    """Seconds since the generation started."""
    model: str = ""
    """The "provider/model" being tried. Empty = as told before."""
    message: str = ""
    """For people. Empty = nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A picture that is not finished, whole as far as it goes."""

    index: int
    """The image it is a preview of."""
    number: int
    """Counts the previews of this index from 1."""
    image: Image
    """The picture; without id, digest and expiry, as it cannot be read again."""
    metadata: Metadata = field(default_factory=dict, hash=False)
    """What else the provider said of it, by provider name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """A finished image; its size and SHA-256 were checked if its bytes came with it."""

    image: GeneratedImage
    """The image."""

    @property
    def index(self) -> int:
        """0-based, below the count asked for."""
        return self.image.index


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """One image will not come; others may."""

    failure: ImageFailure
    """Why."""

    @property
    def index(self) -> int:
        """0-based, below the count asked for."""
        return self.failure.index


ImageEvent: TypeAlias = Started | Progress | Preview | Complete | Failed
"""One step of a generation."""


def progress_from_proto(progress: image_stream_pb2.Progress) -> Progress:
    """News without pixels."""
    return Progress(
        phase=_PHASES.get(progress.phase, "unknown"),
        index=progress.index if progress.HasField("index") else None,
        fraction=progress.fraction if progress.HasField("fraction") else None,
        step=progress.step if progress.HasField("step") else None,
        steps=progress.steps if progress.HasField("steps") else None,
        queue_position=progress.queue_position if progress.HasField("queue_position") else None,
        remaining=seconds_in(progress, "remaining"),
        elapsed=seconds_in(progress, "elapsed"),
        model=progress.model,
        message=progress.message,
    )
