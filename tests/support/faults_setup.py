"""Servers and providers set up for trouble, and what a client sees of it."""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc, image_stream_pb2
from imagegen_server.config import ProviderConfig
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpSettings
from imagegen_server.providers.openai import PROVIDER, OpenAISettings

PATIENCE = 30.0
"""Seconds after which a test fails instead of hanging. Nothing takes that long."""

KEY = "sk-test"
OPENAI_MODEL = "openai/gpt-image-2"
QUICK_RETRIES = RetrySettings(max_attempts=3, base_delay=0.01)

Event = image_stream_pb2.ImageStreamEvent


def remote(base_url: str, *, retry: RetrySettings = QUICK_RETRIES, timeout: float = 600.0) -> ProviderConfig:
    """Set the provider `openai` up, which believes that its vendor is at `base_url`. It retries soon."""
    upstream = UpstreamSettings((ProviderKey(Secret(KEY)),), retry=retry)
    http = HttpSettings(base_url)
    return ProviderConfig("openai", PROVIDER, OpenAISettings(), timeout, http=http, upstream=upstream)


def remote_environment(base_url: str, **keys: str) -> dict[str, str]:
    """Say the same to a server process; `keys` of the provider's table. Nothing is repeated."""
    table = {"BASE_URL": base_url, "RETRY__STRATEGY": "none", **keys}
    return {"OPENAI_API_KEY": KEY, **{f"IMAGEGEN__PROVIDERS__OPENAI__{name}": value for name, value in table.items()}}


@asynccontextmanager
async def connected(
    address: str, *, service_config: dict[str, Any] | None = None
) -> "AsyncIterator[image_service_pb2_grpc.ImageServiceAsyncStub]":
    """Call by plain stubs with default options, over a connection that no other channel of this process shares."""
    async with own_channel(address, service_config=service_config) as channel:
        yield image_service_pb2_grpc.ImageServiceStub(channel)


@asynccontextmanager
async def own_channel(address: str, *, service_config: dict[str, Any] | None = None) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel with a connection of its own, which is made again soon when it breaks."""
    options: list[tuple[str, object]] = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
    ]
    if service_config:
        options += [("grpc.service_config", json.dumps(service_config)), ("grpc.enable_retries", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield channel


def resume(after: int = 0, *, generation_id: str = "", request_id: str = "") -> image_service_pb2.ResumeRequest:
    """Ask to read on, by one of the two ids."""
    if generation_id:
        return image_service_pb2.ResumeRequest(after_sequence=after, generation_id=generation_id)
    return image_service_pb2.ResumeRequest(after_sequence=after, request_id=request_id)


async def first(stream: AsyncIterable[Event], count: int) -> list[Event]:
    """Read so many events and not one more."""
    events: list[Event] = []
    if count:
        async for event in stream:
            events.append(event)
            if len(events) == count:
                break
    return events


async def joined(before: Sequence[Event], stream: AsyncIterable[Event]) -> AsyncIterator[Event]:
    """Put together what a reader had and what it was sent when it came back."""
    for event in before:
        yield event
    async for event in stream:
        yield event


async def read_image(images: "image_service_pb2_grpc.ImageServiceAsyncStub", image_id: str) -> bytes:
    """Read a whole image by its id."""
    stream = images.ReadImage(image_service_pb2.ReadImageRequest(image_id=image_id))
    return b"".join([part.data async for part in stream])


def untold(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether a status was made by the transport or a proxy: what became of the call is unknown."""
    return "imagegen-reason" not in dict(error.trailing_metadata() or ())


async def within(event: asyncio.Event, seconds: float = PATIENCE) -> None:
    """Wait for an event, and fail instead of hanging."""
    async with asyncio.timeout(seconds):
        await event.wait()
