"""What the vendor's errors mean. The details decide before the status, and the status before the number.

Sources: ai.google.dev/gemini-api/docs/troubleshooting, cloud.google.com/apis/design/errors (google.rpc.Status with
ErrorInfo, RetryInfo, QuotaFailure and BadRequest as JSON), and bodies that users of the API reported.
"""

import json
import re
from collections.abc import Iterator, Mapping

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import MAY_COME_AGAIN, ErrorContext
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .request import OUTPUT_PATHS, PARAM_PATHS

_BY_DETAIL = {
    "API_KEY_INVALID": Reason.AUTHENTICATION_FAILED,
    "API_KEY_EXPIRED": Reason.AUTHENTICATION_FAILED,
    "API_KEY_SERVICE_BLOCKED": Reason.AUTHENTICATION_FAILED,
    "CONSUMER_SUSPENDED": Reason.AUTHENTICATION_FAILED,
    "SERVICE_DISABLED": Reason.AUTHENTICATION_FAILED,
    "BILLING_DISABLED": Reason.QUOTA_EXCEEDED,
}
"""By ErrorInfo.reason."""

_BY_STATUS = {
    "INVALID_ARGUMENT": Reason.INVALID_REQUEST,
    "OUT_OF_RANGE": Reason.INVALID_REQUEST,
    "UNAUTHENTICATED": Reason.AUTHENTICATION_FAILED,
    "PERMISSION_DENIED": Reason.AUTHENTICATION_FAILED,
    "NOT_FOUND": Reason.MODEL_NOT_FOUND,
    "RESOURCE_EXHAUSTED": Reason.RATE_LIMITED,
    "UNAVAILABLE": Reason.PROVIDER_UNAVAILABLE,
    "DEADLINE_EXCEEDED": Reason.TIMEOUT,
}
"""By google.rpc.Code. FAILED_PRECONDITION is no fault of the caller: a country that is not served, a missing plan."""

_LONG_QUOTA = re.compile(r"per_?(?:day|month)", re.IGNORECASE)
_NO_QUOTA = re.compile(r"limit: 0\b|prepayment credits are depleted", re.IGNORECASE)
_BAD_KEY = re.compile(r"API key (?:not valid|expired|not found)", re.IGNORECASE)
_TOO_LONG = re.compile(r"token count .* exceeds", re.IGNORECASE)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s")
_OPTION_FIELDS = {
    **{path[-1].lower(): f"options.{option}" for option, path in PARAM_PATHS.items()},
    **{".".join(path[-2:]).lower(): f"options.{option}" for option, path in OUTPUT_PATHS.items()},
}
"""By the end of a field's path, in lower case and without underscores."""


def error_of_answer(context: ErrorContext, body: bytes) -> ImageError:
    """Read the answer to a request that failed."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    said = _error_in(payload)
    if said is not None:
        return _error_of(context, said, in_stream=False)
    return context.unreadable()


def error_in_success(context: ErrorContext, payload: object) -> ImageError | None:
    """Find the error that a body or an event of an HTTP 200 may be; None = it is none."""
    said = _error_in(payload)
    return None if said is None else _error_of(context, said, in_stream=True)


def _error_in(payload: object) -> Mapping[str, object] | None:
    """Find the object `error`; without `alt=sse` it stands in a list."""
    if isinstance(payload, list):
        return next((said for item in payload if (said := _error_in(item)) is not None), None)
    said = payload.get("error") if isinstance(payload, Mapping) else None
    return said if isinstance(said, Mapping) else None


def _error_of(context: ErrorContext, said: Mapping[str, object], *, in_stream: bool) -> ImageError:
    """Read a google.rpc.Status. `in_stream`: it came after HTTP 200, when work had begun."""
    status, text = _text(said.get("status")), _text(said.get("message"))
    details = [item for item in _list(said.get("details")) if isinstance(item, Mapping)]
    told = next((_text(item["reason"]) for item in details if "reason" in item), "")
    number = said.get("code")
    reason = _BY_DETAIL.get(told) or _BY_STATUS.get(status)
    if reason is None and not status:
        reason = reason_of(number if isinstance(number, int) else context.status)
    reason = _in_words(reason, text, details)
    message = context.clean(text or status or f"HTTP {context.status}")
    refused = not in_stream and surely_refused(context.status)
    return ImageError(
        reason,
        f"{context.provider}: {message}",
        billed=Billed.NO if refused else None,
        http_status=number if in_stream and isinstance(number, int) else context.status,
        provider_code=context.name(told or status),
        retry_after=_wait(context, details, text) if reason in MAY_COME_AGAIN else None,
        violations=_violations(context, details, message) if reason is Reason.INVALID_REQUEST else (),
    )


def _in_words(reason: Reason | None, text: str, details: list[Mapping[str, object]]) -> Reason:
    """Look closer where one status stands for several reasons."""
    if reason is Reason.INVALID_REQUEST and _BAD_KEY.search(text):
        return Reason.AUTHENTICATION_FAILED
    if reason is Reason.INVALID_REQUEST and _TOO_LONG.search(text):
        return Reason.CONTEXT_LENGTH_EXCEEDED
    if reason is Reason.RATE_LIMITED and (_NO_QUOTA.search(text) or any(map(_LONG_QUOTA.search, _quotas(details)))):
        return Reason.QUOTA_EXCEEDED  # waiting for a minute does not help
    if reason is Reason.MODEL_NOT_FOUND and "model" not in text.lower():
        return Reason.PROVIDER_ERROR
    return reason or Reason.PROVIDER_ERROR


def _quotas(details: list[Mapping[str, object]]) -> Iterator[str]:
    for item in details:
        for violation in _list(item.get("violations")):
            if isinstance(violation, Mapping):
                yield _text(violation.get("quotaId"))


def _wait(context: ErrorContext, details: list[Mapping[str, object]], text: str) -> float | None:
    """Find how long to wait: normally in RetryInfo, hardly ever in a header."""
    for item in details:
        if match := _DURATION.fullmatch(_text(item.get("retryDelay"))):
            return float(match[1])
    told = retry_after(context.headers)
    return wait_in_text(text) if told is None else told


def _violations(context: ErrorContext, details: list[Mapping[str, object]], message: str) -> list[Violation]:
    """Name the fields of BadRequest as the caller knows them."""
    found = []
    for item in details:
        for violation in _list(item.get("fieldViolations")):
            if isinstance(violation, Mapping) and (field := context.name(_text(violation.get("field")))):
                plain = "." + field.replace("_", "").lower()
                ours = next((ours for end, ours in _OPTION_FIELDS.items() if plain.endswith(f".{end}")), "")
                path = ours or f"params.{context.provider}.{field}"
                found.append(Violation(path, context.clean(_text(violation.get("description"))) or message))
    return found


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
