"""What the vendor's errors mean. Their `name` decides, then the status, then words.

Sources: the responses of the vendor's OpenAPI document, and bodies that users of the API reported. A body has `id`,
`name` and `errors`, a list of texts of which one about a field begins with its name: "strength: required". Older parts
of the API say `message` instead. Fields are looked at before the key is, so even its absence may be a field's error.
"""

import re
from collections.abc import Iterator, Mapping

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

from .family import PARAM_OPTIONS

_REASONS = {
    "unauthorized": Reason.AUTHENTICATION_FAILED,
    "permission_denied": Reason.AUTHENTICATION_FAILED,
    "payment_required": Reason.QUOTA_EXCEEDED,
    "insufficient_balance": Reason.QUOTA_EXCEEDED,
    "content_moderation": Reason.CONTENT_FILTERED,
    "invalid_prompts": Reason.CONTENT_FILTERED,
    "public_figure": Reason.CONTENT_FILTERED,
    "copyrighted_content": Reason.CONTENT_FILTERED,
    "invalid_language": Reason.INVALID_REQUEST,
    "payload_too_large": Reason.CONTEXT_LENGTH_EXCEEDED,
    "not_found": Reason.MODEL_NOT_FOUND,
    "rate_limit_exceeded": Reason.RATE_LIMITED,
    "service_unavailable": Reason.PROVIDER_UNAVAILABLE,
    "internal_error": Reason.PROVIDER_ERROR,
}

_BY_WORDS = (
    (r"content moderation|content policy|\bflagged\b", Reason.CONTENT_FILTERED),
    (r"sufficient credits|purchase more credits|insufficient (?:balance|credits)", Reason.QUOTA_EXCEEDED),
    (r"api key", Reason.AUTHENTICATION_FAILED),
)
"""What is looked for in the words of an error whose name is not known; the first that is found counts."""

_WORDS = tuple((re.compile(words, re.IGNORECASE), reason) for words, reason in _BY_WORDS)
_SAYS_LITTLE = frozenset({Reason.INVALID_REQUEST, Reason.AUTHENTICATION_FAILED, Reason.PROVIDER_ERROR})

_TIMED_OUT_SECONDS = 60.0
"""How long the vendor takes nothing from who has asked too often, as its reference says."""

_FIELD = re.compile(r"([a-z][a-z_]{0,60}(?:-[a-z]+)*): ")
_FIELDS = {
    "prompt": "input.prompt",
    "background_prompt": "input.prompt",
    "image": "input.images[0]",
    "init_image": "input.images[0]",
    "subject_image": "input.images[0]",
    "style_image": "input.images[1]",
    "background_reference": "input.images[1]",
    "light_reference": "input.images[2]",
    "mask": "input.mask",
}
_OF_THE_REQUEST = {"authorization": Reason.AUTHENTICATION_FAILED, "model": Reason.MODEL_NOT_FOUND}
"""Fields whose being wrong says more than that."""

_NOT_FIELDS = frozenset({"body", "id", "content-type", "accept"})
_FIELD_OF_NAME = {"invalid_language": "prompt"}
"""Fields that an error is about whose words do not say so."""

_FAILED = 500
"""The vendor says so of a generation that failed, and charges for none of these."""

_MOST_LISTED = 20
_SUCCESS, _FILTERED = "SUCCESS", "CONTENT_FILTERED"


def error_of_answer(context: ErrorContext, body: bytes) -> ImageError:
    """Read the answer to a request that failed."""
    payload = read_object(body)
    return _error_of(context, payload) if _texts(payload) or _name(payload) else context.unreadable()


def error_of_question(context: ErrorContext, body: bytes) -> ImageError:
    """Read the refusal to tell of a generation, which is no fault of whoever wants the picture."""
    payload = read_object(body)
    if not _texts(payload) and not _name(payload):
        return context.unreadable()
    return _error_of(context, payload, about_generation=True)


def error_in_success(context: ErrorContext, payload: Mapping[str, object]) -> ImageError | None:
    """Find the error that the body of an HTTP 200 may be; None = it is none."""
    if isinstance(payload.get("errors"), list) or (_name(payload) and _texts(payload)):
        return _error_of(context, payload, in_success=True)
    return None


def error_of_finish(context: ErrorContext, finish: str) -> ImageError | None:
    """Say why the picture that came is not what was asked for; None = it is.

    The vendor calls a picture that it has blurred a successful generation, and charges for those; whether for this one,
    too, it does not say.
    """
    if finish.upper() in ("", _SUCCESS):
        return None
    if finish.upper() == _FILTERED:
        message = "moderation blurred the picture after it was drawn"
        return context.told(Reason.CONTENT_FILTERED, message, code=finish, billed=Billed.UNKNOWN, stage="output")
    message = f"the picture was not finished as it should be ({context.name(finish)})"
    return context.told(Reason.PROVIDER_ERROR, message, code=finish, billed=Billed.UNKNOWN)


def _error_of(
    context: ErrorContext, payload: Mapping[str, object], *, in_success: bool = False, about_generation: bool = False
) -> ImageError:
    name, texts = _name(payload), _texts(payload)
    # Cleaned first: the caller's words must not decide what is wrong.
    told = [context.clean(text) for text in texts]
    message = context.clean("; ".join(texts) or name)
    fields = [found[1] if (found := _FIELD.match(text)) else _FIELD_OF_NAME.get(name, "") for text in told]
    reason = _reason(name, message, fields, Reason.PROVIDER_ERROR if in_success else reason_of(context.status))
    if about_generation and reason in (Reason.MODEL_NOT_FOUND, Reason.INVALID_REQUEST):
        reason = Reason.PROVIDER_ERROR
    if reason is Reason.MODEL_NOT_FOUND and "model" not in fields:
        message += f" ({context.host} answered {context.status}: it has no such model, or base_url is wrong)"
    billed = Billed.UNKNOWN if in_success else None
    if not in_success and (surely_refused(context.status) or context.status == _FAILED):
        billed = Billed.NO
    error = context.told(
        reason,
        message,
        code=name,
        billed=billed,
        stage="input" if reason is Reason.CONTENT_FILTERED else "",
        wait=_wait(context, texts, reason),
        violations=_violations(context, fields, told),
    )
    error.provider_request_id = error.provider_request_id or _id(context, payload, name)
    return error


def _reason(name: str, message: str, fields: list[str], usual: Reason) -> Reason:
    """Find what an error is; `usual` is what it would be by its status alone."""
    if name in _REASONS:
        return _REASONS[name]
    if usual not in _SAYS_LITTLE:
        return usual
    of_field = next((_OF_THE_REQUEST[field] for field in fields if field in _OF_THE_REQUEST), None)
    return of_field or next((found for words, found in _WORDS if words.search(message)), usual)


def _wait(context: ErrorContext, texts: list[str], reason: Reason) -> float | None:
    wait = retry_after(context.headers)
    if wait is None:
        wait = next((found for text in texts if (found := wait_in_text(text)) is not None), None)
    return _TIMED_OUT_SECONDS if wait is None and reason is Reason.RATE_LIMITED else wait


def _violations(context: ErrorContext, fields: list[str], told: list[str]) -> Iterator[Violation]:
    """Name each field as the caller knows it."""
    for field, message in zip(fields, told, strict=True):
        if field in PARAM_OPTIONS:
            yield Violation(f"options.{PARAM_OPTIONS[field]}", message)
        elif field and field not in _NOT_FIELDS:
            yield Violation(_FIELDS.get(field) or f"params.{context.provider}.{context.name(field)}", message)


def _id(context: ErrorContext, payload: Mapping[str, object], name: str) -> str:
    """Tell the id that the vendor's support asks for, where no header has it."""
    told = payload.get("id")
    return context.name(told) if isinstance(told, str) and told != name else ""


def _name(payload: Mapping[str, object]) -> str:
    name = payload.get("name")
    return name if isinstance(name, str) else ""


def _texts(payload: Mapping[str, object]) -> list[str]:
    """List what is wrong, in the vendor's words."""
    errors = payload.get("errors")
    listed = errors[:_MOST_LISTED] if isinstance(errors, list) else [errors, payload.get("message")]
    return [text for text in listed if isinstance(text, str) and text]
