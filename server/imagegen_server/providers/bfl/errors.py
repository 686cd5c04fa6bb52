"""What the vendor's errors mean: refusals by HTTP, and tasks that ended without a picture.

Sources: docs.bfl.ai/api_integration/errors, help.bfl.ai on why requests fail, the vendor's notes on rate limits, and
bodies that users of the API reported: a wrong key is 403 or 422 by the form it is wrong in.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.retry_after import MOST_SECONDS, retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .models import PARAM_OPTIONS

_BY_WORDS = (
    (r"api[ _-]?key|x-key|not authenticated", Reason.AUTHENTICATION_FAILED),
    (r"insufficient credits|out of credits|payment required", Reason.QUOTA_EXCEEDED),
    (r"\bmoderat(?:ed|ion)\b|\bflagged\b", Reason.CONTENT_FILTERED),
)
"""What is looked for in the message of a refusal; the first that is found counts."""

_WORDS = tuple((re.compile(words, re.IGNORECASE), reason) for words, reason in _BY_WORDS)
_ENDED = {
    "request moderated": (Reason.CONTENT_FILTERED, "input", "moderation refused the request"),
    "content moderated": (Reason.CONTENT_FILTERED, "output", "moderation kept the picture back after it was drawn"),
    "error": (Reason.PROVIDER_ERROR, "", "the task failed"),
    "failed": (Reason.PROVIDER_ERROR, "", "the task failed"),
}
"""Statuses of a task that will not have a picture. "Failed" stands in the vendor's examples alone."""

_FIELDS = {
    "prompt": "input.prompt",
    "mask": "input.mask",
    "image": "input.images[0]",
    "image_prompt": "input.images[0]",
    "person": "input.images[0]",
    "garment": "input.images[1]",
    "width": "options.size",
    "height": "options.size",
}
_INPUT_IMAGE = re.compile(r"input_image(?:_(\d{1,2}))?")
_MOST_CREDITS = 10**9
_MOST_LISTED = 20
"""Entries of a list that are read."""


def status_of(payload: Mapping[str, object]) -> str:
    """Tell the status of a task in lower case; "" = none is told. `state` is what some answers call it."""
    status = payload.get("status") or payload.get("state")
    return status.lower() if isinstance(status, str) else ""


def credits_of(payload: Mapping[str, object]) -> float | None:
    """Tell what a task costs, in credits; None = not told."""
    cost = payload.get("cost")
    plain = isinstance(cost, int | float) and not isinstance(cost, bool)
    return float(cost) if plain and isinstance(cost, int | float) and 0 <= cost < _MOST_CREDITS else None


def tells_of_task(body: bytes) -> bool:
    """Tell whether the body of a refusal is a task that ended: of those, too, HTTP 422 was reported."""
    return status_of(read_object(body)) in _ENDED


def error_of_task(context: ErrorContext, payload: Mapping[str, object]) -> ImageError | None:
    """Say why a task has ended without a picture; None = it has not.

    What moderation stopped is not charged, says the vendor; a cost that the answer tells counts all the same.
    """
    ended = _ENDED.get(status_of(payload))
    if ended is None:
        return None
    reason, stage, what = ended
    told = credits_of(payload)
    billed = Billed.NO if reason is Reason.CONTENT_FILTERED else None
    if told is not None:
        billed = Billed.YES if told else Billed.NO
    why = context.clean(_why(payload))
    code = str(payload.get("status") or payload.get("state"))
    return context.told(reason, f"{what}{f': {why}' if why else ''}", code=code, billed=billed, stage=stage)


def error_of_question(context: ErrorContext, body: bytes) -> ImageError:
    """Read the refusal to tell of a task, which is no fault of whoever wants the picture."""
    return error_of_answer(context, body, about_task=True)


def error_of_answer(context: ErrorContext, body: bytes, *, about_task: bool = False) -> ImageError:
    """Read the answer to a request that failed. `about_task`: it asked after one, and wanted nothing of a model."""
    payload = read_object(body)
    if error := error_of_task(context, payload):
        return error
    detail, code = payload.get("detail"), _text(payload.get("error"))
    entries = [entry for entry in detail[:_MOST_LISTED] if isinstance(entry, Mapping)] if _is_list(detail) else []
    told = [": ".join(filter(None, (_path(entry), _text(entry.get("msg"))))) for entry in entries]
    text = "; ".join(told) or _text(detail) or _text(payload.get("message")) or code
    if not text:
        return context.unreadable()
    # Cleaned first: the caller's words must not decide what is wrong.
    message = context.clean(text)
    reason = reason_of(context.status)
    if reason in (Reason.INVALID_REQUEST, Reason.PROVIDER_ERROR, Reason.AUTHENTICATION_FAILED):
        reason = next((found for words, found in _WORDS if words.search(message)), reason)
    if about_task and reason in (Reason.MODEL_NOT_FOUND, Reason.INVALID_REQUEST):
        reason = Reason.PROVIDER_ERROR
    if reason is Reason.MODEL_NOT_FOUND:
        message += f" ({context.host} answered 404: it has no such model, or base_url is wrong)"
    return context.told(
        reason,
        message,
        code=code or next((_text(entry.get("type")) for entry in entries), ""),
        billed=Billed.NO if surely_refused(context.status) else None,
        stage="input" if reason is Reason.CONTENT_FILTERED else "",
        wait=_wait(context, payload, text),
        violations=[_violation(context, entry) for entry in entries],
    )


def _why(payload: Mapping[str, object]) -> str:
    """Find the words that say why: under `details`, else in the places where older answers have them."""
    details, result = payload.get("details"), payload.get("result")
    places: list[object] = []
    if isinstance(details, Mapping):
        reasons = details.get("Moderation Reasons")
        listed = [_text(reason) for reason in reasons[:_MOST_LISTED]] if _is_list(reasons) else [_text(reasons)]
        places += [", ".join(reason for reason in listed if reason), details.get("error"), details.get("message")]
    if isinstance(result, Mapping):
        places.append(result.get("error"))
    places += [payload.get("error"), payload.get("message")]
    return next((text for place in places if (text := _text(place))), "")


def _wait(context: ErrorContext, payload: Mapping[str, object], text: str) -> float | None:
    """Find the wait in seconds: in a header, in the body, or in words."""
    if (wait := retry_after(context.headers)) is not None:
        return wait
    told = payload.get("retry_after")
    if isinstance(told, int | float) and not isinstance(told, bool) and told >= 0:
        return float(min(told, MOST_SECONDS))
    return wait_in_text(text)


def _violation(context: ErrorContext, entry: Mapping[str, object]) -> Violation:
    """Name the field as the caller knows it."""
    place = entry.get("loc")
    loc = list(place) if _is_list(place) else []
    name = next((part for part in loc if isinstance(part, str) and part not in ("body", "query", "path")), "")
    number = next((part for part in loc if isinstance(part, int)), None)
    return Violation(_field(context, name, number), context.clean(_text(entry.get("msg"))) or "is wrong")


def _field(context: ErrorContext, name: str, number: int | None) -> str:
    if name in PARAM_OPTIONS:
        return f"options.{PARAM_OPTIONS[name]}"
    if found := _INPUT_IMAGE.fullmatch(name):
        return f"input.images[{int(found[1] or 1) - 1}]"
    if name == "images":
        return "input.images" if number is None else f"input.images[{number}]"
    return _FIELDS.get(name) or (f"params.{context.provider}.{context.name(name)}" if name else "params")


def _path(entry: Mapping[str, object]) -> str:
    place = entry.get("loc")
    return ".".join(str(part) for part in place if part != "body") if _is_list(place) else ""


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
