"""What the far server says of its models is what the near one says, and what it holds a wish against."""

import grpc
import pytest
from google.rpc import error_details_pb2
from imagegen.v1 import image_pb2, image_service_pb2, model_service_pb2
from imagegen_server.domain.capabilities import Capabilities, Model
from imagegen_server.domain.errors import ImageError, Reason

from tests.support.imagegen_provider import chain, far_at
from tests.support.imagegen_told import hear
from tests.support.pictures import png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server
from tests.support.tcp_relay import TcpRelay

PNG = png(32, 32)
LIMITED = Capabilities(generate=True, edit=False, options=frozenset({"seed"}), max_images=1, max_count=3)


async def listed(server: object, **fields: object) -> model_service_pb2.ListModelsResponse:
    """List models of the near server's provider."""
    request = model_service_pb2.ListModelsRequest(provider="far", page_size=1000, **fields)  # type: ignore[arg-type]
    response: model_service_pb2.ListModelsResponse = await server.models.ListModels(request)  # type: ignore[attr-defined]
    return response


async def test_models_are_those_of_the_far_server() -> None:
    """All of them under the near one's name, with equal capabilities."""
    async with chain() as servers:
        direct = await servers.far.models.ListModels(model_service_pb2.ListModelsRequest(page_size=1000))
        through = await listed(servers.near)

    assert [model.name for model in through.models] == [f"far/{model.name}" for model in direct.models]
    for ours, theirs in zip(through.models, direct.models, strict=True):
        assert ours.capabilities == theirs.capabilities
        assert (ours.display_name, ours.known, ours.provider) == (theirs.display_name, theirs.known, "far")


async def test_an_alias_of_the_far_server_is_a_model() -> None:
    """It is listed, it can be asked about, and it draws; the result tells what it stands for."""
    async with (
        running_server(sandbox=True, aliases={"draft": ["sandbox/scene"]}) as far,
        running_server(far_at(far.address)) as near,
    ):
        assert "far/draft" in {model.name for model in (await listed(near)).models}
        got = await near.models.GetModel(model_service_pb2.GetModelRequest(model="far/draft"))
        assert got.model.name == "far/draft"
        assert got.model.capabilities.edit
        request = image_service_pb2.GenerateRequest(model="far/draft", input=image_pb2.ImageInput(prompt="a boat"))
        request.options.size.width = request.options.size.height = 32
        told = await hear(near, request)

    assert told.result.model == "far/sandbox/scene"
    assert [attempt.model for attempt in told.result.attempts] == ["far/sandbox/scene"]


async def test_a_far_server_that_is_down_is_unreachable() -> None:
    """Its models are missing, and the list says why."""
    async with TcpRelay("127.0.0.1:1") as relay:
        address = relay.address
    async with running_server(far_at(address), sandbox=True) as near:
        told = await near.models.ListModels(model_service_pb2.ListModelsRequest())

    assert [(one.provider, one.reason) for one in told.unreachable] == [("far", Reason.NETWORK_ERROR.value)]
    assert any(model.provider == "sandbox" for model in told.models)


async def test_a_provider_that_the_far_server_does_not_reach_is_told() -> None:
    """By its place behind the far server; the models of the others come."""

    async def fail() -> list[Model]:
        raise ImageError(Reason.PROVIDER_UNAVAILABLE, "down")

    async with chain(ScriptedProvider(list_slowly=fail)) as servers:
        told = await listed(servers.near)

    assert [(one.provider, one.reason) for one in told.unreachable] == [("far/test", Reason.PROVIDER_UNAVAILABLE.value)]
    assert "far/sandbox/scene" in {model.name for model in told.models}


@pytest.mark.parametrize("known", [True, False])
async def test_strict_is_kept_before_anything_is_spent(known: bool) -> None:
    """By the near server where it knows what the model can do, else by the far one; the field is named."""
    capabilities = LIMITED if known else Capabilities()
    provider = ScriptedProvider(capabilities=capabilities)
    async with chain(provider) as servers:
        request = image_service_pb2.GenerateRequest(
            model="far/test/any",
            input=image_pb2.ImageInput(prompt="a boat"),
            options=image_pb2.ImageOptions(quality="high", preview_count=0),
            strict=True,
        )
        if not known:
            request.options.preview_count = 3
            provider.capabilities = Capabilities(options=frozenset({"seed"}))
        told = await hear(servers.near, request)

    assert told.error is not None
    assert told.detail(error_details_pb2.ErrorInfo).reason == "ERROR_REASON_OPTION_NOT_SUPPORTED"
    fields = [violation.field for violation in told.detail(error_details_pb2.BadRequest).field_violations]
    assert "options.quality" in fields
    assert not provider.tasks


async def test_an_operation_that_the_far_model_does_not_have_is_refused_at_once() -> None:
    """Nothing is sent but the question what it can do."""
    provider = ScriptedProvider(capabilities=LIMITED)
    async with chain(provider) as servers:
        request = image_service_pb2.EditRequest(
            model="far/test/any",
            input=image_pb2.ImageEditInput(prompt="x", images=[image_pb2.ImageSource(data=PNG)]),
        )
        told = await hear(servers.near, request)

    assert told.error is not None
    assert told.error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told.detail(error_details_pb2.ErrorInfo).reason == "ERROR_REASON_OPERATION_NOT_SUPPORTED"
    assert not told.events


async def test_warnings_of_the_far_server_are_ours() -> None:
    """What only it can know stands behind what was known before."""
    async with chain() as servers:
        request = image_service_pb2.EditRequest(
            model="far/sandbox/scene",
            input=image_pb2.ImageEditInput(prompt="x", images=[image_pb2.ImageSource(data=PNG)]),
        )
        request.options.size.width = request.options.size.height = 99
        told = await hear(servers.near, request)

    assert [(one.field, one.reason) for one in told.result.warnings] == [
        ("options.size", image_pb2.WARNING_REASON_ADJUSTED)
    ]


async def test_what_a_model_can_do_is_asked_once() -> None:
    """And remembered, as lists are."""
    request = model_service_pb2.GetModelRequest(model="far/test/any")
    async with (
        running_server(as_config("test", ScriptedProvider())) as far,
        TcpRelay(far.address) as relay,
        running_server(far_at(relay.address)) as near,
    ):
        assert (await near.models.GetModel(request)).model.known
        relay.refuse()
        relay.cut()
        assert (await near.models.GetModel(request)).model.known
