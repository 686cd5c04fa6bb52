"""What the vendor's errors mean. Their type decides; a ValidationException says in words what was not valid.

Sources: the errors of InvokeModel in botocore's model of bedrock-runtime, "Troubleshooting Amazon Bedrock API Error
Codes" of the user guide, "Common Errors" of AWS, and bodies that users of the API reported. The type stands in the
header `x-amzn-errortype`, which may have an address behind it, or as `__type` in the body; the words under `message` or
`Message`, and those of the model itself as JSON within them.
"""

import re
from collections.abc import Mapping

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused
from imagegen_server.providers.stability.family import PARAM_OPTIONS

_REASONS = {
    "AccessDenied": Reason.AUTHENTICATION_FAILED,
    "ExpiredToken": Reason.AUTHENTICATION_FAILED,
    "IncompleteSignature": Reason.AUTHENTICATION_FAILED,
    "InvalidClientTokenId": Reason.AUTHENTICATION_FAILED,
    "InvalidSignature": Reason.AUTHENTICATION_FAILED,
    "MissingAuthenticationToken": Reason.AUTHENTICATION_FAILED,
    "NotAuthorized": Reason.AUTHENTICATION_FAILED,
    "OptInRequired": Reason.AUTHENTICATION_FAILED,
    "RequestExpired": Reason.AUTHENTICATION_FAILED,
    "SignatureDoesNotMatch": Reason.AUTHENTICATION_FAILED,
    "UnrecognizedClient": Reason.AUTHENTICATION_FAILED,
    "ModelError": Reason.PROVIDER_ERROR,
    "InternalFailure": Reason.PROVIDER_ERROR,
    "InternalServer": Reason.PROVIDER_ERROR,
    "ModelNotReady": Reason.PROVIDER_UNAVAILABLE,
    "ServiceUnavailable": Reason.PROVIDER_UNAVAILABLE,
    "ModelTimeout": Reason.TIMEOUT,
    "RequestEntityTooLarge": Reason.CONTEXT_LENGTH_EXCEEDED,
    "ResourceNotFound": Reason.MODEL_NOT_FOUND,
    "UnknownOperation": Reason.PROVIDER_ERROR,
    "ServiceQuotaExceeded": Reason.QUOTA_EXCEEDED,
    "Throttling": Reason.RATE_LIMITED,
    "TooManyRequests": Reason.RATE_LIMITED,
    "Validation": Reason.INVALID_REQUEST,
    "ValidationError": Reason.INVALID_REQUEST,
}
"""By type, without the "Exception" that most of them end with."""

_NO_MODEL = (
    "end of its life",
    "marked by provider as legacy",
    "model identifier is invalid",
    "throughput isn.t supported",
    "access to the model",
    "model access is denied",
    "model .{0,80}not (?:found|supported in this region)",
)
_BY_WORDS = (
    (
        r"content.?filter|filtered words|invalid_prompts|content.?moderation|responsible ai|blocked by|filter reason",
        Reason.CONTENT_FILTERED,
    ),
    (r"payment.?instrument", Reason.QUOTA_EXCEEDED),
    ("|".join(_NO_MODEL), Reason.MODEL_NOT_FOUND),
    (r"per day|daily", Reason.QUOTA_EXCEEDED),
    (r"expected maxLength|(?:prompt|text).{0,40} too long|exceeds the maximum length", Reason.CONTEXT_LENGTH_EXCEEDED),
)
"""What is looked for in the words of the types below; the first that is found counts."""

_WORDS = tuple((re.compile(words, re.IGNORECASE | re.DOTALL), reason) for words, reason in _BY_WORDS)
_SAYS_LITTLE = frozenset({Reason.INVALID_REQUEST, Reason.AUTHENTICATION_FAILED, Reason.RATE_LIMITED})
_DRAWN = re.compile(r"output|generated image", re.IGNORECASE)
_GIVEN = re.compile(r"prompt|input|filtered words", re.IGNORECASE)
_FIELD = re.compile(r"Invalid field '(\w+)'|required key \[(\w+)\]|extraneous key \[(\w+)\]|#/(\w+)|field '(\w+)'")
_FIELDS = {
    "prompt": "input.prompt",
    "image": "input.images",
    "init_image": "input.images",
    "style_image": "input.images",
    "mask": "input.mask",
}
_SAID_UNDER = ("message", "Message", "error", "detail")
_ACCOUNT = re.compile(r"(arn:[\w-]+:[\w-]*:[\w-]*:)\d{12}")
_FAILED_DEPENDENCY = 424


def error_of_answer(context: ErrorContext, body: bytes) -> ImageError:
    """Read the answer to a request that failed."""
    payload = read_object(body)
    code = _code(context, payload)
    return _error_of(context, code, payload) if code or _text(payload) else context.unreadable()


def error_in_success(context: ErrorContext, payload: Mapping[str, object]) -> ImageError | None:
    """Find the error that the body of an HTTP 200 is; None = it is none."""
    if payload.get("amazon-bedrock-guardrailAction") == "INTERVENED":
        return filtered(context, "a guardrail of the account intervened", stage="")
    reasons = payload.get("finish_reasons")
    why = (reasons[0] if reasons else None) if isinstance(reasons, list) else reasons
    if why is not None:
        return _of_finish_reason(context, str(why))
    if payload.get("images") or not _text(payload):
        # A picture that came is paid for, whatever is said beside it.
        return None
    return _error_of(context, _code(context, payload), payload, in_success=True)


def filtered(context: ErrorContext, why: str, *, stage: str) -> ImageError:
    """Say that moderation kept a picture back. Whether AWS has a fee for that is not said, so it is not surely free."""
    return context.told(Reason.CONTENT_FILTERED, why, billed=Billed.UNKNOWN, stage=stage)


def _of_finish_reason(context: ErrorContext, told: str) -> ImageError:
    """Read why there is no picture: "Filter reason: prompt", "Inference error", or one that is new."""
    why = context.clean(told)
    if "filter" in why.lower():
        stage = "output" if _DRAWN.search(why) else "input" if _GIVEN.search(why) else ""
        error = filtered(context, f"moderation kept the picture back ({why})", stage=stage)
    else:
        error = context.told(Reason.PROVIDER_ERROR, why, billed=Billed.UNKNOWN)
    error.provider_code = context.name(told)
    return error


def _error_of(
    context: ErrorContext, code: str, payload: Mapping[str, object], *, in_success: bool = False
) -> ImageError:
    text = _text(payload)
    # Cleaned first: the caller's words must not decide what is wrong.
    message = _ACCOUNT.sub(r"\1***", context.clean(text or code))
    usual = Reason.PROVIDER_ERROR if in_success else reason_of(context.status)
    if usual is Reason.MODEL_NOT_FOUND:
        # Without a type that says so it is the address that leads nowhere.
        usual = Reason.PROVIDER_ERROR
    reason = _REASONS.get(code.removesuffix("Exception"), usual)
    if in_success or reason in _SAYS_LITTLE:
        reason = next((found for words, found in _WORDS if words.search(message)), reason)
    stage, billed = "", Billed.UNKNOWN if in_success else None
    if reason is Reason.CONTENT_FILTERED:
        stage, billed = (
            "output" if _DRAWN.search(message) else "input" if _GIVEN.search(message) else "",
            Billed.UNKNOWN,
        )
    elif not in_success and surely_refused(context.status) and context.status != _FAILED_DEPENDENCY:
        billed = Billed.NO
    wait = retry_after(context.headers)
    return context.told(
        reason,
        message,
        code=code,
        billed=billed,
        stage=stage,
        wait=wait_in_text(text) if wait is None else wait,
        violations=_violations(context, text, message),
    )


def _code(context: ErrorContext, payload: Mapping[str, object]) -> str:
    """Tell the type: without the address behind it and the namespace before it."""
    told = context.headers.get("x-amzn-errortype") or payload.get("__type") or payload.get("code") or ""
    return str(told).partition(":")[0].rpartition("#")[2].strip()


def _text(payload: Mapping[str, object]) -> str:
    """Tell the words, from within the JSON that a model may have put them in."""
    said = _said(payload)
    return (_said(read_object(said.encode(errors="replace"))) if said.startswith("{") else "") or said


def _said(payload: Mapping[str, object]) -> str:
    return next((told for key in _SAID_UNDER if isinstance(told := payload.get(key), str) and told), "")


def _violations(context: ErrorContext, text: str, message: str) -> list[Violation]:
    """Name the field as the caller knows it, where the vendor tells it."""
    found = _FIELD.search(text)
    name = context.name(next(filter(None, found.groups()), "")) if found else ""
    if not name:
        return []
    if name in PARAM_OPTIONS:
        return [Violation(f"options.{PARAM_OPTIONS[name]}", message)]
    return [Violation(_FIELDS.get(name) or f"params.{context.provider}.{name}", message)]
