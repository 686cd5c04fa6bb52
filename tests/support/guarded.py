"""Servers that ask who calls, and calls of those who are known."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from imagegen.v1 import image_pb2, image_service_pb2, model_service_pb2, model_service_pb2_grpc
from imagegen_server.config import ServerTable, StoreTable

from .callers import TOKEN, Safe
from .server import Running, running_server

LIST = model_service_pb2.ListModelsRequest()


@asynccontextmanager
async def guarded(
    safe: Safe, *, client_ca: bool = False, callers: str | None = "", store: StoreTable | None = None
) -> AsyncIterator[Running]:
    """Serve with TLS; `callers` is the text of the file of callers, "" = `billing` alone, None = no file."""
    tokens = None if callers is None else safe.tokens(callers)
    table = ServerTable(tls=safe.tls(client_ca=client_ca), tokens=tokens)
    async with running_server(sandbox=True, server=table, store=store) as server:
        yield server


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Write a token as the metadata of a call."""
    return (("authorization", f"Bearer {token}"),)


def drawing(model: str = "sandbox/scene", count: int = 1) -> image_service_pb2.GenerateRequest:
    """Ask for small pictures."""
    options = image_pb2.ImageOptions(count=count, size=image_pb2.PixelSize(width=64, height=48))
    return image_service_pb2.GenerateRequest(model=model, input=image_pb2.ImageInput(prompt="a boat"), options=options)


async def names(channel: grpc.aio.Channel, token: str | None = TOKEN) -> list[str]:
    """List the models that a caller sees."""
    metadata = bearer(token) if token else ()
    answer = await model_service_pb2_grpc.ModelServiceStub(channel).ListModels(LIST, metadata=metadata)
    return [model.name for model in answer.models]
