"""Callers from other machines: TLS, tokens, client certificates, and what each caller may do."""

import asyncio
from pathlib import Path

import grpc
import pytest
import structlog
import trustme
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from imagegen import AsyncClient, ImageGenError, Reason
from imagegen.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc
from imagegen_server.config import ServerTable
from imagegen_server.rpc import watched
from pydantic import ByteSize

from tests.support.authority import Pair, issue
from tests.support.callers import OTHER_TOKEN, TOKEN, Safe, hash_of, issue_names
from tests.support.calls import Refusal, refusal
from tests.support.guarded import bearer, guarded, names
from tests.support.server import running_server


@pytest.fixture
def safe(tmp_path: Path) -> Safe:
    """Have a folder for certificates and callers."""
    return Safe(tmp_path)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files be looked at with every call."""
    monkeypatch.setattr(watched, "LOOK_SECONDS", 0.0)


async def denied(channel: grpc.aio.Channel, token: str | None) -> Refusal:
    """List the models with a token that is no good."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await names(channel, token)
    return refusal(caught.value)


async def caller_of(channel: grpc.aio.Channel, token: str | None = None) -> object:
    """Make a call, and tell whose it was by the log."""
    with structlog.testing.capture_logs() as lines:
        await names(channel, token)
    (line,) = [line for line in lines if line["event"] == "call"]
    return line["caller"]


async def test_a_token_opens_the_door(safe: Safe) -> None:
    """With it a call is answered; without it, or with another, it is refused as the contract says."""
    async with guarded(safe) as server, safe.channel(server.address) as channel:
        assert "sandbox/scene" in await names(channel)
        assert await caller_of(channel, TOKEN) == "billing"
        for token in (None, OTHER_TOKEN, TOKEN[:-1]):
            refused = await denied(channel, token)
            assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED")
            assert refused.billed == "no"


async def test_the_log_has_no_token(safe: Safe) -> None:
    """Neither a good one nor a wrong one; who was refused is told by the address."""
    async with guarded(safe) as server, safe.channel(server.address) as channel:
        with structlog.testing.capture_logs() as lines:
            await names(channel)
            await denied(channel, OTHER_TOKEN)

    assert TOKEN not in str(lines)
    assert OTHER_TOKEN not in str(lines)
    [refused] = [line for line in lines if "peer" in line]
    assert str(refused["peer"]).startswith("ipv4:127.0.0.1:")


async def test_a_request_of_a_stranger_is_not_read(safe: Safe) -> None:
    """One that is larger than the server reads is answered for want of a token, not for its size."""
    table = ServerTable(tls=safe.tls(), tokens=safe.tokens(), max_receive_bytes=ByteSize(1000))
    async with running_server(sandbox=True, server=table) as server, safe.channel(server.address) as channel:
        images = image_service_pb2_grpc.ImageServiceStub(channel)
        large = image_service_pb2.GenerateRequest(input=image_pb2.ImageInput(prompt="x" * 1_000_000))
        for call in (images.Generate(large), images.StreamGenerate(large).read()):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await images.Generate(large, metadata=bearer(TOKEN))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.usefixtures("at_once")
async def test_tokens_come_and_go_while_it_runs(safe: Safe) -> None:
    """Added ones are good, revoked ones are not, and a broken file changes nothing."""
    async with guarded(safe) as server, safe.channel(server.address) as channel:
        await denied(channel, OTHER_TOKEN)
        safe.tokens(f'[callers.batch]\ntokens = ["{hash_of(OTHER_TOKEN)}"]')
        assert await names(channel, OTHER_TOKEN)
        await denied(channel, TOKEN)
        safe.tokens("[callers.batch")
        assert await names(channel, OTHER_TOKEN)
        await denied(channel, TOKEN)


async def test_a_revoked_token_is_dead_soon(safe: Safe) -> None:
    """Within about a second; the same connection goes on."""
    async with guarded(safe) as server, safe.channel(server.address) as channel:
        assert await names(channel)
        safe.tokens("[callers.billing]\ntokens = []")
        async with asyncio.timeout(10 * watched.LOOK_SECONDS):
            while True:
                try:
                    await names(channel)
                except grpc.aio.AioRpcError as error:
                    assert refusal(error).reason == "CALLER_UNAUTHENTICATED"  # noqa: PT017 - tried until it fails
                    break
                await asyncio.sleep(0.05)


async def test_health_and_reflection_are_open(safe: Safe) -> None:
    """Whoever watches over the server, and grpcurl, need no token."""
    async with guarded(safe) as server, safe.channel(server.address) as channel:
        checked = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert checked.status == health_pb2.HealthCheckResponse.SERVING
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
        listed = [service.name async for answer in answers for service in answer.list_services_response.service]
        assert "imagegen.v1.ImageService" in listed


async def test_clear_text_is_no_way_in(safe: Safe) -> None:
    """A client without TLS gets no answer from a server with it."""
    async with guarded(safe) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await names(server.channel)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_tokens_without_tls_on_this_machine(safe: Safe) -> None:
    """On loopback a token is enough, for services that share a machine; without it the door is shut."""
    async with running_server(sandbox=True, server=ServerTable(tokens=safe.tokens())) as server:
        assert await names(server.channel)
        await denied(server.channel, None)


async def test_a_client_certificate_opens_the_door(safe: Safe) -> None:
    """One of the right authority; its name is the caller's, and nobody else's certificate is taken, nor none."""
    named = x509.UniformResourceIdentifier("spiffe://house/billing")
    async with guarded(safe, client_ca=True, callers=None) as server:
        for pair, name in (
            (issue(safe.client_authority, "billing.internal"), "cert:billing.internal"),
            (issue(safe.client_authority, "x.internal", common_name="boss"), "cert:x.internal"),
            (issue_names(safe.client_authority, x509.DNSName("x.internal"), named), "cert:spiffe://house/billing"),
            (issue_names(safe.client_authority, common_name="billing"), "cert:billing"),
        ):
            async with safe.channel(server.address, pair) as channel:
                assert await caller_of(channel) == name
        strangers: list[Pair | None] = [None, issue(trustme.CA(), "billing.internal")]
        for stranger in strangers:
            async with safe.channel(server.address, stranger) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await names(channel, None)
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_may_stand_for_a_caller_of_the_file(safe: Safe) -> None:
    """With that caller's models; certificates that the file does not name are refused unless it lets them in."""
    callers = '[callers.billing]\ncertificates = ["billing.internal"]\nmodels = ["sandbox/scene"]\n'
    listed, other = (issue(safe.client_authority, f"{name}.internal") for name in ("billing", "other"))
    async with guarded(safe, client_ca=True, callers=callers) as server:
        async with safe.channel(server.address, listed) as channel:
            assert await caller_of(channel) == "billing"
            assert await names(channel, None) == ["sandbox/scene"]
        async with safe.channel(server.address, other) as channel:
            assert "other.internal" in (await denied(channel, None)).message
    async with (
        guarded(safe, client_ca=True, callers=f"unlisted_certificates = true\n{callers}") as server,
        safe.channel(server.address, other) as channel,
    ):
        assert await caller_of(channel) == "cert:other.internal"


async def test_with_a_certificate_and_a_token_the_token_names_the_caller(safe: Safe) -> None:
    """The certificate lets it connect; a wrong token is refused all the same."""
    pair = issue(safe.client_authority, "proxy.internal")
    async with guarded(safe, client_ca=True) as server, safe.channel(server.address, pair) as channel:
        assert await caller_of(channel, TOKEN) == "billing"
        await denied(channel, OTHER_TOKEN)
        await denied(channel, None)


@pytest.mark.usefixtures("at_once")
async def test_a_renewed_certificate_is_shown_without_a_restart(safe: Safe) -> None:
    """To new connections; old ones go on, and files that do not fit together change nothing."""
    new_authority = trustme.CA()
    async with guarded(safe) as server, safe.channel(server.address) as old:
        await names(old)
        safe.renew(Pair(key=issue(new_authority, "localhost").key, chain=issue(new_authority, "127.0.0.1").chain))
        async with safe.channel(server.address) as channel:
            await names(channel)
        safe.renew(issue(new_authority, "127.0.0.1"))
        async with Safe(safe.folder, authority=new_authority).channel(server.address) as channel:
            await names(channel)
        async with safe.channel(server.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await names(channel)
        await names(old)


async def test_the_python_client_comes_in(safe: Safe) -> None:
    """With its own roots and a token; and it tells why it is not let in."""
    async with guarded(safe) as server:
        async with AsyncClient(server.address, tls=safe.credentials(), token=TOKEN) as client:
            result = await client.image("sandbox/scene", size=(64, 48)).generate("a boat")
            assert result.image.bytes.startswith(b"\x89PNG")
        async with AsyncClient(server.address, tls=safe.credentials(), token=OTHER_TOKEN) as client:
            with pytest.raises(ImageGenError) as caught:
                await client.image("sandbox/scene", size=(64, 48)).generate("a boat")
    assert caught.value.reason == Reason.CALLER_UNAUTHENTICATED


async def test_the_python_client_comes_in_by_certificate(safe: Safe) -> None:
    """The credentials that it is given carry it."""
    pair = issue(safe.client_authority, "billing.internal")
    async with (
        guarded(safe, client_ca=True, callers=None) as server,
        AsyncClient(server.address, tls=safe.credentials(pair)) as client,
    ):
        result = await client.image("sandbox/scene", size=(64, 48)).generate("a boat")
    assert result.image.bytes.startswith(b"\x89PNG")
