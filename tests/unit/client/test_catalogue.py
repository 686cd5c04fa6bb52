"""Which models there are."""

from __future__ import annotations

from typing import cast

import grpc
import pytest
from imagegen import AsyncClient, ImageGenError, Reason, UnreachableProvider
from imagegen.v1 import error_reason_pb2, model_service_pb2

from tests.unit.client.fake_server import Context, FakeServer


async def pages(
    request: model_service_pb2.ListModelsRequest, _context: Context
) -> model_service_pb2.ListModelsResponse:
    """Three pages of two models, and one provider that cannot be asked."""
    at = int(request.page_token or 0)
    return model_service_pb2.ListModelsResponse(
        models=[model_service_pb2.Model(name=f"sandbox/{at}{part}", provider="sandbox") for part in "ab"],
        next_page_token=str(at + 1) if at < 2 else "",
        unreachable=[
            model_service_pb2.UnreachableProvider(
                provider="local", reason=error_reason_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE
            )
        ],
    )


async def test_all_pages_are_read(server: FakeServer, client: AsyncClient) -> None:
    """A list goes on to the last page, asking for the same provider."""
    server.list_models = pages
    listing = client.models("sandbox")

    names = [model.name async for model in listing]

    assert names == [f"sandbox/{page}{part}" for page in range(3) for part in "ab"]
    requests = [cast("model_service_pb2.ListModelsRequest", call.request) for call in server.calls]
    assert [(request.provider, request.page_token) for request in requests] == [
        ("sandbox", ""),
        ("sandbox", "1"),
        ("sandbox", "2"),
    ]
    assert listing.unreachable == (UnreachableProvider(provider="local", reason=Reason.PROVIDER_UNAVAILABLE),)


async def test_pages_are_asked_for_when_they_are_wanted(server: FakeServer, client: AsyncClient) -> None:
    """Who stops early does not read the rest; unreachable providers are known from the first page on."""
    server.list_models = pages
    listing = client.models()
    assert listing.unreachable == ()

    async for _model in listing:
        break

    assert len(server.calls) == 1
    assert len(listing.unreachable) == 1


async def test_a_list_can_be_read_again(server: FakeServer, client: AsyncClient) -> None:
    """Each iteration asks anew from the first page."""
    server.list_models = pages
    listing = client.models()

    assert [model.name async for model in listing] == [model.name async for model in listing]
    assert len(server.calls) == 6


async def test_model_with_everything_known(server: FakeServer, client: AsyncClient) -> None:
    """All that the server tells of a model can be read."""
    told = model_service_pb2.Model(
        name="sandbox/scene",
        provider="sandbox",
        display_name="Scene",
        aliases=["draft"],
        known=True,
        capabilities=model_service_pb2.ModelCapabilities(
            generate=True,
            streaming=True,
            edit=False,
            max_images=4,
            max_count=8,
            max_input_images=2,
            mask=True,
            previews=model_service_pb2.PREVIEW_SUPPORT_IMAGES,
            options=["seed"],
            sizes=["1024x1024"],
            aspect_ratios=["16:9"],
            resolutions=["2K"],
            qualities=["high"],
            backgrounds=["opaque"],
            formats=["png"],
        ),
    )
    told.retire_time.FromJsonString("2030-01-02T00:00:00Z")

    async def get(_request: model_service_pb2.GetModelRequest, _context: Context) -> model_service_pb2.GetModelResponse:
        return model_service_pb2.GetModelResponse(model=told)

    server.get_model = get
    model = await client.model("draft")

    assert (model.name, model.provider, model.display_name, model.aliases) == (
        "sandbox/scene",
        "sandbox",
        "Scene",
        ("draft",),
    )
    assert model.known
    assert model.retire_time is not None
    assert model.retire_time.year == 2030
    able = model.capabilities
    assert (able.generate, able.streaming, able.edit, able.mask) == (True, True, False, True)
    assert (able.max_images, able.max_count, able.max_input_images, able.previews) == (4, 8, 2, "images")
    assert (able.options, able.sizes, able.aspect_ratios) == (("seed",), ("1024x1024",), ("16:9",))
    assert (able.resolutions, able.qualities, able.backgrounds, able.formats) == (
        ("2K",),
        ("high",),
        ("opaque",),
        ("png",),
    )


async def test_free_calls_are_retried(server: FakeServer, client: AsyncClient) -> None:
    """A question that costs nothing is asked again when the server cannot be reached for a moment."""

    async def get(request: model_service_pb2.GetModelRequest, context: Context) -> model_service_pb2.GetModelResponse:
        if len(server.calls) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return model_service_pb2.GetModelResponse(model=model_service_pb2.Model(name=request.model))

    server.get_model = get

    assert (await client.model("a/b")).name == "a/b"
    assert len(server.calls) == 3


async def test_model_that_is_not_there(server: FakeServer, client: AsyncClient) -> None:
    """The server's reason comes through, and a question is never billed."""

    async def get(_request: model_service_pb2.GetModelRequest, context: Context) -> model_service_pb2.GetModelResponse:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no", (("imagegen-reason", "ERROR_REASON_MODEL_NOT_FOUND"),))
        raise AssertionError

    server.get_model = get
    with pytest.raises(ImageGenError) as caught:
        await client.model("drfat")

    assert (caught.value.reason, caught.value.billed) == (Reason.MODEL_NOT_FOUND, "no")
