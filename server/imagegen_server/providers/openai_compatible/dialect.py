"""What the errors and the facts of such servers look like: theirs are OpenAI's, those of their web framework, or bare.

Sources: those of `settings.py`, and bodies that users of these servers reported.
"""

import re
from collections.abc import Mapping
from functools import partial

from imagegen_server.domain.errors import Reason
from imagegen_server.domain.events import Report
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Cost, Usage
from imagegen_server.providers.openai.dialect import FIELDS, REASONS, Dialect
from imagegen_server.providers.openai.dialect import error_in as openai_error_in
from imagegen_server.providers.openai.usage import report_of as openai_report_of

from .settings import Switches

_OWN = {
    "not_enough_credits": Reason.QUOTA_EXCEEDED,
    "insufficient_credits": Reason.QUOTA_EXCEEDED,
    "nsfw": Reason.CONTENT_FILTERED,
    "nsfw_content_detected": Reason.CONTENT_FILTERED,
    "model_not_available": Reason.MODEL_NOT_FOUND,
}
_WORDS = tuple(
    (re.compile(words, re.IGNORECASE | re.DOTALL), reason)
    for words, reason in (
        (
            r"\bnsfw\b|moderation|content polic|safety (?:system|check|filter)|sensitive content|prohibited content",
            Reason.CONTENT_FILTERED,
        ),
        (
            r"(?:not enough|insufficient) (?:credits|units|balance|funds|quota)|out of credits|credit limit",
            Reason.QUOTA_EXCEEDED,
        ),
        (
            r"(?:invalid|incorrect|missing|no) (?:api.?key|access token|api token)|\bunauthori[sz]ed\b",
            Reason.AUTHENTICATION_FAILED,
        ),
        (
            r"model mismatch|(?:could not load|unable to access) model|\bmodel\b.{0,200}(?:not found|does not exist)",
            Reason.MODEL_NOT_FOUND,
        ),
        (r"rate limit|too many requests|queue is full", Reason.RATE_LIMITED),
        (r"overloaded|at capacity|not initialized|is (?:still )?loading", Reason.PROVIDER_UNAVAILABLE),
    )
)
"""What is looked for where neither code nor type decides; the first that is found counts."""

_IMAGE_FIELDS = ("image", "image[]", "images", "image_url", "reference_images", "file", "files", "ref_images", "url")
_FACTS = ("id", "model", "inference_time_s")
_LONGEST_WORD = 100
_MOST_NUMBER = 2**53
_MOST_CREDITS = 10**12
_MOST_DETAILS = 5


def dialect_of(name: str, switches: Switches, param_options: Mapping[str, str]) -> Dialect:
    """Make the dialect of one server. `param_options` are the fields that say what an option says."""
    sides = dict.fromkeys(("width", "height"), "size") if switches.size == "width_height" else {}
    return Dialect(
        name,
        param_options={**param_options, **sides},
        fields={
            **FIELDS,
            **dict.fromkeys((*_IMAGE_FIELDS, switches.image_field, switches.images_field), "input.images"),
            switches.mask_field: "input.mask",
        },
        reasons={**REASONS, **_OWN},
        words=_WORDS,
        error_in=error_in,
        report=partial(_report, switches.credits_per_usd),
        request_ids=("x-request-id", "request-id"),
    )


def error_in(payload: object) -> Mapping[str, object] | None:
    """Find the error in an answer or an event; None = there is none.

    Besides OpenAI's: `{"error": code, "message"}`, `{"code", "message"}`, and `{"detail"}` as FastAPI says it.
    """
    if not isinstance(payload, Mapping):
        return None
    told = payload.get("message")
    if isinstance(payload.get("error"), str) and isinstance(told, str) and told:
        return {**payload, "code": payload.get("code") or payload["error"]}
    if (said := openai_error_in(payload)) is not None:
        return said
    if "data" in payload:
        return None
    if "detail" in payload:
        return _detail(payload["detail"])
    return payload if isinstance(told, str) and told else None


def _detail(detail: object) -> Mapping[str, object]:
    if isinstance(detail, Mapping):
        return openai_error_in(detail) or detail
    if not isinstance(detail, list):
        return {"message": detail}
    # What was sent stands beside `msg`, and is not repeated.
    found = [item for item in detail[:_MOST_DETAILS] if isinstance(item, Mapping)]
    places = [_place(item.get("loc")) for item in found]
    parts = [
        ": ".join(filter(None, (place, str(item.get("msg") or "")))) for place, item in zip(places, found, strict=True)
    ]
    return {"message": "; ".join(filter(None, parts)), "param": places[0] if places else ""}


def _place(loc: object) -> str:
    """Name the field at ["body", "prompt"], or ["body", "images", 0, "url"]."""
    names = [str(part) for part in loc if part not in ("body", "query")] if isinstance(loc, list) else []
    return ".".join(names)


def _report(credits_per_usd: float, payload: Mapping[str, object], images: int) -> Report:
    """Tell the tokens as OpenAI does, and what the request cost where credits are told."""
    report = openai_report_of(payload, images)
    facts: dict[str, JsonValue] = dict(report.metadata)
    facts |= {name: value for name in _FACTS if (value := _fact(payload.get(name))) is not None}
    usage = report.usage or Usage(images_generated=images)
    return Report(_with_cost(usage, payload.get("credits"), credits_per_usd), facts)


def _fact(value: object) -> str | float | None:
    """Keep what a result can hold: short words, and numbers that a double holds."""
    if isinstance(value, str):
        return value if 0 < len(value) <= _LONGEST_WORD else None
    told = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST_NUMBER
    return value if told and isinstance(value, int | float) else None


def _with_cost(usage: Usage, told: object, credits_per_usd: float) -> Usage:
    known = isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told < _MOST_CREDITS
    if not known or not credits_per_usd or not isinstance(told, int | float):
        return usage
    return Usage(
        images_generated=usage.images_generated,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=Cost(told / credits_per_usd, "USD"),
        kinds=usage.kinds,
    )
