"""Explain."""

from imagegen.v1 import image_service_pb2

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.generation.engine import Engine
from imagegen_server.generation.explain import Explainer, PlannedCall

from .boundary import note
from .callers import current_caller
from .decode import decode
from .encode import cost_message, text, warning_messages

_NANOS = 1_000_000_000
MAX_BODY_BYTES = 1024 * 1024
"""Of the text of one call; what is longer is cut."""
MAX_BODIES_BYTES = 3 * 1024 * 1024
"""Of all calls together: plain clients take 4 MiB."""


async def explain(
    engine: Engine, explainer: Explainer, request: image_service_pb2.ExplainRequest
) -> image_service_pb2.ExplainResponse:
    """Tell what a request would do.

    :raises ImageError: SHUTTING_DOWN, SERVER_BUSY, CALLER_LIMIT_EXCEEDED, INVALID_REQUEST, or as Explainer.explain
    """
    engine.require_serving()
    kind = request.WhichOneof("request")
    if kind is None:
        problem = "is required, or edit"
        raise ImageError(Reason.INVALID_REQUEST, f"generate: {problem}", violations=[Violation("generate", problem)])
    explained = request.generate if kind == "generate" else request.edit
    decoded = decode(explained, preview_default=0)
    note(model=explained.model)
    caller = current_caller()
    async with engine.readers.counted(caller, decoded.wish.input_bytes) as ticket:
        calls = await explainer.explain(decoded.wish, caller, ticket, decoded.violations, decoded.warnings)
    note(calls=len(calls))
    most = min(MAX_BODY_BYTES, MAX_BODIES_BYTES // len(calls))
    return image_service_pb2.ExplainResponse(calls=[_planned_call(call, most) for call in calls])


def _planned_call(call: PlannedCall, most_body_bytes: int) -> image_service_pb2.PlannedCall:
    message = image_service_pb2.PlannedCall(
        model=text(call.model),
        method=call.method,
        url=text(call.url),
        body=_cut(call.body, most_body_bytes),
        requests=call.requests,
        warnings=warning_messages(call.warnings),
        expected_cost=cost_message(call.cost) if call.cost else None,
    )
    if call.usual_seconds is not None:
        message.expected_duration.FromNanoseconds(int(call.usual_seconds * _NANOS))
    return message


def _cut(body: str, most_bytes: int) -> str:
    size = len(body.encode("utf-8", "replace"))
    if size <= most_bytes:
        return text(body)
    return f"{text(body, most_bytes)}\n... cut: {size} bytes in all"
