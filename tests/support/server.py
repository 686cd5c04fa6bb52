"""A whole server on a free loopback port, with the providers of the test."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from imagegen.v1 import image_service_pb2_grpc, model_service_pb2_grpc
from imagegen_server.app import App
from imagegen_server.config import Config, ProviderConfig, ServerTable, StoreTable
from imagegen_server.providers.base import Provider, ProviderType
from imagegen_server.providers.sandbox import PROVIDER as SANDBOX
from imagegen_server.rpc.image_service import DeliverySettings


@dataclass(frozen=True)
class Running:
    """A server that serves, and plain stubs with default options to call it."""

    app: App
    address: str
    channel: grpc.aio.Channel
    images: "image_service_pb2_grpc.ImageServiceAsyncStub"
    models: "model_service_pb2_grpc.ModelServiceAsyncStub"


@dataclass(frozen=True)
class NoSettings:
    """The settings of a provider that is already made."""


def as_config(name: str, provider: Provider, timeout: float = 600.0) -> ProviderConfig:
    """Make a provider that exists look like one from the configuration; its type is "scripted"."""
    kind = ProviderType("scripted", NoSettings, lambda _name, _settings: provider)
    return ProviderConfig(name, kind, NoSettings(), timeout)


@asynccontextmanager
async def running_server(
    *providers: ProviderConfig,
    sandbox: bool = False,
    server: ServerTable | None = None,
    store: StoreTable | None = None,
    aliases: Mapping[str, str] | None = None,
    delivery: DeliverySettings | None = None,
) -> AsyncIterator[Running]:
    """Serve on a free port until the block ends."""
    if sandbox:
        providers += (ProviderConfig("sandbox", SANDBOX, SANDBOX.settings(), 600.0),)
    table = (server or ServerTable()).model_copy(update={"listen": "127.0.0.1:0"})
    app = App(Config(table, store or StoreTable(), providers, aliases or {}), delivery)
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
