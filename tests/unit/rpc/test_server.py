"""Where the server listens, and what it answers besides our services."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from imagegen.v1 import image_service_pb2
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.generation.plan import Planner
from imagegen_server.generation.uploads import Uploads
from imagegen_server.providers.registry import Registry
from imagegen_server.rpc.image_service import DeliverySettings, ImageService
from imagegen_server.rpc.model_service import ModelService
from imagegen_server.rpc.server import SERVICES, ListenSettings, Server, channel_options, health_name

from tests.support.generation import workshop


def server_at(listen: str, *, share_port: bool = False) -> Server:
    """Make a server without providers."""
    registry = Registry([])
    shop = workshop()
    images = ImageService(shop.engine, Uploads(shop.store), shop.explainer, DeliverySettings())
    settings = ListenSettings(listen, share_port=share_port)
    return Server(settings, images, ModelService(registry, Planner(registry, {}), Catalogue({})), [])


@pytest.mark.parametrize(
    ("listen", "start"), [("127.0.0.1:0", "127.0.0.1:"), ("localhost:0", "localhost:"), ("[::1]:0", "[::1]:")]
)
async def test_the_bound_address_has_the_real_port(listen: str, start: str) -> None:
    """Port 0 is any free one, and what is told can be dialled."""
    server = server_at(listen)

    address = await server.start()

    assert address.startswith(start)
    assert int(address.removeprefix(start)) > 0
    await server.stop()


async def test_a_unix_socket_is_told_as_it_was_given(tmp_path: Path) -> None:
    """It has no port; what is told can be dialled."""
    server = server_at(f"unix:{tmp_path}/imagegen.sock")

    address = await server.start()

    assert address == f"unix:{tmp_path}/imagegen.sock"
    async with grpc.aio.insecure_channel(address) as channel:
        method: Any = channel.unary_unary("/imagegen.v1.ModelService/ListModels")
        assert await method(empty_pb2.Empty().SerializeToString()) == b""
    await server.stop()


async def test_an_address_that_cannot_be_bound_is_an_os_error() -> None:
    """The message names it."""
    first = server_at("127.0.0.1:0")
    taken = await first.start()

    with pytest.raises(OSError, match=f"cannot listen on {taken}"):
        await server_at(taken).start()
    await first.stop()


async def test_workers_share_a_port_and_servers_do_not() -> None:
    """Two that are told to share listen on one address; one that is not told is refused, and so is who comes later."""
    one = server_at("127.0.0.1:0", share_port=True)
    address = await one.start()
    other = server_at(address, share_port=True)

    assert await other.start() == address
    with pytest.raises(OSError, match=f"cannot listen on {address}"):
        await server_at(address).start()
    await one.stop()
    await other.stop()


def test_what_runs_is_never_cut_for_its_connections_age() -> None:
    """A connection has an age only if one is set, and no time by which its calls must have ended."""
    usual = dict(channel_options(ListenSettings()))
    aged = dict(channel_options(ListenSettings(max_connection_age=2.5)))

    assert aged.items() - usual.items() == {("grpc.max_connection_age_ms", 2500)}
    assert not any("connection_age" in name for name in usual)


def test_health_has_a_name_for_every_provider() -> None:
    """So that one provider can be watched alone."""
    assert health_name("openai") == "provider/openai"
    assert SERVICES == ("imagegen.v1.ImageService", "imagegen.v1.ModelService")


def test_every_method_of_the_api_has_its_servicer() -> None:
    """None is left to the generated class, which would answer without our log line and words."""
    for name in image_service_pb2.DESCRIPTOR.services_by_name["ImageService"].methods_by_name:
        assert name in vars(ImageService)
