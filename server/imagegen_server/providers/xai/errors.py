"""What the vendor's errors mean. Its words decide first.

One code and one status (400) stand for a bad key, a bad field and a picture that moderation has kept back.

Sources: docs.x.ai/developers/debugging and .../cost-tracking, and bodies that users of the API reported. Codes are
either slugs ("permission-denied") or sentences ("Client specified an invalid argument").
"""

import re
from collections.abc import Mapping

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .models import PARAM_OPTIONS

_BY_WORDS = (
    (
        r"api key .*(?:invalid|disabled|expired|blocked)|\b(?:incorrect|invalid|no) api key",
        Reason.AUTHENTICATION_FAILED,
    ),
    (r"available credits|spending.limit|purchase (?:more )?credits|usage quota", Reason.QUOTA_EXCEEDED),
    (r"resource.{1,10}exhausted|too many requests", Reason.RATE_LIMITED),
    (r"content moderation|usage guidelines|safety.check|content policy", Reason.CONTENT_FILTERED),
    (r"\bmodel\b.*(?:does not exist|not found|deprecated|retired|no longer)", Reason.MODEL_NOT_FOUND),
    (r"\bprompt\b.*(?:too long|exceeds|maximum.* length)|maximum prompt length", Reason.CONTEXT_LENGTH_EXCEEDED),
    (r"unauthenticated", Reason.AUTHENTICATION_FAILED),
    (r"at capacity|temporarily unavailable|currently unavailable|overloaded", Reason.PROVIDER_UNAVAILABLE),
)
"""What is looked for in the message and then in the code; the first that is found counts."""

_WORDS = tuple((re.compile(words, re.IGNORECASE | re.DOTALL), reason) for words, reason in _BY_WORDS)
_DRAWN = re.compile(r"generated (?:image|content)|output", re.IGNORECASE)
"""It was drawn before moderation refused it."""

_GIVEN = re.compile(r"usage guidelines|prompt|input", re.IGNORECASE)
_FIELD = re.compile(r"not supported on this model: `?(\w+)|target type: (\w+)[\w.\[\]]*: |missing field `(\w+)`")
_FIELDS = {"prompt": "input.prompt", "image": "input.images", "images": "input.images", "model": "model"}
_MOST_TICKS = 2**53


def ticks_of(payload: Mapping[str, object]) -> int | None:
    """Tell what a request cost, in ticks of 1e-10 USD, as errors tell it, too; None = not told."""
    usage = payload.get("usage")
    ticks = usage.get("cost_in_usd_ticks") if isinstance(usage, Mapping) else None
    return ticks if isinstance(ticks, int) and not isinstance(ticks, bool) and 0 <= ticks < _MOST_TICKS else None


def billed_by(ticks: int | None) -> Billed | None:
    """Tell whether something was paid for, of a request that made nothing; None = the vendor did not say."""
    return None if ticks is None else Billed.YES if ticks else Billed.NO


def error_of_answer(context: ErrorContext, body: bytes) -> ImageError:
    """Read the answer to a request that failed."""
    payload = read_object(body)
    said = _error_in(payload)
    if said is None and context.headers.get("content-type", "").startswith("text/plain"):
        # What the vendor's web framework says of a body that does not fit: 415 and 422.
        said = {"message": body.decode(errors="replace")}
    if said and (said.get("message") or said.get("code")):
        return _error_of(context, said, ticks_of(payload), in_success=False)
    return context.unreadable()


def error_in_success(context: ErrorContext, payload: Mapping[str, object]) -> ImageError | None:
    """Find the error that the body of an HTTP 200 may be; None = it is none."""
    said = _error_in(payload)
    return None if said is None else _error_of(context, said, ticks_of(payload), in_success=True)


def filtered(context: ErrorContext, why: str, *, stage: str, billed: Billed | None) -> ImageError:
    """Say that moderation kept a picture back. A fee for some of that is reported, so it is not surely free."""
    return context.told(Reason.CONTENT_FILTERED, why, billed=billed or Billed.UNKNOWN, stage=stage)


def _error_in(payload: Mapping[str, object]) -> Mapping[str, object] | None:
    """Find `{"error": {"message", "code"}}` or `{"error": "message", "code"}`."""
    said = payload.get("error")
    if isinstance(said, Mapping):
        return said
    return {"message": said, "code": payload.get("code")} if isinstance(said, str) and said else None


def _error_of(context: ErrorContext, said: Mapping[str, object], ticks: int | None, *, in_success: bool) -> ImageError:
    text, code = _text(said.get("message")), _text(said.get("code")) or _text(said.get("type"))
    # Cleaned first: the caller's words must not decide what is wrong.
    message = context.clean(text or code)
    reason = _in_words(message) or _in_words(code)
    if reason is None:
        reason = Reason.PROVIDER_ERROR if in_success else reason_of(context.status)
        if reason is Reason.MODEL_NOT_FOUND:
            reason = Reason.PROVIDER_ERROR
            message += f" ({context.host} answered 404: is base_url right?)"
    stage, billed = "", billed_by(ticks)
    if reason is Reason.CONTENT_FILTERED:
        stage = "output" if _DRAWN.search(message) else "input" if _GIVEN.search(message) else ""
        billed = billed or Billed.UNKNOWN
    elif not in_success and surely_refused(context.status):
        billed = billed or Billed.NO
    wait = retry_after(context.headers)
    return context.told(
        reason,
        message,
        code=code,
        billed=billed,
        stage=stage,
        wait=wait_in_text(text) if wait is None else wait,
        violations=_violations(context, said, message),
    )


def _in_words(text: str) -> Reason | None:
    return next((reason for words, reason in _WORDS if words.search(text)), None)


def _violations(context: ErrorContext, said: Mapping[str, object], message: str) -> list[Violation]:
    """Name the field as the caller knows it, where the vendor tells it."""
    found = _FIELD.search(_text(said.get("message")))
    name = context.name(_text(said.get("param")) or (next(filter(None, found.groups()), "") if found else ""))
    if not name:
        return []
    if name in PARAM_OPTIONS:
        return [Violation(f"options.{PARAM_OPTIONS[name]}", message)]
    return [Violation(_FIELDS.get(name) or f"params.{context.provider}.{name}", message)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None or isinstance(value, bool) else str(value)
