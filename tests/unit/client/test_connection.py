"""The way to the server: address, TLS, token, what is retried."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from imagegen import AsyncClient, ImageGenError, Reason
from imagegen._connection import is_loopback, service_config
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc, model_service_pb2

from tests.unit.client.fake_server import Context, Event, FakeServer, Wish, picture, started

MODEL = "sandbox/scene"
TOKEN = "t0ken"


@pytest.mark.parametrize(
    "address",
    [
        "localhost:1",
        "127.0.0.1:50051",
        "127.8.9.1:1",
        "[::1]:1",
        "ipv4:127.0.0.1:1",
        "ipv6:[::1]:1",
        "dns:localhost:1",
        "dns:///localhost:1",
        "dns://8.8.8.8/127.0.0.1:1",
        "unix:/run/imagegen.sock",
        "unix-abstract:imagegen",
    ],
)
def test_loopback_addresses(address: str) -> None:
    """What is sent there stays on this machine."""
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    [
        "example.com:1",
        "localhost.example.com:1",
        "10.0.0.1:1",
        "0.0.0.0:1",
        "[2001:db8::1]:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "dns://127.0.0.1/example.com:1",
        "xds:///localhost",
        "127.0.0.1.example.com:1",
        "",
    ],
)
def test_addresses_elsewhere(address: str) -> None:
    """What is sent there may be seen by others; in doubt it is."""
    assert not is_loopback(address)


def test_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is argument, environment, default."""
    assert AsyncClient().address == "127.0.0.1:50051"
    monkeypatch.setenv("IMAGEGEN_ADDRESS", "example.com:443")
    assert AsyncClient().address == "example.com:443"
    assert AsyncClient("other:1").address == "other:1"


def test_a_url_is_no_address() -> None:
    """The mistake that people make is told as such."""
    with pytest.raises(ValueError, match=r"tls=True"):
        AsyncClient("https://example.com")


@pytest.mark.parametrize("address", ["localhost", "localhost:", "example.com", "10.0.0.1", "[::1]", "::1"])
def test_a_host_without_a_port_is_no_address(address: str) -> None:
    """Port 443, which gRPC would call, is none that anybody asked for."""
    with pytest.raises(ValueError, match=r"has no port.*'localhost:50051'"):
        AsyncClient(address, tls=True)


@pytest.mark.parametrize(
    "target", ["a:1", "[::1]:1", "dns:///a", "dns:a", "unix:/a.sock", "unix:a", "ipv4:10.0.0.1,10.0.0.2"]
)
def test_targets_that_need_no_port(target: str) -> None:
    """A target with a scheme means what gRPC takes it for."""
    assert AsyncClient(target).address == target


def test_token_needs_tls_beyond_this_machine() -> None:
    """A token is never sent in clear text over a network, and no error shows it."""
    with pytest.raises(ValueError, match="TLS") as caught:
        AsyncClient("example.com:443", token=TOKEN)

    assert TOKEN not in str(caught.value)
    AsyncClient("example.com:443", token=TOKEN, tls=True)
    AsyncClient("127.0.0.1:1", token=TOKEN)


async def test_token_goes_with_every_call(server: FakeServer) -> None:
    """The client's own calls carry the token, and so do those on its stubs."""

    async def get(request: model_service_pb2.GetModelRequest, _context: Context) -> model_service_pb2.GetModelResponse:
        return model_service_pb2.GetModelResponse(model=model_service_pb2.Model(name=request.model))

    server.get_model = get
    async with AsyncClient(server.address, token=TOKEN) as client:
        await client.generate(MODEL, "a cat")
        await client.model(MODEL)
        await client.models_stub.GetModel(model_service_pb2.GetModelRequest(model=MODEL))
        async for _event in client.images_stub.StreamGenerate(image_service_pb2.GenerateRequest(model=MODEL)):
            pass

    assert [call.metadata.get("authorization") for call in server.calls] == [f"Bearer {TOKEN}"] * 4


async def test_metadata_of_the_callers_own_is_asked_for_before_every_call(server: FakeServer) -> None:
    """It goes beside the token."""
    asked = iter(["one", "two"])
    async with AsyncClient(server.address, token=TOKEN, metadata=lambda: {"x-trace": next(asked)}) as client:
        await client.generate(MODEL, "a cat")
        await client.generate(MODEL, "a cat")

    assert [call.metadata["x-trace"] for call in server.calls] == ["one", "two"]
    assert all(call.metadata["authorization"] == f"Bearer {TOKEN}" for call in server.calls)


async def test_no_token_no_header(server: FakeServer, client: AsyncClient) -> None:
    """Without a token nothing is said of one; the stubs work all the same."""
    await client.generate(MODEL, "a cat")
    async for _event in client.images_stub.StreamGenerate(image_service_pb2.GenerateRequest(model=MODEL)):
        pass

    assert all("authorization" not in call.metadata for call in server.calls)
    assert server.last.metadata["user-agent"].startswith("imagegen-python/")


def test_only_free_methods_are_retried() -> None:
    """The retry policy names the methods that may be called twice, and none that costs money."""
    [entry] = json.loads(service_config())["methodConfig"]

    assert {name["method"] for name in entry["name"]} == {
        "Resume",
        "Cancel",
        "UploadImage",
        "ReadImage",
        "Explain",
        "ListModels",
        "GetModel",
    }
    assert entry["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


async def test_a_call_that_may_cost_money_is_made_once(server: FakeServer, client: AsyncClient) -> None:
    """UNAVAILABLE from a server that was reached is never answered with a second generation."""

    async def script(_request: Wish, context: Context) -> AsyncIterator[Event]:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        yield started()

    server.stream = script
    with pytest.raises(ImageGenError):
        await client.generate(MODEL, "a cat")
    with pytest.raises(ImageGenError):
        await client.edit(MODEL, "a cat")

    assert len(server.calls) == 2


async def test_closed_client_takes_no_calls(server: FakeServer) -> None:
    """A call after the end is a mistake and says so; closing twice is none."""
    client = AsyncClient(server.address)
    await client.generate(MODEL, "a cat")
    await client.aclose()
    await client.aclose()

    with pytest.raises(RuntimeError, match="closed"):
        await client.generate(MODEL, "a cat")


def test_client_belongs_to_its_event_loop() -> None:
    """A client that was used in one event loop says so in another, where it would hang."""
    client = AsyncClient("127.0.0.1:1")

    async def use() -> None:
        await client.model("a/b")

    with pytest.raises(ImageGenError):
        asyncio.run(use())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(use())
    with pytest.raises(RuntimeError, match="event loop"):
        client.stream(MODEL, "a cat")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[bytes, bytes]:
    """A key and a certificate for localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout"
    )
    subprocess.run([*command.split(), key, "-out", cert], check=True, capture_output=True)
    return key.read_bytes(), cert.read_bytes()


async def test_tls(certificate: tuple[bytes, bytes]) -> None:
    """With credentials of its own a client speaks TLS and sends its token; without trust it does not connect."""
    fake = FakeServer()
    server = grpc.aio.server()
    image_service_pb2_grpc.add_ImageServiceServicer_to_server(fake, server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([certificate]))
    await server.start()
    try:
        trusting = grpc.ssl_channel_credentials(root_certificates=certificate[1])
        async with AsyncClient(f"localhost:{port}", tls=trusting, token=TOKEN) as client:
            assert (await client.generate(MODEL, "a cat")).image.bytes == picture()
        assert fake.last.metadata["authorization"] == f"Bearer {TOKEN}"

        async with AsyncClient(f"localhost:{port}", tls=True) as client:
            with pytest.raises(ImageGenError) as caught:
                await client.generate(MODEL, "a cat")
        assert (caught.value.reason, caught.value.billed) == (Reason.NETWORK_ERROR, "no")
    finally:
        await server.stop(None)
