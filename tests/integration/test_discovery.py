"""What tools and load balancers find: models, health, reflection."""

import asyncio

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from imagegen.v1 import error_reason_pb2, model_service_pb2
from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError, Reason

from tests.support.calls import refusal
from tests.support.provider import ABLE, ScriptedProvider
from tests.support.server import Running, as_config, running_server

MANY = [Model(f"m{number:03}", ABLE) for number in range(7)]


async def list_all(server: Running, **fields: object) -> list[model_service_pb2.ListModelsResponse]:
    """Follow the pages to the end."""
    pages, token = [], ""
    while True:
        request = model_service_pb2.ListModelsRequest(page_token=token, **fields)  # type: ignore[arg-type]
        pages.append(await server.models.ListModels(request))
        token = pages[-1].next_page_token
        if not token:
            return pages


async def test_models_come_in_pages_ordered_by_name() -> None:
    """Pages join without gap or repetition, over all providers or one."""
    one, two = ScriptedProvider(known_models=MANY), ScriptedProvider(known_models=MANY[:2])
    async with running_server(as_config("b", one), as_config("a", two)) as server:
        pages = await list_all(server, page_size=4)
        only = await list_all(server, provider="a")

        names = [model.name for page in pages for model in page.models]
        assert [len(page.models) for page in pages] == [4, 4, 1]
        assert names == sorted(names)
        assert len(set(names)) == 9
        assert [model.name for model in only[0].models] == ["a/m000", "a/m001"]


async def test_a_provider_whose_list_cannot_be_read_is_named() -> None:
    """The other providers' models are still listed."""

    async def down() -> list[Model]:
        raise ImageError(Reason.PROVIDER_UNAVAILABLE, "down")

    broken = ScriptedProvider(list_slowly=down)
    async with running_server(
        as_config("up", ScriptedProvider(known_models=MANY)), as_config("down", broken)
    ) as server:
        (page,) = await list_all(server)

        assert len(page.models) == 7
        assert [(item.provider, item.reason) for item in page.unreachable] == [
            ("down", error_reason_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE)
        ]


async def test_a_provider_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that does not come in time is named unreachable, and the others are listed."""
    monkeypatch.setattr("imagegen_server.rpc.model_service.LIST_SECONDS", 0.05)

    async def silent() -> list[Model]:
        await asyncio.Event().wait()
        return []

    fine, stuck = ScriptedProvider(known_models=MANY), ScriptedProvider(list_slowly=silent)
    async with running_server(as_config("fine", fine), as_config("stuck", stuck)) as server:
        (page,) = await list_all(server)

        assert len(page.models) == 7
        assert [(item.provider, item.reason) for item in page.unreachable] == [
            ("stuck", error_reason_pb2.ERROR_REASON_TIMEOUT)
        ]


async def test_one_model_by_name_or_alias() -> None:
    """GetModel tells capabilities and aliases; unknown is absent, and an id never seen is not refused."""
    provider = ScriptedProvider(known_models=MANY)
    async with running_server(as_config("test", provider), aliases={"draft": ["test/m001"]}) as server:
        by_alias = (await server.models.GetModel(model_service_pb2.GetModelRequest(model="draft"))).model
        unseen = (await server.models.GetModel(model_service_pb2.GetModelRequest(model="test/unknown"))).model

        assert (by_alias.name, list(by_alias.aliases), by_alias.known) == ("test/m001", ["draft"], True)
        assert (by_alias.capabilities.edit, by_alias.capabilities.max_images) == (True, 4)
        assert list(by_alias.capabilities.formats) == ["png", "jpeg", "webp"]
        assert not by_alias.HasField("retire_time")
        assert (unseen.name, unseen.known) == ("test/unknown", False)


@pytest.mark.parametrize(
    ("model", "reason"), [("", "INVALID_REQUEST"), ("typo", "MODEL_NOT_FOUND"), ("x/y", "PROVIDER_NOT_CONFIGURED")]
)
async def test_what_get_model_cannot_find(model: str, reason: str) -> None:
    """A missing model says which way it is missing."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.models.GetModel(model_service_pb2.GetModelRequest(model=model))

        assert refusal(caught.value).reason == reason


@pytest.mark.parametrize(("provider", "token"), [("nobody", ""), ("", "###")])
async def test_what_list_models_refuses(provider: str, token: str) -> None:
    """A provider that is not there and a token that is none are mistakes, not empty lists."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.models.ListModels(model_service_pb2.ListModelsRequest(provider=provider, page_token=token))

        assert refusal(caught.value).billed == "no"


async def test_health_has_a_name_for_each_service_and_provider() -> None:
    """The whole, both services and every provider can be asked for; others are NOT_FOUND."""
    async with running_server(as_config("test", ScriptedProvider())) as server:
        health = health_pb2_grpc.HealthStub(server.channel)
        names = ["", "imagegen.v1.ImageService", "imagegen.v1.ModelService", "provider/test"]
        answers = [await health.Check(health_pb2.HealthCheckRequest(service=name)) for name in names]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="provider/other"))
        listed = (await health.List(health_pb2.HealthListRequest())).statuses

        assert {name: answer.status for name, answer in listed.items()} == dict.fromkeys(
            names, health_pb2.HealthCheckResponse.SERVING
        )
        assert {answer.status for answer in answers} == {health_pb2.HealthCheckResponse.SERVING}
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_tells_the_services_and_the_json_names(version: str) -> None:
    """Both versions of reflection answer, and descriptors carry json_name, which tools print."""
    request = reflection_pb2.ServerReflectionRequest
    async with running_server(as_config("test", ScriptedProvider())) as server:
        call = server.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=request.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )(iter([request(list_services=""), request(file_containing_symbol="imagegen.v1.Image")]))
        listed, found = [answer async for answer in call]

        names = [service.name for service in listed.list_services_response.service]
        assert {"imagegen.v1.ImageService", "imagegen.v1.ModelService", "grpc.health.v1.Health"} <= set(names)
        files = [
            descriptor_pb2.FileDescriptorProto.FromString(data)
            for data in found.file_descriptor_response.file_descriptor_proto
        ]
        (image,) = [m for file in files for m in file.message_type if m.name == "Image"]
        assert {field.name: field.json_name for field in image.field}["size_bytes"] == "sizeBytes"
