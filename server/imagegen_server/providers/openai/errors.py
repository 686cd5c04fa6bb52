"""What the vendor's errors mean. The code and the type decide before the status.

Sources: the error guide of platform.openai.com/docs, the OpenAPI document, and bodies that users of the API reported.
"""

import json
import re
from collections.abc import Mapping

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import MAY_COME_AGAIN, ErrorContext
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .models import PARAM_OPTIONS

_REASONS = {
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

_FREE = frozenset({Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED, Reason.AUTHENTICATION_FAILED, Reason.MODEL_NOT_FOUND})

_FIELDS = {"prompt": "input.prompt", "image": "input.images", "mask": "input.mask", "model": "model"}


def error_of_answer(context: ErrorContext, body: bytes) -> ImageError:
    """Read the answer to a request that failed."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    said = _error_in(payload)
    if said is not None:
        return error_of_payload(context, said, in_stream=False)
    return context.unreadable()


def error_in_success(context: ErrorContext, payload: object) -> ImageError | None:
    """Find the error that a body or an event of an HTTP 200 may be; None = it is none."""
    said = _error_in(payload)
    return None if said is None else error_of_payload(context, said, in_stream=True)


def error_of_payload(context: ErrorContext, said: Mapping[str, object], *, in_stream: bool) -> ImageError:
    """Read an error object: message, type, param, code. `in_stream`: it came after HTTP 200, when work had begun."""
    code, kind = _text(said.get("code")), _text(said.get("type"))
    reason = _REASONS.get(code.lower()) or _REASONS.get(kind.lower())
    message = context.clean(_text(said.get("message")) or code or kind or f"HTTP {context.status}")
    if reason is None and not in_stream:
        reason = reason_of(context.status)
        if reason is Reason.MODEL_NOT_FOUND and "model" not in message.lower():
            # Another thing was not found. Where no field is named it is the path, and no caller's fault.
            reason = Reason.INVALID_REQUEST if code or said.get("param") else Reason.PROVIDER_ERROR
            message += "" if code or said.get("param") else f" ({context.host} answered 404: is base_url right?)"
    stage = _stage(said, in_stream=in_stream) if reason is Reason.CONTENT_FILTERED else ""
    refused = not in_stream and surely_refused(context.status) and reason is not Reason.CONTENT_FILTERED
    wait = retry_after(context.headers)
    return ImageError(
        reason or Reason.PROVIDER_ERROR,
        f"{context.provider}: {message}",
        # Within a stream it also counts what came before.
        billed=Billed.NO if refused or (reason in _FREE and not in_stream) else None,
        stage=stage,
        http_status=context.status,
        provider_code=context.name(code or kind),
        provider_request_id=context.request_id,
        retry_after=_wait(reason, wait_in_text(message) if wait is None else wait),
        violations=_violations(context, said, message) if reason is Reason.INVALID_REQUEST else (),
    )


def _error_in(payload: object) -> Mapping[str, object] | None:
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


def _wait(reason: Reason | None, wait: float | None) -> float | None:
    return wait if reason is None or reason in MAY_COME_AGAIN else None


def _stage(said: Mapping[str, object], *, in_stream: bool) -> str:
    """Tell whether the words or the picture were refused; "" = the vendor does not say, and older answers never do."""
    details = said.get("moderation_details")
    told = details.get("moderation_stage") if isinstance(details, Mapping) else None
    if told in ("input", "output"):
        return str(told)
    return "output" if in_stream else ""


def _violations(context: ErrorContext, said: Mapping[str, object], message: str) -> list[Violation]:
    name = context.name(_text(said.get("param")))
    if not name:
        return []
    plain = re.split(r"[\[.]", name, maxsplit=1)[0]
    if plain in PARAM_OPTIONS:
        return [Violation(f"options.{PARAM_OPTIONS[plain]}", message)]
    return [Violation(_FIELDS.get(plain) or f"params.{context.provider}.{name}", message)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None or isinstance(value, bool) else str(value)
