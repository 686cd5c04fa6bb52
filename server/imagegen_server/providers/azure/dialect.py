"""What Azure says in its own words.

Sources: the reference and the page on content filters of learn.microsoft.com/azure/ai-foundry/openai, and bodies that
users of the API reported. Codes are names ("DeploymentNotFound") or the status again ("401"); a gateway in front says
`{"statusCode", "message"}`.
"""

import re
from collections.abc import Mapping

from imagegen_server.domain.errors import Reason
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.providers.openai.dialect import REASONS, Dialect, error_in, told_stage

_OWN = {
    "responsibleaipolicyviolation": Reason.CONTENT_FILTERED,
    "deploymentnotfound": Reason.MODEL_NOT_FOUND,
    "quotaexceeded": Reason.QUOTA_EXCEEDED,
    "toomanyrequests": Reason.RATE_LIMITED,
    "ratelimitreached": Reason.RATE_LIMITED,
    "permissiondenied": Reason.AUTHENTICATION_FAILED,
    "nocapacity": Reason.PROVIDER_UNAVAILABLE,
    "serviceunavailable": Reason.PROVIDER_UNAVAILABLE,
}
_WORDS = (
    # The operator's setting, which no caller can mend.
    (
        re.compile(r"\bapi.?version\b.*(?:not supported|unsupported|invalid|missing)", re.IGNORECASE),
        Reason.PROVIDER_ERROR,
    ),
)
_INNER = ("inner_error", "innererror")
_RESULTS = ("content_filter_results", "prompt_filter_results")
_FOUND = (*_RESULTS, "content_filter_result")
_MOST_CATEGORIES = 20
_LONGEST_WORD = 100
_DRAWN = re.compile(r"generated (?:image|content)|\boutput\b", re.IGNORECASE)


def _error_in(payload: object) -> Mapping[str, object] | None:
    """Find the error, with the code of the inner one where that says more."""
    said = error_in(payload)
    if said is None:
        if isinstance(payload, Mapping) and "statusCode" in payload and isinstance(payload.get("message"), str):
            return {"message": payload["message"], "code": payload["statusCode"]}
        return None
    inner = _inner(said).get("code")
    known = str(said.get("code")).lower() in AZURE.reasons
    return {**said, "code": inner} if isinstance(inner, str) and inner and not known else said


def _stage(said: Mapping[str, object]) -> str:
    """Tell which filter it was: that of the picture says so, that of the words tells what it found in them."""
    if told := told_stage(said):
        return told
    if _DRAWN.search(str(said.get("message"))):
        return "output"
    inner = _inner(said)
    return "input" if any(isinstance(where.get(name), Mapping) for where in (inner, said) for name in _FOUND) else ""


def _inner(said: Mapping[str, object]) -> Mapping[str, object]:
    return next((inner for name in _INNER if isinstance(inner := said.get(name), Mapping)), {})


def _image_facts(item: Mapping[str, object]) -> JsonObject:
    """Keep what the filters found in an image and in its words."""
    return {name: found for name in _RESULTS if (found := _categories(item.get(name)))}


def _withheld(item: Mapping[str, object]) -> bool:
    found = _categories(item.get("content_filter_results"))
    return any(isinstance(verdict, dict) and verdict.get("filtered") is True for verdict in found.values())


def _categories(results: object) -> dict[str, JsonValue]:
    if not isinstance(results, Mapping):
        return {}
    return {
        str(category)[:_LONGEST_WORD]: {
            key: value if isinstance(value, bool) else str(value)[:_LONGEST_WORD]
            for key in ("filtered", "detected", "severity")
            if isinstance(value := verdict.get(key), bool | str)
        }
        for category, verdict in list(results.items())[:_MOST_CATEGORIES]
        if isinstance(verdict, Mapping)
    }


AZURE = Dialect(
    "Azure OpenAI",
    reasons={**REASONS, **_OWN},
    words=_WORDS,
    error_in=_error_in,
    stage=_stage,
    image_facts=_image_facts,
    withheld=_withheld,
    request_ids=("apim-request-id", "x-ms-request-id", "x-request-id"),
)
