"""What the vendor's errors mean. What they say of themselves decides before the status.

Sources: openrouter.ai/docs/api/reference/errors-and-debugging, APIErrorType and ImageGenStreamErrorEvent of the Python
package `openrouter`, and bodies that users of the API reported. An error that comes once work has begun stands in an
HTTP 200, with the status that it would have had as its code; what a model's own vendor said stands in `metadata.raw`.
"""

import json
import re
import time
from collections.abc import Mapping

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.retry_after import MOST_SECONDS, retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .models import PARAM_OPTIONS

_REASONS = {
    "context_length_exceeded": Reason.CONTEXT_LENGTH_EXCEEDED,
    "max_tokens_exceeded": Reason.CONTEXT_LENGTH_EXCEEDED,
    "token_limit_exceeded": Reason.CONTEXT_LENGTH_EXCEEDED,
    "string_too_long": Reason.CONTEXT_LENGTH_EXCEEDED,
    "payload_too_large": Reason.CONTEXT_LENGTH_EXCEEDED,
    "authentication": Reason.AUTHENTICATION_FAILED,
    "permission_denied": Reason.AUTHENTICATION_FAILED,
    "payment_required": Reason.QUOTA_EXCEEDED,
    "insufficient_quota": Reason.QUOTA_EXCEEDED,
    "rate_limit_exceeded": Reason.RATE_LIMITED,
    "provider_overloaded": Reason.PROVIDER_UNAVAILABLE,
    "provider_unavailable": Reason.PROVIDER_UNAVAILABLE,
    "not_found": Reason.MODEL_NOT_FOUND,
    "model_not_found": Reason.MODEL_NOT_FOUND,
    "content_policy_violation": Reason.CONTENT_FILTERED,
    "moderation_blocked": Reason.CONTENT_FILTERED,
    "refusal": Reason.CONTENT_FILTERED,
    "invalid_request": Reason.INVALID_REQUEST,
    "invalid_request_error": Reason.INVALID_REQUEST,
    "invalid_prompt": Reason.INVALID_REQUEST,
    "precondition_failed": Reason.INVALID_REQUEST,
    "unprocessable": Reason.INVALID_REQUEST,
    "invalid_image": Reason.INVALID_REQUEST,
    "image_too_large": Reason.INVALID_REQUEST,
    "image_too_small": Reason.INVALID_REQUEST,
    "unsupported_image_format": Reason.INVALID_REQUEST,
    "image_not_found": Reason.INVALID_REQUEST,
    "image_download_failed": Reason.INVALID_REQUEST,
    "server": Reason.PROVIDER_ERROR,
    "timeout": Reason.TIMEOUT,
}
"""By `error_type`, or by the code or type of the model's own vendor."""

_WORDS = (
    (
        re.compile(r"sensitive.?content|moderation|content.?polic|flagged|guardrail|safety|prohibited", re.IGNORECASE),
        Reason.CONTENT_FILTERED,
    ),
    (
        re.compile(
            r"not a valid model|no endpoints found|no allowed providers|\bmodel\b.*(?:not found|does not exist)",
            re.IGNORECASE | re.DOTALL,
        ),
        Reason.MODEL_NOT_FOUND,
    ),
)
"""What is looked for in the message where nothing better is said; the first that is found counts."""

_OF_IMAGES = re.compile(r"invalid_image|image_(?:too|not|download)|unsupported_image")
_DRAWN = re.compile(r"output.?image|generated (?:image|content)|\boutput\b", re.IGNORECASE)
_GIVEN = re.compile(r"input|prompt", re.IGNORECASE)
_FIELDS = {"prompt": "input.prompt", "input_references": "input.images", "model": "model"}
_FORBIDDEN = 403


def error_of_answer(context: ErrorContext, body: bytes) -> ImageError:
    """Read the answer to a request that failed."""
    said = _object(_object(body).get("error"))
    if said:
        return _error_of(context, said, context.status, billed=None, in_success=False)
    return context.unreadable()


def error_in_success(
    context: ErrorContext, payload: Mapping[str, object], billed: Billed | None = None
) -> ImageError | None:
    """Find the error that a body or an event of an HTTP 200 may be; None = it is none. `billed` if the answer tells."""
    told = payload.get("error")
    said = {"message": told} if isinstance(told, str) and told else _object(told)
    if not said:
        return None
    code = said.get("code")
    status = code if isinstance(code, int) and not isinstance(code, bool) else 0
    return _error_of(context, said, status, billed=billed or Billed.UNKNOWN, in_success=True)


def _error_of(
    context: ErrorContext, said: Mapping[str, object], status: int, *, billed: Billed | None, in_success: bool
) -> ImageError:
    metadata = _object(said.get("metadata"))
    upstream = _upstream(metadata.get("raw"))
    names = [
        _text(where.get(key))
        for where, key in ((metadata, "error_type"), (said, "code"), (said, "type"), (upstream, "code"))
    ] + [_text(upstream.get("type"))]
    code = next((name for name in names if name and not name.isdecimal()), "")
    parts = (_text(said.get("message")), _text(upstream.get("message")))
    # Cleaned first: the caller's words must not decide what is wrong.
    message = context.clean(": ".join(part for part in parts if part) or code or f"error {status}")
    flagged = bool(metadata.get("reasons")) or "flagged_input" in metadata
    reason = Reason.CONTENT_FILTERED if flagged else _reason(names, f"{code} {message}", status)
    stage = ""
    if reason is Reason.CONTENT_FILTERED:
        # A refusal by 403 comes from the router, before any model's vendor is asked.
        early = status == _FORBIDDEN and not in_success
        stage = "input" if flagged else _stage(f"{code} {message}") or ("input" if early else "")
    elif not in_success and surely_refused(status):
        billed = Billed.NO
    return context.told(
        reason,
        message,
        code=code or (str(status) if status else ""),
        billed=billed,
        stage=stage,
        wait=_wait(context, metadata, message),
        violations=_violations(context, said, upstream, code, message),
    )


def _reason(names: list[str], words: str, status: int) -> Reason:
    named = next((_REASONS[name] for name in names if name in _REASONS), None)
    if named and named is not Reason.INVALID_REQUEST:
        return named
    # That a request is wrong is also said of what moderation refuses, and of names that no model has.
    found = next((reason for pattern, reason in _WORDS if pattern.search(words)), None)
    usual = reason_of(status) if status else Reason.PROVIDER_ERROR
    weak = (Reason.INVALID_REQUEST, Reason.PROVIDER_ERROR, Reason.AUTHENTICATION_FAILED, Reason.MODEL_NOT_FOUND)
    return found if found and usual in weak else named or usual


def _stage(words: str) -> str:
    """Tell whether the words or the picture were refused; "" = it is not told."""
    return "output" if _DRAWN.search(words) else "input" if _GIVEN.search(words) else ""


def _wait(context: ErrorContext, metadata: Mapping[str, object], message: str) -> float | None:
    """Find the wait in seconds: in a header, in the headers or the number that the body repeats, or in words."""
    repeated = {name.lower(): _text(value) for name, value in _object(metadata.get("headers")).items()}
    seconds, reset = metadata.get("retry_after_seconds"), repeated.get("x-ratelimit-reset", "")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        repeated.setdefault("retry-after", str(seconds))
    for headers in (context.headers, repeated):
        if (wait := retry_after(headers)) is not None:
            return wait
    if (wait := wait_in_text(message)) is not None or not reset.isdecimal():
        return wait
    # Milliseconds since 1970, of free models.
    return min(max(int(reset[:15]) / 1000 - time.time(), 0.0), MOST_SECONDS)


def _violations(
    context: ErrorContext, said: Mapping[str, object], upstream: Mapping[str, object], code: str, message: str
) -> list[Violation]:
    """Name the field as the caller knows it, where the vendor tells it."""
    if _OF_IMAGES.match(code):
        return [Violation("input.images", message)]
    name = context.name(_text(said.get("param")) or _text(upstream.get("param")))
    if not name:
        return []
    plain = re.split(r"[\[.]", name, maxsplit=1)[0]
    if plain in PARAM_OPTIONS:
        return [Violation(f"options.{PARAM_OPTIONS[plain]}", message)]
    return [Violation(_FIELDS.get(plain) or f"params.{context.provider}.{name}", message)]


def _upstream(raw: object) -> Mapping[str, object]:
    """Read what the model's own vendor said: JSON in a string with an error in it, or plain words."""
    text = _text(raw)
    payload = _object(text.encode(errors="replace")) if text else _object(raw)
    inner = payload.get("error")
    if isinstance(inner, str) and inner:
        return {"message": inner, "code": payload.get("code")}
    return _object(inner) or payload or ({"message": text} if text else {})


def _object(value: object) -> Mapping[str, object]:
    """Take an object, or bytes that are one in JSON; empty = it is none."""
    if isinstance(value, bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return (
        value if isinstance(value, str) else "" if value is None or not isinstance(value, int | float) else str(value)
    )
