"""What a request would do, without doing it."""

from __future__ import annotations

from dataclasses import dataclass

from imagegen._connection import Connection
from imagegen._result import Cost, ImageWarning, cost_from_proto, warnings_from_proto
from imagegen._rpc import answer
from imagegen._times import seconds_in
from imagegen.v1 import image_service_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """One provider call that would be made."""

    model: str
    """ "provider/model"."""
    method: str
    """HTTP method, or "GRPC". Empty = the server's own, such as the sandbox: nothing is sent."""
    url: str
    """Where it would go, without secrets. Empty as `method`."""
    body: str
    """The exact text; images as "<sha256, n bytes>", keys as "***"."""
    requests: int
    """Provider requests that this fans out into."""
    warnings: tuple[ImageWarning, ...] = ()
    """What it would not do as asked."""
    expected_duration: float | None = None
    """Median seen by the server, in seconds. None = unknown."""
    expected_cost: Cost | None = None
    """From the operator's price table. None = unknown."""


async def explain(
    connection: Connection,
    request: image_service_pb2.GenerateRequest | image_service_pb2.EditRequest,
    limit: float | None,
) -> tuple[PlannedCall, ...]:
    """The calls that `request` would lead to, in the order in which they would be tried; asked within `limit` seconds.

    Raises:
        ImageGenError: the request would be refused, or the server could not be asked.
    """
    if isinstance(request, image_service_pb2.GenerateRequest):
        asked = image_service_pb2.ExplainRequest(generate=request)
    else:
        asked = image_service_pb2.ExplainRequest(edit=request)
    told = await answer(connection.call(connection.images.Explain, asked, limit), free=True)
    return tuple(_planned_call(call) for call in told.calls)


def _planned_call(call: image_service_pb2.PlannedCall) -> PlannedCall:
    return PlannedCall(
        model=call.model,
        method=call.method,
        url=call.url,
        body=call.body,
        requests=call.requests,
        warnings=warnings_from_proto(call.warnings),
        expected_duration=seconds_in(call, "expected_duration"),
        expected_cost=cost_from_proto(call.expected_cost) if call.HasField("expected_cost") else None,
    )
