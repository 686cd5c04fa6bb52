"""A whole server on a free loopback port, with the providers of the test."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import grpc
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc, model_service_pb2_grpc
from imagegen_server.app import App
from imagegen_server.config import Config, ProviderConfig, ServerTable, StoreTable, load_config
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.providers.base import Provider, ProviderType
from imagegen_server.providers.registry import installed_types
from imagegen_server.providers.sandbox import PROVIDER as SANDBOX
from imagegen_server.rpc.image_service import DeliverySettings
from imagegen_server.store.memory import MemoryStore


@dataclass(frozen=True)
class Running:
    """A server that serves, and plain stubs with default options to call it."""

    app: App
    address: str
    channel: grpc.aio.Channel
    images: "image_service_pb2_grpc.ImageServiceAsyncStub"
    models: "model_service_pb2_grpc.ModelServiceAsyncStub"

    @property
    def memory(self) -> MemoryStore:
        """The store of a server that shares none."""
        assert isinstance(self.app.store, MemoryStore)
        return self.app.store


def open_unary(
    server: Running, request: image_service_pb2.GenerateRequest | image_service_pb2.EditRequest
) -> "grpc.aio.UnaryStreamCall[Any, image_pb2.ImageResult]":
    """Call Generate or Edit so that its early metadata can be awaited.

    The stub of grpc.aio shows the metadata of a unary call only with its answer; on the wire a call that streams its
    one answer is the same.
    """
    method = "Generate" if isinstance(request, image_service_pb2.GenerateRequest) else "Edit"
    call: grpc.aio.UnaryStreamMultiCallable[Any, image_pb2.ImageResult] = server.channel.unary_stream(
        f"/imagegen.v1.ImageService/{method}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=image_pb2.ImageResult.FromString,
    )
    return call(request)


async def answer(call: "grpc.aio.UnaryStreamCall[Any, image_pb2.ImageResult]") -> image_pb2.ImageResult:
    """Await the one answer of a call that was opened by `open_unary`."""
    (result,) = [result async for result in call]
    return result


async def nothing_left(server: Running) -> None:
    """Wait until the server holds nothing of any call."""
    async with asyncio.timeout(30):
        while server.app.admission.calls or server.app.admission.bytes_in_flight:  # noqa: ASYNC110 - counters, no events
            await asyncio.sleep(0)


@dataclass(frozen=True)
class NoSettings:
    """The settings of a provider that is already made."""


ONCE = UpstreamSettings(retry=RetrySettings(strategy="none"))


def as_config(
    name: str, provider: Provider, timeout: float = 600.0, upstream: UpstreamSettings = ONCE
) -> ProviderConfig:
    """Make a provider that exists look like one from the configuration, of the type "scripted"; nothing is retried."""
    kind = ProviderType("scripted", NoSettings, lambda _name, _settings: provider)
    return ProviderConfig(name, kind, NoSettings(), timeout, upstream=upstream)


@asynccontextmanager
async def configured_server(**environment: str) -> AsyncIterator[str]:
    """Serve on a free port as `imagegen-server serve` does in this environment, but for the process; give the address.

    For what is no matter of processes: to start one takes a second.
    """
    with patch.dict(os.environ, environment):
        app = App(load_config(installed_types(), listen="127.0.0.1:0"))
        address = await app.start()
    try:
        yield address
    finally:
        await app.stop(drain=0)


@asynccontextmanager
async def running_server(
    *providers: ProviderConfig,
    sandbox: bool = False,
    server: ServerTable | None = None,
    store: StoreTable | None = None,
    aliases: Mapping[str, Sequence[str]] | None = None,
    delivery: DeliverySettings | None = None,
    slow_reader: float = 60.0,
) -> AsyncIterator[Running]:
    """Serve on a free port until the block ends."""
    if sandbox:
        providers += (ProviderConfig("sandbox", SANDBOX, SANDBOX.settings(), 600.0, upstream=ONCE),)
    table = (server or ServerTable()).model_copy(update={"listen": "127.0.0.1:0"})
    app = App(Config(table, store or StoreTable(), providers, aliases or {}), delivery, slow_reader=slow_reader)
    address = await app.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Running(
                app,
                address,
                channel,
                image_service_pb2_grpc.ImageServiceStub(channel),
                model_service_pb2_grpc.ModelServiceStub(channel),
            )
    finally:
        await app.stop(drain=0)
