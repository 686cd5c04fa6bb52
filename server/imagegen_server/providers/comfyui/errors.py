"""What the server's errors mean.

A graph that it refuses: `{"error": {"type", "message", "details", "extra_info"}, "node_errors": {node: {"errors":
[...], "class_type"}}}`. A prompt that failed: `execution_error` with the node, the exception's type and its words.
Source: `execution.py`, `validate_prompt` and `handle_execution_error`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object

from .frames import text
from .graphs import CHECKPOINT
from .workflow import IMAGES, Workflow

BLOCKED = "ExecutionBlocked"
"""The type of what a node says that keeps others from running; what does not depend on it goes on."""

_NOT_IN_LIST, _NO_NODE_TYPE = "value_not_in_list", "missing_node_type"
_NO_NODE_TYPE_ONCE = re.compile(r"node \S.* does not exist")
"""How versions before 2026 say the latter, whose type is `invalid_prompt`."""

_OPTIONS = {
    "prompt": "input.prompt",
    "negative_prompt": "options.negative_prompt",
    "seed": "options.seed",
    "width": "options.size",
    "height": "options.size",
    "batch_size": "options.count",
    "mask": "input.mask",
    CHECKPOINT: "model",
    **{name: f"input.images[{position}]" for position, name in enumerate(IMAGES)},
}
"""How a caller says a field."""

_BY_WORDS = (
    (re.compile(r"payment required|add credits", re.IGNORECASE), Reason.QUOTA_EXCEEDED),
    (re.compile(r"please login first|unauthorized", re.IGNORECASE), Reason.AUTHENTICATION_FAILED),
)
"""What the nodes say that ask paid services. Source: issues of Comfy-Org/ComfyUI on API nodes."""

_MOST_LISTED = 20


def error_of_answer(
    context: ErrorContext, body: bytes, workflow: Workflow | None = None, model: str = ""
) -> ImageError:
    """Read an answer that is a failure. With the `workflow` that was refused its fields are named."""
    payload = read_object(body)
    error = payload.get("error")
    found = list(_node_errors(context, payload.get("node_errors")))
    if isinstance(error, str) and error:
        error = {"message": error}
    if not isinstance(error, Mapping) and not found:
        return context.unreadable()
    told = error if isinstance(error, Mapping) else {}
    code, message = text(told.get("type")), _words(context, told)
    no_node_type = code == _NO_NODE_TYPE or bool(code and _NO_NODE_TYPE_ONCE.search(message))
    if no_node_type or _no_such_checkpoint(found, workflow, model):
        said = message if no_node_type else f"the server has no checkpoint {context.name(model)!r}"
        return context.told(Reason.MODEL_NOT_FOUND, said, code=code, billed=Billed.NO)
    if not code and not found:
        return _plain(context, message)
    violations = [Violation(_field(context, one, workflow), one.message) for one in found]
    said = "; ".join(one.sentence for one in found) or message or code
    return context.told(Reason.INVALID_REQUEST, said[:500], code=code, billed=Billed.NO, violations=violations)


def left_out(context: ErrorContext, node_errors: object) -> list[str]:
    """Say what of a graph that was taken is not run, as it is wrong."""
    return [one.sentence for one in _node_errors(context, node_errors)]


def error_of_execution(context: ErrorContext, data: Mapping[str, object]) -> ImageError:
    """Read what an `execution_error` says."""
    node, kind = text(data.get("node_id")), text(data.get("node_type"))
    words = context.clean(text(data.get("exception_message")).strip())
    code = text(data.get("exception_type"))
    reason = next((reason for pattern, reason in _BY_WORDS if pattern.search(words)), Reason.PROVIDER_ERROR)
    where = context.name(f"node {node} ({kind})" if kind else f"node {node}" if node else "a node")
    return context.told(reason, f"{where}: {words or context.name(code) or 'failed'}", code=code, billed=Billed.UNKNOWN)


def interrupted(context: ErrorContext) -> ImageError:
    """Say that somebody stopped the prompt on the server."""
    return context.told(Reason.PROVIDER_ERROR, "the prompt was interrupted on the server", billed=Billed.UNKNOWN)


def lost(context: ErrorContext) -> ImageError:
    """Say that the server knows nothing of a prompt that it had taken on."""
    message = "the server no longer knows the prompt: it was restarted, or its queue was cleared"
    return context.told(Reason.PROVIDER_ERROR, message, billed=Billed.UNKNOWN)


class _NodeError:
    """What is wrong with a node. The texts are cleaned."""

    def __init__(self, context: ErrorContext, node: str, class_type: str, error: Mapping[str, object]) -> None:
        info = error.get("extra_info")
        self.node = node
        self.input = text(info.get("input_name")) if isinstance(info, Mapping) else ""
        self.kind = text(error.get("type"))
        self.message = _words(context, error) or context.name(self.kind) or "is wrong"
        where = f"node {node} ({class_type})" if class_type else f"node {node}"
        self.sentence = f"{context.name(where)}: {self.message}"


def _node_errors(context: ErrorContext, told: object) -> Iterator[_NodeError]:
    for node, entry in list(told.items())[:_MOST_LISTED] if isinstance(told, Mapping) else []:
        errors = entry.get("errors") if isinstance(entry, Mapping) else None
        for error in errors[:_MOST_LISTED] if isinstance(errors, list) else []:
            if isinstance(error, Mapping):
                yield _NodeError(context, str(node), text(entry.get("class_type")), error)


def _no_such_checkpoint(found: Sequence[_NodeError], workflow: Workflow | None, model: str) -> bool:
    """Tell whether it is the model that the server does not have."""
    return any(
        one.kind == _NOT_IN_LIST and workflow and model and workflow.field_at(one.node, one.input) == CHECKPOINT
        for one in found
    )


def _plain(context: ErrorContext, message: str) -> ImageError:
    """Read an error of other routes, or of a proxy: words alone."""
    error = context.unreadable()
    if not message:
        return error
    billed = error.billed if error.billed_told else None
    return context.told(error.reason, message, billed=billed, wait=error.retry_after)


def _field(context: ErrorContext, one: _NodeError, workflow: Workflow | None) -> str:
    """Name an input as the caller knows it."""
    field = workflow.field_at(one.node, one.input) if workflow else ""
    if not field:
        place = f"{one.node}.inputs.{one.input}" if one.input else one.node
        return f"params.{context.provider}.{context.name(place)}"
    return _OPTIONS.get(field, f"params.{context.provider}.{field}")


def _words(context: ErrorContext, error: Mapping[str, object]) -> str:
    """Put what an error says together."""
    message, details = (text(error.get(name)).strip() for name in ("message", "details"))
    if not details or details == message:
        return context.clean(message)
    return context.clean(f"{message.rstrip('.')}: {details}" if message else details)
