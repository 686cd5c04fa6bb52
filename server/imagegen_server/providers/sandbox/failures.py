"""An error for every reason of the contract, with facts as a real provider or the server would give them."""

from dataclasses import dataclass

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation


@dataclass(frozen=True, slots=True)
class _Script:
    """How an error of one reason looks. `http_status` None = it is not a provider's answer."""

    message: str
    http_status: int | None = None
    provider_code: str = ""
    retry_after: float | None = None
    violation: Violation | None = None


_SCRIPTS = {
    Reason.AUTHENTICATION_FAILED: _Script("the provider refused the key", 401, "invalid_api_key"),
    Reason.RATE_LIMITED: _Script("too many requests", 429, "rate_limit_exceeded", 1.0),
    Reason.CONTEXT_LENGTH_EXCEEDED: _Script("the prompt is too long", 413, "context_length_exceeded"),
    Reason.MODEL_NOT_FOUND: _Script("no such model", 404, "model_not_found"),
    Reason.INVALID_REQUEST: _Script(
        "the request is malformed",
        400,
        "invalid_value",
        violation=Violation("input.prompt", "scripted: name another prompt"),
    ),
    Reason.INVALID_RESPONSE: _Script("the answer could not be read", 200),
    Reason.CONTENT_FILTERED: _Script("moderation refused", 400, "moderation_blocked"),
    Reason.QUOTA_EXCEEDED: _Script("the credits are used up", 429, "insufficient_quota"),
    Reason.PROVIDER_ERROR: _Script("the provider failed", 500, "server_error"),
    Reason.NETWORK_ERROR: _Script("the connection broke"),
    Reason.TIMEOUT: _Script("the provider did not finish in time"),
    Reason.CANCELLED: _Script("the provider stopped the generation"),
    Reason.PROVIDER_UNAVAILABLE: _Script("the provider is overloaded", 503, "overloaded", 1.0),
    Reason.PROVIDER_NOT_CONFIGURED: _Script("no such provider"),
    Reason.OPERATION_NOT_SUPPORTED: _Script("the model cannot do this"),
    Reason.OPTION_NOT_SUPPORTED: _Script(
        "an option would not be honoured",
        violation=Violation("options.quality", "scripted: leave it out"),
    ),
    Reason.INPUT_NOT_FETCHED: _Script(
        "an input could not be fetched",
        violation=Violation("input.images[0].url", "scripted: the host answered 404"),
    ),
    Reason.CALLER_UNAUTHENTICATED: _Script("no valid token"),
    Reason.CALLER_NOT_ALLOWED: _Script("the caller may not use this model"),
    Reason.CALLER_LIMIT_EXCEEDED: _Script("the caller's limit is reached", retry_after=1.0),
    Reason.SERVER_BUSY: _Script("the server has all the work it may have", retry_after=1.0),
    Reason.SHUTTING_DOWN: _Script("the server is ending"),
    Reason.STORE_UNAVAILABLE: _Script("the store does not answer"),
    Reason.DEADLINE_TOO_SHORT: _Script("less than a second is left"),
    Reason.REQUEST_ID_REUSED: _Script("this request_id was used for another wish"),
    Reason.RESULT_EXPIRED: _Script("the images are gone by now"),
    Reason.GENERATION_NOT_FOUND: _Script("no such generation"),
    Reason.IMAGE_NOT_FOUND: _Script("no such image"),
    Reason.INTERNAL_ERROR: _Script("a fault of the server"),
    Reason.WRONG_INSTANCE: _Script("another process made this id"),
}


def scripted_error(
    reason: Reason,
    *,
    request_id: str = "",
    retry_after: float | None = None,
    stage: str = "input",
    sent: bool = True,
    accepted: bool = False,
) -> ImageError:
    """Make the error. `retry_after` replaces the wait of reasons that have one; `accepted`: work had begun.

    What is refused before work began is not billed where the contract says so; after that nobody can be sure.
    """
    script = _SCRIPTS[reason]
    filtered_output = reason is Reason.CONTENT_FILTERED and stage == "output"
    error = ImageError(
        reason,
        f"scripted: {script.message}",
        stage=stage if reason is Reason.CONTENT_FILTERED else "",
        sent=sent,
        http_status=200 if filtered_output else script.http_status,
        provider_code=script.provider_code,
        provider_request_id="" if script.http_status is None else request_id,
        retry_after=script.retry_after if retry_after is None or script.retry_after is None else retry_after,
        violations=[script.violation] if script.violation else [],
    )
    if accepted and error.billed is Billed.NO:
        error.billed = Billed.UNKNOWN
    return error
