"""Running the command against a scripted server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import cast

import grpc
from click.testing import Result
from imagegen.v1 import image_service_pb2

from tests.unit.client.fake_server import (
    Context,
    Event,
    FakeServer,
    StreamScript,
    Wish,
    error_info,
    started,
    status_trailer,
)

Run = Callable[..., Result]


def generated(server: FakeServer) -> image_service_pb2.GenerateRequest:
    """The last request for new pictures."""
    return cast("image_service_pb2.GenerateRequest", server.last.request)


def failing(code: grpc.StatusCode, reason: str, message: str, **metadata: str) -> StreamScript:
    """A script that fails with a reason."""

    async def script(_request: Wish, context: Context) -> AsyncIterator[Event]:
        await context.abort(code, message, (status_trailer(code, message, error_info(reason, **metadata)),))
        yield started()

    return script
