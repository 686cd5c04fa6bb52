"""What came of a generation: values made from the API's answers. Absent facts are None, never 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from imagegen._image import GeneratedImage
from imagegen._params import Metadata
from imagegen._reason import Billed, billed_from_number, reason_from_number
from imagegen._times import seconds_in, time_in
from imagegen.v1 import image_pb2

AttemptOutcome: TypeAlias = Literal["not_sent", "rejected", "ambiguous", "accepted", "unknown"]
"""How far one provider call came. "ambiguous": sent, and no answer tells what became of it."""

WarningReason: TypeAlias = str
"""What became of a wish: "IGNORED", "ADJUSTED", "OVERRIDDEN_BY_PARAMS", "UNKNOWN_FIELD", "MODEL_RETIRING",
"MASK_WITHOUT_EFFECT". A newer server may say others."""

_OUTCOMES: Mapping[int, AttemptOutcome] = {
    image_pb2.ATTEMPT_OUTCOME_NOT_SENT: "not_sent",
    image_pb2.ATTEMPT_OUTCOME_REJECTED: "rejected",
    image_pb2.ATTEMPT_OUTCOME_AMBIGUOUS: "ambiguous",
    image_pb2.ATTEMPT_OUTCOME_ACCEPTED: "accepted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFailure:
    """One image that will not come."""

    index: int
    """0-based, below the count asked for."""
    reason: str
    """A `Reason`, or the text of one that this client does not know."""
    message: str
    """For people."""
    billed: Billed
    """Whether this image was paid for."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Such as provider, model, stage, http_status, provider_code, provider_request_id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWarning:
    """Something asked for that was not done as asked."""

    field: str
    """Path in the request: "options.seed"."""
    reason: WarningReason
    """What became of it."""
    message: str
    """For people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Money known to be spent."""

    amount: float
    """In `currency`."""
    currency: str
    """ISO 4217 ("USD"), or "<provider>-credits"."""
    estimated: bool
    """True: worked out from the operator's price table. False: told by the provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUsage:
    """What is known of use."""

    images_generated: int | None = None
    """As billed or counted by the provider."""
    input_tokens: int | None = None
    """Tokens in."""
    output_tokens: int | None = None
    """Tokens out."""
    cost: Cost | None = None
    """None unless known for every attempt that may have been billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call to a provider."""

    provider: str
    """Its name in the server's configuration."""
    model: str
    """ "provider/model"."""
    outcome: AttemptOutcome
    """How far it came."""
    billed: Billed
    """Whether it was paid for."""
    reason: str | None
    """Why it failed: a `Reason` or unknown text. None = it did not."""
    http_status: int | None
    """The provider's. None = no response, or not an HTTP provider."""
    provider_request_id: str
    """For the provider's support. Empty = not told."""
    start_time: datetime | None
    """In UTC."""
    duration: float | None
    """In seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """What came of a generation: at least one image."""

    generation_id: str
    """For support."""
    request_id: str
    """The server's name for the wish."""
    model: str
    """The "provider/model" that made the images."""
    images: tuple[GeneratedImage, ...]
    """At least one, ordered by index."""
    failures: tuple[ImageFailure, ...] = ()
    """The images that will not come, ordered by index."""
    usage: ImageUsage | None = None
    """What is known. None = nothing."""
    warnings: tuple[ImageWarning, ...] = ()
    """What was not done as asked."""
    attempts: tuple[Attempt, ...] = ()
    """All provider calls, oldest first."""
    metadata: Metadata = field(default_factory=dict, hash=False)
    """What else the provider said of the whole answer, by provider name."""

    @property
    def image(self) -> GeneratedImage:
        """The first image: all there is when one was asked for."""
        return self.images[0]


def failure_from_proto(failure: image_pb2.ImageFailure) -> ImageFailure:
    """One image that will not come."""
    return ImageFailure(
        index=failure.index,
        reason=reason_from_number(failure.reason),
        message=failure.message,
        billed=billed_from_number(failure.billed),
        metadata=dict(failure.metadata),
    )


def warnings_from_proto(warnings: Iterable[image_pb2.Warning]) -> tuple[ImageWarning, ...]:
    """What was not done as asked, in the server's order."""
    return tuple(
        ImageWarning(field=warning.field, reason=_warning_reason(warning.reason), message=warning.message)
        for warning in warnings
    )


def cost_from_proto(cost: image_pb2.Cost) -> Cost:
    """Money, known to be spent or expected to be."""
    return Cost(amount=cost.amount, currency=cost.currency, estimated=cost.estimated)


def usage_from_proto(usage: image_pb2.ImageUsage) -> ImageUsage:
    """What is known of use."""
    return ImageUsage(
        images_generated=usage.images_generated if usage.HasField("images_generated") else None,
        input_tokens=usage.input_tokens if usage.HasField("input_tokens") else None,
        output_tokens=usage.output_tokens if usage.HasField("output_tokens") else None,
        cost=cost_from_proto(usage.cost) if usage.HasField("cost") else None,
    )


def attempt_from_proto(attempt: image_pb2.Attempt) -> Attempt:
    """One call to a provider."""
    return Attempt(
        provider=attempt.provider,
        model=attempt.model,
        outcome=_OUTCOMES.get(attempt.outcome, "unknown"),
        billed=billed_from_number(attempt.billed),
        reason=reason_from_number(attempt.reason) if attempt.reason else None,
        http_status=attempt.http_status if attempt.HasField("http_status") else None,
        provider_request_id=attempt.provider_request_id,
        start_time=time_in(attempt, "start_time"),
        duration=seconds_in(attempt, "duration"),
    )


def _warning_reason(number: int) -> WarningReason:
    value = image_pb2.DESCRIPTOR.enum_types_by_name["WarningReason"].values_by_number.get(number)
    return value.name.removeprefix("WARNING_REASON_") if value is not None else f"WARNING_REASON_{number}"
