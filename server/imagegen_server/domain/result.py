"""What came of a generation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from .errors import Billed, Failure, Reason
from .image import ImageFacts
from .json import JsonObject


class WarningReason(Enum):
    """What became of a wish. The numbers are those of the proto enum WarningReason."""

    IGNORED = 1
    ADJUSTED = 2
    OVERRIDDEN_BY_PARAMS = 3
    UNKNOWN_FIELD = 4
    MODEL_RETIRING = 5
    MASK_WITHOUT_EFFECT = 6


@dataclass(frozen=True, slots=True)
class Warning:
    """Something asked for that is not done as asked. `field` is the path in the request."""

    field: str
    reason: WarningReason
    message: str


class AttemptOutcome(Enum):
    """How far one provider call came. The numbers are those of the proto enum AttemptOutcome."""

    NOT_SENT = 1
    REJECTED = 2
    AMBIGUOUS = 3
    ACCEPTED = 4


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to a provider. `duration` in seconds; `reason` None = it did not fail."""

    provider: str
    model: str
    outcome: AttemptOutcome
    billed: Billed
    reason: Reason | None
    http_status: int | None
    provider_request_id: str
    start_time: datetime
    duration: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Money known to be spent."""

    amount: float
    currency: str
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class TokenKinds:
    """How tokens divide into kinds that have prices of their own. None = not told."""

    input_text: int | None = None
    input_image: int | None = None
    output_text: int | None = None
    output_image: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of use. None = unknown, never 0."""

    images_generated: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Cost | None = None
    kinds: TokenKinds = TokenKinds()


@dataclass(frozen=True, slots=True)
class StoredImage:
    """Facts of an image whose bytes lie in the store under `image_id` until `expire_time`.

    `metadata` is what the provider that made it said of it, by provider name, for a later edit.
    """

    image_id: str
    expire_time: datetime
    facts: ImageFacts
    size_bytes: int
    sha256: str
    metadata: Mapping[str, JsonObject] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """One finished image. `metadata` is the provider's own, by provider name."""

    index: int
    image: StoredImage
    revised_prompt: str | None = None
    seed: int | None = None
    metadata: Mapping[str, JsonObject] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What came of a generation that made at least one image."""

    generation_id: str
    request_id: str
    model: str
    images: tuple[GeneratedImage, ...]
    failures: tuple[Failure, ...]
    usage: Usage | None
    warnings: tuple[Warning, ...]
    attempts: tuple[Attempt, ...]
    metadata: Mapping[str, JsonObject]


@dataclass(frozen=True, slots=True)
class GenerationFailure:
    """What came of a generation that made no image."""

    generation_id: str
    request_id: str
    failures: tuple[Failure, ...]
    attempts: tuple[Attempt, ...]
    usage: Usage | None
