"""The four forms of a call, used alike."""

from typing import Any

import grpc
import pytest

from tests.parity.service import Service, change, draw
from tests.support.calls import Refusal, refusal, watch
from tests.support.server import open_unary

FORMS = ("Generate", "StreamGenerate", "Edit", "StreamEdit")


def begin(service: Service, form: str, **fields: Any) -> "grpc.aio.UnaryStreamCall[Any, Any]":
    """Call one of them; its early metadata can be awaited."""
    request = change(**fields) if form.endswith("Edit") else draw(**fields)
    if form.startswith("Stream"):
        made: grpc.aio.UnaryStreamCall[Any, Any] = getattr(service.server.images, form)(request)
        return made
    return open_unary(service.server, request)


async def call(service: Service, form: str, **fields: Any) -> Any:
    """Call one of them, and wait for its result."""
    made = begin(service, form, **fields)
    if form.startswith("Stream"):
        return (await watch(made)).result
    (result,) = [result async for result in made]
    return result


async def failure_of(made: "grpc.aio.UnaryStreamCall[Any, Any]") -> Refusal:
    """Wait for the error of a call, and take it apart."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _read(made)
    return refusal(caught.value)


async def refused(made: "grpc.aio.UnaryStreamCall[Any, Any]") -> str:
    """Wait for the error of a call; tells its reason."""
    return (await failure_of(made)).reason


async def _read(made: "grpc.aio.UnaryStreamCall[Any, Any]") -> None:
    async for _ in made:
        pass
