"""Several servers of one process that share a Redis, as workers and replicas do."""

import secrets
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from imagegen.v1 import image_stream_pb2
from imagegen_server.app import App
from imagegen_server.config import StoreTable
from imagegen_server.store.redis.store import RedisStore

from .calls import Refusal, refusal
from .provider import ScriptedProvider
from .server import Running, as_config, running_server


def store_at(url: str, **further: Any) -> StoreTable:
    """Set a store up in a part of Redis that no other test uses."""
    return StoreTable.model_validate({"url": url, "prefix": secrets.token_hex(8), **further})


@asynccontextmanager
async def sharing_servers(store: StoreTable, *providers: ScriptedProvider) -> AsyncIterator[list[Running]]:
    """Serve once for each provider, which each of them knows as "test", with one store for all."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running_server(as_config("test", provider), store=store))
            for provider in providers
        ]


def redis_store(app: App) -> RedisStore:
    """Get at the store of a server."""
    assert isinstance(app.store, RedisStore)
    return app.store


async def refused(call: Awaitable[object]) -> Refusal:
    """Tell what a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal(caught.value)


async def reason_of(call: Awaitable[object]) -> str | None:
    """Tell what a call is refused for; None = it is not."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return refusal(error).reason
    return None


async def until(stream: Any, kind: str) -> image_stream_pb2.ImageStreamEvent:
    """Read on until an event of this kind."""
    async for event in stream:
        if event.HasField(kind):
            found: image_stream_pb2.ImageStreamEvent = event
            return found
    raise AssertionError(f"no {kind}")
