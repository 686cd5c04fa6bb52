"""What the vendor's errors mean: refusals by HTTP, and predictions that ended without a picture.

A refusal is `{"title", "detail", "status", "invalid_fields"}`, a prediction that failed has words in `error`, with a
code in them if the author of the model, or the vendor, took care of it.

Sources: replicate.com/docs (error codes, rate limits, billing, lifecycle), and bodies that users of the API reported.
"""

import re
from collections.abc import Mapping

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .inputs import IMAGE_FIELDS, MASK_FIELDS, PARAM_OPTIONS

_CODE = re.compile(r"\b(E[0-9]{3,4})\b")
_REASONS = {
    "E003": Reason.PROVIDER_UNAVAILABLE,
    "E004": Reason.PROVIDER_UNAVAILABLE,
    "E005": Reason.CONTENT_FILTERED,
    "E006": Reason.INVALID_REQUEST,
}
"""By the codes of the vendor's official models: too much asked of them, not there, sensitive, invalid. Those of four
digits are the vendor's own troubles: PROVIDER_ERROR."""

_FILTERED = re.compile(
    r"\bnsfw\b|flagged|sensitive|\bmoderat(?:ed|ion)\b|safety (?:system|filter|checker|check)|content[ _]polic|"
    r"blocked by|violat\w+ .{0,40}polic|prohibited",
    re.IGNORECASE,
)
_UNAVAILABLE = re.compile(r"high demand|temporarily unavailable|overloaded|try again later", re.IGNORECASE)
_SPENT = re.compile(r"insufficient credit|spend limit|free time limit|purchase credit|billing", re.IGNORECASE)
_NO_VERSION = re.compile(r"version does not exist|invalid version", re.IGNORECASE)
_UNPROCESSABLE, _THROTTLED = 422, 429
_MOST_LISTED = 20
"""Entries of a list that are read."""


def error_of_question(context: ErrorContext, body: bytes) -> ImageError:
    """Read the refusal to tell of a prediction, which is no fault of whoever wants the picture."""
    error = error_of_answer(context, body)
    if error.reason in (Reason.MODEL_NOT_FOUND, Reason.INVALID_REQUEST):
        error.reason, error.violations = Reason.PROVIDER_ERROR, ()
    return error


def error_of_answer(context: ErrorContext, body: bytes) -> ImageError:
    """Read the answer to a request that failed."""
    payload = read_object(body)
    title, listed = text_of(payload.get("title")), payload.get("invalid_fields")
    several = listed[:_MOST_LISTED] if isinstance(listed, list) else []
    entries = [entry for entry in several if isinstance(entry, Mapping)]
    text = text_of(payload.get("detail")) or text_of(payload.get("error")) or text_of(payload.get("message")) or title
    if not text:
        return context.unreadable()
    # Cleaned first: the caller's words must not decide what is wrong.
    message = context.clean(" ".join(text.split()))
    reason = reason_of(context.status)
    if context.status == _UNPROCESSABLE and _NO_VERSION.search(f"{title} {message}"):
        reason = Reason.MODEL_NOT_FOUND
    elif context.status == _UNPROCESSABLE and not entries and _FILTERED.search(message):
        reason = Reason.CONTENT_FILTERED
    elif context.status == _THROTTLED and _SPENT.search(message) and "throttled" not in message.lower():
        reason = Reason.QUOTA_EXCEEDED
    if reason is Reason.MODEL_NOT_FOUND and context.status != _UNPROCESSABLE:
        message += f" ({context.host} answered {context.status}: it has no such model, or base_url is wrong)"
    return context.told(
        reason,
        message,
        code=title,
        billed=Billed.NO if surely_refused(context.status) else None,
        stage="input" if reason is Reason.CONTENT_FILTERED else "",
        wait=_wait(context, payload, text),
        violations=[violation for entry in entries if (violation := _violation(context, entry))],
    )


def error_of_failure(context: ErrorContext, payload: Mapping[str, object], *, public: bool) -> ImageError:
    """Say why a prediction failed. The vendor does not charge for that of a public model."""
    told = payload.get("error")
    text = text_of(told) or text_of(told.get("message") if isinstance(told, Mapping) else None)
    message = context.clean(" ".join(text.split())) or "the prediction failed, and nothing says why"
    found = _CODE.search(message)
    code = found[1] if found else ""
    reason = _REASONS.get(code, Reason.PROVIDER_ERROR)
    if not code and _FILTERED.search(message):
        reason = Reason.CONTENT_FILTERED
    elif not code and _UNAVAILABLE.search(message):
        reason = Reason.PROVIDER_UNAVAILABLE
    return context.told(
        reason,
        message,
        code=code or "failed",
        billed=Billed.NO if public else Billed.UNKNOWN,
        stage="output" if reason is Reason.CONTENT_FILTERED and "output" in message and "input" not in message else "",
        wait=wait_in_text(message),
    )


def error_of_end(context: ErrorContext, status: str) -> ImageError:
    """Say why a prediction has ended that was not let run to its end."""
    if status == "aborted":
        message = "the prediction was given up before it began: Cancel-After, which is the time left for it, was over"
        return context.told(Reason.TIMEOUT, message, code=status, billed=Billed.NO)
    message = "the prediction was called off at the vendor, or the time that was left for it was over"
    return context.told(Reason.PROVIDER_ERROR, message, code=status, billed=Billed.UNKNOWN)


def text_of(value: object) -> str:
    """Take a text; "" = it is none."""
    return value if isinstance(value, str) else ""


def _wait(context: ErrorContext, payload: Mapping[str, object], text: str) -> float | None:
    told = retry_after(context.headers)
    if told is None:
        told = wait_in_text(text)
    in_body = payload.get("retry_after")
    if told is None and isinstance(in_body, int | float) and not isinstance(in_body, bool):
        told = retry_after({"retry-after": str(in_body)})
    return told


def _violation(context: ErrorContext, entry: Mapping[str, object]) -> Violation | None:
    """Name a field as the caller knows it: `input.seed`, or `input` of one that is missing."""
    path, what = text_of(entry.get("field")), context.clean(text_of(entry.get("description")))
    name = context.name(path.removeprefix("input").removeprefix("."))
    if not name and (found := re.match(r"(?:Additional property )?(\w+) is (?:required|not allowed)", what)):
        name = context.name(found[1])
    return Violation(_field(context.provider, name), what or context.name(text_of(entry.get("type")))) if name else None


def _field(provider: str, path: str) -> str:
    name, _, rest = path.partition(".")
    if name == "prompt":
        return "input.prompt"
    if name in IMAGE_FIELDS:
        return f"input.images[{rest}]" if rest.isdecimal() else "input.images"
    if name in MASK_FIELDS:
        return "input.mask"
    if name in PARAM_OPTIONS:
        return f"options.{PARAM_OPTIONS[name]}"
    if name in ("width", "height"):
        return "options.size"
    return f"params.{provider}.{path}"
