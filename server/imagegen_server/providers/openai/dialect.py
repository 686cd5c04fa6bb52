"""What vendors that speak as OpenAI does say in their own words.

Sources of those of OpenAI: the error guide of platform.openai.com/docs, the OpenAPI document, and bodies that users of
the API reported.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from imagegen_server.domain.errors import Reason
from imagegen_server.domain.events import Report
from imagegen_server.domain.json import JsonObject

from .models import PARAM_OPTIONS
from .usage import report_of

REASONS: Mapping[str, Reason] = {
    "moderation_blocked": Reason.CONTENT_FILTERED,
    "content_policy_violation": Reason.CONTENT_FILTERED,
    "content_filter": Reason.CONTENT_FILTERED,
    "contentfilter": Reason.CONTENT_FILTERED,
    "insufficient_quota": Reason.QUOTA_EXCEEDED,
    "billing_hard_limit_reached": Reason.QUOTA_EXCEEDED,
    "billing_not_active": Reason.QUOTA_EXCEEDED,
    "credit_balance_exhausted": Reason.QUOTA_EXCEEDED,
    "organization_spend_limit_exceeded": Reason.QUOTA_EXCEEDED,
    "project_spend_limit_exceeded": Reason.QUOTA_EXCEEDED,
    "organization_usage_limit_exceeded": Reason.QUOTA_EXCEEDED,
    "rate_limit_exceeded": Reason.RATE_LIMITED,
    "rate_limit_error": Reason.RATE_LIMITED,
    "invalid_api_key": Reason.AUTHENTICATION_FAILED,
    "account_deactivated": Reason.AUTHENTICATION_FAILED,
    "model_not_found": Reason.MODEL_NOT_FOUND,
    "string_above_max_length": Reason.CONTEXT_LENGTH_EXCEEDED,
    "context_length_exceeded": Reason.CONTEXT_LENGTH_EXCEEDED,
    "server_overloaded": Reason.PROVIDER_UNAVAILABLE,
}
"""By the error's code or type, whichever is found first."""

FIELDS: Mapping[str, str] = {"prompt": "input.prompt", "image": "input.images", "mask": "input.mask", "model": "model"}
"""The vendor's fields that are neither options nor params, by what they are in a request to us."""


def error_in(payload: object) -> Mapping[str, object] | None:
    """Find the error in an answer or an event: an object with message, type, param and code; None = there is none."""
    if not isinstance(payload, Mapping):
        return None
    said = payload.get("error")
    if isinstance(said, Mapping):
        return said
    if isinstance(said, str) and said:
        return {"message": said} | {key: payload[key] for key in ("code", "type") if key in payload}
    if payload.get("type") == "error":
        return payload
    return None


def no_facts(_item: Mapping[str, object]) -> JsonObject:
    """Nothing is told of a single image."""
    return {}


def nothing_withheld(_item: Mapping[str, object]) -> bool:
    """No item tells that moderation has kept its picture back."""
    return False


def told_stage(said: Mapping[str, object]) -> str:
    """Tell whether the words or the picture were refused; "" = the vendor does not say, and older answers never do."""
    details = said.get("moderation_details")
    told = details.get("moderation_stage") if isinstance(details, Mapping) else None
    return str(told) if told in ("input", "output") else ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one vendor speaks. What is not said is as with OpenAI.

    `vendor` is how people call it. `reasons` are by the code or type of an error, in lower case; `words` are looked for
    in its message where these do not decide. `stage` tells which stage of moderation an error object is of, `withheld`
    of an item without a picture whether moderation has kept that back, `report` what an answer with so many images
    used, and `image_facts` what an item says of its image.
    `request_ids` are headers that may hold the id of a request; the first that is there counts.
    """

    vendor: str
    param_options: Mapping[str, str] = field(default_factory=lambda: PARAM_OPTIONS)
    fields: Mapping[str, str] = field(default_factory=lambda: FIELDS)
    reasons: Mapping[str, Reason] = field(default_factory=lambda: REASONS)
    words: tuple[tuple[re.Pattern[str], Reason], ...] = ()
    error_in: Callable[[object], Mapping[str, object] | None] = error_in
    stage: Callable[[Mapping[str, object]], str] = told_stage
    withheld: Callable[[Mapping[str, object]], bool] = nothing_withheld
    report: Callable[[Mapping[str, object], int], Report] = report_of
    image_facts: Callable[[Mapping[str, object]], JsonObject] = no_facts
    request_ids: tuple[str, ...] = ("x-request-id",)


OPENAI = Dialect("OpenAI")
