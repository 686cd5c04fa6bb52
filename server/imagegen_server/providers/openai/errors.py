"""What the vendor's errors mean. The code and the type decide before the status."""

import json
import re
from collections.abc import Mapping

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .dialect import OPENAI, Dialect

_FREE = frozenset({Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED, Reason.AUTHENTICATION_FAILED, Reason.MODEL_NOT_FOUND})


def error_of_answer(context: ErrorContext, body: bytes, dialect: Dialect = OPENAI) -> ImageError:
    """Read the answer to a request that failed."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    said = dialect.error_in(payload)
    if said is not None:
        return error_of_payload(context, said, dialect, in_stream=False)
    return context.unreadable()


def error_in_success(context: ErrorContext, payload: object, dialect: Dialect = OPENAI) -> ImageError | None:
    """Find the error that a body or an event of an HTTP 200 may be; None = it is none."""
    said = dialect.error_in(payload)
    return None if said is None else error_of_payload(context, said, dialect, in_stream=True)


def error_of_payload(
    context: ErrorContext, said: Mapping[str, object], dialect: Dialect = OPENAI, *, in_stream: bool
) -> ImageError:
    """Read an error object: message, type, param, code. `in_stream`: it came after HTTP 200, when work had begun."""
    code, kind = _text(said.get("code")), _text(said.get("type"))
    reason = dialect.reasons.get(code.lower()) or dialect.reasons.get(kind.lower())
    message = context.clean(_text(said.get("message")) or code or kind or f"HTTP {context.status}")
    if reason is None:
        # Cleaned before: the caller's words must not decide what is wrong.
        reason = next((found for pattern, found in dialect.words if pattern.search(message)), None)
    if reason is None and not in_stream:
        reason = reason_of(context.status)
        if reason is Reason.MODEL_NOT_FOUND and "model" not in message.lower():
            # Another thing was not found. Where no field is named it is the path, and no caller's fault. A number as a
            # code is the status again.
            named = (code and not code.isdecimal()) or said.get("param")
            reason = Reason.INVALID_REQUEST if named else Reason.PROVIDER_ERROR
            message += "" if named else f" ({context.host} answered 404: is base_url right?)"
    filtered = reason is Reason.CONTENT_FILTERED
    stage = (dialect.stage(said) or ("output" if in_stream else "")) if filtered else ""
    refused = not in_stream and surely_refused(context.status) and not filtered
    wait = retry_after(context.headers)
    return context.told(
        reason or Reason.PROVIDER_ERROR,
        message,
        code=code or kind,
        # Within a stream it also counts what came before.
        billed=Billed.NO if refused or (reason in _FREE and not in_stream) else None,
        stage=stage,
        wait=wait_in_text(message) if wait is None else wait,
        violations=_violations(context, said, message, dialect),
    )


def _violations(context: ErrorContext, said: Mapping[str, object], message: str, dialect: Dialect) -> list[Violation]:
    name = context.name(_text(said.get("param")))
    if not name:
        return []
    plain = re.split(r"[\[.]", name, maxsplit=1)[0]
    if plain in dialect.param_options:
        return [Violation(f"options.{dialect.param_options[plain]}", message)]
    return [Violation(dialect.fields.get(plain) or f"params.{context.provider}.{name}", message)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None or isinstance(value, bool) else str(value)
