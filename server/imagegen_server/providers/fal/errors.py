"""What the vendor's errors mean.

Its platform says `{"detail": "...", "error_type": "..."}`, a model `{"detail": [{"loc", "msg", "type"}]}`.

Sources: fal.ai/docs on model errors, request errors, retries and the FAQ (5xx are never charged, a 422 may be), and
bodies that users of the API reported.
"""

import re
from collections.abc import Mapping, Sequence

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .inputs import IMAGE_FIELDS, MASK_FIELDS, PARAM_OPTIONS

REQUEST_ID = "x-fal-request-id"
_ERROR_TYPE = "x-fal-error-type"

_REASONS = {
    "content_policy_violation": Reason.CONTENT_FILTERED,
    "generation_timeout": Reason.TIMEOUT,
    "request_timeout": Reason.TIMEOUT,
    "startup_timeout": Reason.PROVIDER_UNAVAILABLE,
    "downstream_service_error": Reason.PROVIDER_ERROR,
    "downstream_service_unavailable": Reason.PROVIDER_UNAVAILABLE,
    "internal_server_error": Reason.PROVIDER_ERROR,
    "internal_error": Reason.PROVIDER_ERROR,
    "no_media_generated": Reason.PROVIDER_ERROR,
    "runner_server_error": Reason.PROVIDER_ERROR,
    "client_cancelled": Reason.PROVIDER_ERROR,
    "client_disconnected": Reason.PROVIDER_ERROR,
}
"""By the type of an error. Those of the platform that begin with `runner_` are PROVIDER_UNAVAILABLE."""

_BY_WORDS = (
    (r"exhausted balance|\btop[ _]?up\b|insufficient (?:funds|credits|balance)", Reason.QUOTA_EXCEEDED),
    (r"user is locked|no user found|authentication is required|invalid (?:api )?key", Reason.AUTHENTICATION_FAILED),
    (r"content[ _]polic|content checker|\bnsfw\b|safety (?:system|checker|filter)|moderation", Reason.CONTENT_FILTERED),
    (r"(?:application|path|model|endpoint)\b.{0,200}\bnot found", Reason.MODEL_NOT_FOUND),
    (r"concurrent requests|rate limit|too many requests", Reason.RATE_LIMITED),
)
"""What is looked for in a message of the platform, or of a model whose errors have no type."""

_WORDS = tuple((re.compile(words, re.IGNORECASE | re.DOTALL), reason) for words, reason in _BY_WORDS)
_CHECKED = re.compile(
    r"missing|one_of|multiple_of|feature_not_supported|(?:greater|less)_than(?:_equal)?|sequence_too_(?:long|short)|"
    r"\w+_(?:type|parsing)|enum|literal_error|string_\w+|url_\w+|extra_forbidden"
)
"""Types of what is found in the fields alone, before anything is drawn. `value_error` may be anything."""

_CLIENT_ERROR, _UNPROCESSABLE, _SERVER_ERROR = 400, 422, 500
_STILL = "still in progress"
_MOST_LISTED = 20
"""Entries of a list that are read."""


def tells_of_work(body: bytes, *, failed: bool) -> bool:
    """Tell whether the body of a refusal is what became of the work, and not trouble of asking for it.

    `failed`: the work is known to have failed, so that plain words tell of it, too.
    """
    payload = read_object(body)
    detail = payload.get("detail")
    typed = isinstance(detail, list) or bool(payload.get("error_type"))
    return bool(detail) and (failed or typed or still_in_progress(payload))


def still_in_progress(payload: Mapping[str, object]) -> bool:
    """Tell whether one of the vendor's copies does not know yet that the work has ended."""
    return _STILL in _text(payload.get("detail"))


def error_of_answer(context: ErrorContext, body: bytes, *, accepted: bool = True) -> ImageError:
    """Read the answer to a request that failed; `accepted`: the vendor had taken the work on before."""
    if error := error_in(context, read_object(body), accepted=accepted):
        return error
    error = context.unreadable()
    # Of what became of the work such an answer says nothing.
    return error.with_billed(Billed.UNKNOWN) if accepted else error


def error_in(context: ErrorContext, payload: Mapping[str, object], *, accepted: bool = True) -> ImageError | None:
    """Find the error that an object is, whatever the status of its answer; None = it is none, or says nothing."""
    failed = context.status >= _CLIENT_ERROR
    # Without a failure a message is news of the work.
    entries = _entries(payload.get("detail") or payload.get("error") or (payload.get("message") if failed else None))
    if not entries:
        return None
    kind = _text(payload.get("error_type")) or context.headers.get(_ERROR_TYPE, "")
    code = _text(entries[0].get("type")) or kind
    # Cleaned first: the caller's words must not decide what is wrong.
    message = context.clean("; ".join(filter(None, (_text(entry.get("msg")) for entry in entries))) or code)
    if not message:
        return None
    status = context.status if failed else 0
    reason = _reason(code, message, status)
    wait = retry_after(context.headers)
    return context.told(
        reason,
        message,
        code=code,
        billed=_billed(reason, code, status, accepted=accepted),
        stage="input" if reason is Reason.CONTENT_FILTERED and _names_field(entries[0]) else "",
        wait=wait_in_text(message) if wait is None else wait,
        violations=_violations(context, entries),
    )


def _entries(told: object) -> list[Mapping[str, object]]:
    """Read a message, an error, or a list of them."""
    if isinstance(told, str):
        return [{"msg": told}] if told else []
    if isinstance(told, Mapping):
        return [{"msg": told.get("message"), **told}]
    if isinstance(told, Sequence):
        return [entry if isinstance(entry, Mapping) else {"msg": entry} for entry in told[:_MOST_LISTED]]
    return []


def _reason(code: str, message: str, status: int) -> Reason:
    if code in _REASONS:
        return _REASONS[code]
    if code.startswith("runner_"):
        return Reason.PROVIDER_UNAVAILABLE
    if not code or not _CHECKED.fullmatch(code):
        found = next((reason for words, reason in _WORDS if words.search(message)), None)
        if found:
            return found
    if status == 504:  # noqa: PLR2004 - a proxy's patience, or the vendor's
        return Reason.TIMEOUT
    if not status:
        return Reason.INVALID_REQUEST if _CHECKED.fullmatch(code) else Reason.PROVIDER_ERROR
    return reason_of(status)


def _billed(reason: Reason, code: str, status: int, *, accepted: bool) -> Billed:
    """Tell what the vendor says of its bills: nothing for 5xx; what a model refuses may have been worked on."""
    free = (Reason.QUOTA_EXCEEDED, Reason.AUTHENTICATION_FAILED, Reason.MODEL_NOT_FOUND, Reason.RATE_LIMITED)
    if status >= _SERVER_ERROR or reason in free or _CHECKED.fullmatch(code):
        return Billed.NO
    by_a_model = status == _UNPROCESSABLE or code in _REASONS
    return Billed.NO if surely_refused(status) and not accepted and not by_a_model else Billed.UNKNOWN


def _names_field(entry: Mapping[str, object]) -> bool:
    return len(_place(entry)) > 1


def _place(entry: Mapping[str, object]) -> list[str | int]:
    """Read where an error is: ["body", "image_urls", 0]."""
    place = entry.get("loc")
    return [step for step in place if isinstance(step, str | int)] if isinstance(place, list) else []


def _violations(context: ErrorContext, entries: Sequence[Mapping[str, object]]) -> list[Violation]:
    """Name the fields as the caller knows them."""
    return [
        Violation(field, context.clean(_text(entry.get("msg"))) or context.name(_text(entry.get("type"))))
        for entry in entries
        if (field := _field(context, _place(entry)[1:]))
    ]


def _field(context: ErrorContext, steps: list[str | int]) -> str:
    if not steps:
        return ""
    name = context.name(str(steps[0]))
    if name == "prompt":
        return "input.prompt"
    if name in IMAGE_FIELDS:
        return f"input.images[{steps[1]}]" if len(steps) > 1 and isinstance(steps[1], int) else "input.images"
    if name in MASK_FIELDS:
        return "input.mask"
    if name in PARAM_OPTIONS:
        return f"options.{PARAM_OPTIONS[name]}"
    return f"params.{context.provider}.{'.'.join(context.name(str(step)) for step in steps)}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
