"""What happens in a generation: what a provider yields, and what the log of a generation holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from .errors import Failure, ImageError
from .image import ImageFacts
from .json import JsonObject
from .result import Attempt, GeneratedImage, GenerationFailure, ImageResult, Usage, Warning


class Phase(Enum):
    """What is being done. The numbers are those of the proto enum Phase."""

    QUEUED = 1
    SENDING = 2
    GENERATING = 3
    RECEIVING = 4
    RETRYING = 5


@dataclass(frozen=True, slots=True)
class Progress:
    """News without pixels; from a provider and in the log. None = unknown; `remaining` in seconds.

    `index` counts the images of the provider's task from 0 and those of the whole generation in the log;
    None = all of them.
    """

    phase: Phase = Phase.GENERATING
    index: int | None = None
    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    queue_position: int | None = None
    remaining: float | None = None
    model: str = ""
    message: str = ""


# What a provider yields, besides Progress. Indices count the images of its task from 0.


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture that is not finished."""

    index: int
    data: bytes
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Complete:
    """A finished picture. The bytes decide its type. `metadata` is the provider's own, without its name."""

    index: int
    data: bytes
    revised_prompt: str | None = None
    seed: int | None = None
    metadata: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """One picture of the task will not come, while others may. When none can, a provider raises the ImageError."""

    index: int
    error: ImageError


@dataclass(frozen=True, slots=True)
class Report:
    """Facts of the whole answer, at any time; the last one counts.

    `warnings` are about what was not done as asked and could not be known before. `attempts` are calls that a provider
    of providers has made; they stand in the place of the call to it, and `usage` is that of all of them. `model` is the
    one that made the images, without the provider's name; "" = the one that was asked for.
    """

    usage: Usage | None = None
    metadata: JsonObject = field(default_factory=dict)
    warnings: tuple[Warning, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    model: str = ""


# What the log of a generation holds, besides Progress. Indices count the images of the whole generation.


@dataclass(frozen=True, slots=True)
class Started:
    """The first entry of every log."""

    generation_id: str
    request_id: str
    model: str
    warnings: tuple[Warning, ...]


@dataclass(frozen=True, slots=True)
class PreviewShown:
    """A preview; `number` counts those of its index from 1. `metadata` by provider name."""

    index: int
    number: int
    facts: ImageFacts
    data: bytes
    metadata: Mapping[str, JsonObject]


@dataclass(frozen=True, slots=True)
class ImageFinished:
    """A finished image. Its bytes are in the store too, which may forget them before the last reader has them."""

    generated: GeneratedImage
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """One image will not come."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Finished:
    """The last entry of a generation that made at least one image."""

    result: ImageResult


@dataclass(frozen=True, slots=True)
class Broken:
    """The last entry of a generation that made none. Readers see an error status instead of an event."""

    failure: GenerationFailure
    error: ImageError


ProviderEvent = Progress | Preview | Complete | Failed | Report
LogEvent = Started | Progress | PreviewShown | ImageFinished | ImageFailed | Finished | Broken
