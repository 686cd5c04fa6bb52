"""What the errors of such servers mean.

Sources: modules/api/api.py of AUTOMATIC1111/stable-diffusion-webui (`{error, detail, body, errors}`), of Forge
(FastAPI's own `{detail}`) and of SD.Next, routes_sdapi.cpp of stable-diffusion.cpp (`{error}`, `{error, message}`),
koboldcpp.py (`{detail: {msg, type}}`).
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.retry_after import retry_after, wait_in_text
from imagegen_server.http.status import reason_of, surely_refused

_BY_WORDS = (
    (r"sampler(?: name)? not found|(?:unknown|invalid) sampler", Reason.INVALID_REQUEST, "sampler_name"),
    (r"scheduler(?: name)? not found|(?:unknown|invalid) scheduler", Reason.INVALID_REQUEST, "scheduler"),
    (r"init image (?:not found|is none)", Reason.INVALID_REQUEST, "init_images"),
    (r"invalid (?:encoded image|image url)|cannot identify image", Reason.INVALID_REQUEST, "init_images"),
    (r"always ?on script", Reason.INVALID_REQUEST, "alwayson_scripts"),
    (r"\bscript\b.{0,200}not found", Reason.INVALID_REQUEST, "script_name"),
    (r"invalid lora path|lora\.path required", Reason.INVALID_REQUEST, "lora"),
    (r"\b(?:model|checkpoint)\b.{0,200}not found", Reason.MODEL_NOT_FOUND, ""),
    (r"prompt required", Reason.INVALID_REQUEST, "prompt"),
    (r"width and height must be", Reason.INVALID_REQUEST, "width"),
    (r"(?:server|model) is busy|queue is full", Reason.PROVIDER_UNAVAILABLE, ""),
)
"""What is looked for in what was said; the first that is found counts, and names the field that is wrong."""

_WORDS = tuple((re.compile(words, re.IGNORECASE | re.DOTALL), reason, field) for words, reason, field in _BY_WORDS)
_NO_MEMORY = re.compile(r"out of memory|OutOfMemoryError|not enough memory", re.IGNORECASE)
_FIELDS = {
    "prompt": "input.prompt",
    "init_images": "input.images[0]",
    "mask": "input.mask",
    "width": "options.size",
    "height": "options.size",
    "seed": "options.seed",
    "negative_prompt": "options.negative_prompt",
    "batch_size": "options.count",
    "sd_model_checkpoint": "model",
}
_NO_SUCH_ROUTE = (404, 405)
_MOST_LISTED = 20
_MOST_STEPS = 8
"""Of the way to a field that is wrong."""


def error_of_answer(context: ErrorContext, body: bytes, samplers: Sequence[str] = ()) -> ImageError:
    """Read the answer to a request that failed. `samplers` are those that the server is known to have."""
    payload = read_object(body)
    code, text, entries = _said(payload)
    if not text and not entries and not code:
        return context.unreadable()
    violations = [_violation(context, entry) for entry in entries]
    # Cleaned first: the caller's words must not decide what is wrong.
    message = context.clean(text or "; ".join(f"{at.field}: {at.description}" for at in violations) or code)
    reason, field = reason_of(context.status), ""
    if reason in (Reason.INVALID_REQUEST, Reason.MODEL_NOT_FOUND, Reason.PROVIDER_ERROR):
        found = ((reason, field) for words, reason, field in _WORDS if words.search(message))
        reason, field = next(found, (_without_words(context.status), ""))
    if context.status in _NO_SUCH_ROUTE and reason is Reason.PROVIDER_ERROR:
        message += f" ({context.host} has no such API: it must be started with --api, and base_url must be right)"
    if _NO_MEMORY.search(f"{code} {message}"):
        message += " (the GPU's memory does not hold such a picture: smaller ones, or fewer at once)"
    if field:
        have = f"; it has {', '.join(samplers)}" if samplers and field == "sampler_name" else ""
        violations.append(Violation(_place(context, [field]), message + have))
    return context.told(
        reason,
        message,
        code=code,
        billed=Billed.NO if surely_refused(context.status) else None,
        wait=_wait(context, text),
        violations=violations,
    )


def error_in_success(context: ErrorContext, payload: Mapping[str, object]) -> ImageError | None:
    """Read the error that stands in an answer of success, in the place of pictures; None = there is none."""
    code, text, _ = _said(payload)
    what = context.clean(text or code)
    return context.told(Reason.PROVIDER_ERROR, what, code=code) if what else None


def _said(payload: Mapping[str, object]) -> tuple[str, str, list[Mapping[str, object]]]:
    """Find the name of an error, its words, and the fields that it is about."""
    detail, error, errors = payload.get("detail"), _text(payload.get("error")), _text(payload.get("errors"))
    entries = [entry for entry in detail[:_MOST_LISTED] if isinstance(entry, Mapping)] if _is_list(detail) else []
    code, text = "", _text(detail)
    if isinstance(detail, Mapping):
        code = _text(detail.get("type")) or _text(detail.get("error"))
        text = _text(detail.get("msg")) or _text(detail.get("message")) or code
    told = text or errors or _text(payload.get("message"))
    # A name beside words; alone, it is the words.
    return (code or error, told, entries) if told or entries else (code, error, entries)


def _without_words(status: int) -> Reason:
    """Name the reason of a status: one that leads to no route is no matter of a model."""
    return Reason.PROVIDER_ERROR if status in _NO_SUCH_ROUTE else reason_of(status)


def _violation(context: ErrorContext, entry: Mapping[str, object]) -> Violation:
    loc = entry.get("loc")
    names = [str(part) for part in loc[:_MOST_STEPS] if part not in ("body", "query")] if _is_list(loc) else []
    return Violation(_place(context, names), context.clean(_text(entry.get("msg"))) or "is refused by the server")


def _place(context: ErrorContext, names: list[str]) -> str:
    """Name the field of our own request that a field of the server's comes from."""
    own = next((_FIELDS[name] for name in reversed(names) if name in _FIELDS), "")
    if own:
        return own
    return ".".join((f"params.{context.provider}", *(context.name(name) for name in names)))


def _wait(context: ErrorContext, text: str) -> float | None:
    told = retry_after(context.headers)
    return wait_in_text(text) if told is None else told


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
