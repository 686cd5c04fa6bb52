"""Servers that name each other as providers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.rpc import error_details_pb2
from imagegen.v1 import image_pb2, image_service_pb2, model_service_pb2

from tests.support.imagegen_provider import far_at
from tests.support.imagegen_told import hear
from tests.support.server import Running, running_server
from tests.support.tcp_relay import TcpRelay


@asynccontextmanager
async def ring() -> AsyncIterator[tuple[Running, Running]]:
    """Two servers with the sandbox, each of which has the other as a provider, and an alias that leads there."""
    async with TcpRelay("127.0.0.1:1") as relay:
        aliases = {"round": ["b/round"]}
        async with (
            running_server(far_at(relay.address, name="b"), sandbox=True, aliases=aliases) as a,
            running_server(far_at(a.address, name="a"), sandbox=True, aliases={"round": ["a/round"]}) as b,
        ):
            relay._port = int(b.address.rpartition(":")[2])
            yield a, b


def wish(model: str) -> image_service_pb2.GenerateRequest:
    """Wish for a small picture."""
    size = image_pb2.PixelSize(width=32, height=32)
    return image_service_pb2.GenerateRequest(
        model=model, input=image_pb2.ImageInput(prompt="a boat"), options=image_pb2.ImageOptions(size=size)
    )


@pytest.mark.parametrize("model", ["round", "b/round", "b/a/sandbox/scene"])
async def test_a_call_that_comes_back_is_refused(model: str) -> None:
    """With the field and the cause, at no cost, whether names or aliases lead around."""
    async with ring() as (a, _):
        told = await hear(a, wish(model))

    assert told.error is not None
    assert told.error.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = told.detail(error_details_pb2.ErrorInfo)
    assert (info.reason, info.metadata["billed"]) == ("ERROR_REASON_INVALID_REQUEST", "no")
    (violation,) = told.detail(error_details_pb2.BadRequest).field_violations
    assert violation.field == "model"
    assert "ring" in violation.description


async def test_servers_that_name_each_other_serve_each_other() -> None:
    """Each draws with the other's providers, and each lists the other's models but not its own as the other's."""
    async with ring() as (a, b):
        assert (await hear(a, wish("b/sandbox/scene"))).result.model == "b/sandbox/scene"
        assert (await hear(b, wish("a/sandbox/scene"))).result.model == "a/sandbox/scene"
        listed = await a.models.ListModels(model_service_pb2.ListModelsRequest(page_size=1000))

    names = {model.name for model in listed.models}
    assert {"sandbox/scene", "b/sandbox/scene"} <= names
    assert not {name for name in names if name.startswith("b/a/")}


async def test_three_in_a_row_are_one_chain() -> None:
    """What the last one says comes through two others: metadata, attempts and errors, each by its way."""
    async with (
        running_server(sandbox=True) as c,
        running_server(far_at(c.address, name="c")) as b,
        running_server(far_at(b.address, name="b")) as a,
    ):
        told = await hear(a, wish("b/c/sandbox/scene"))
        failed = await hear(a, wish("b/c/sandbox/fail-provider-error"))

    assert [attempt.model for attempt in told.result.attempts] == ["b/c/sandbox/scene"]
    assert [attempt.provider for attempt in told.result.attempts] == ["b/c/sandbox"]
    info = failed.detail(error_details_pb2.ErrorInfo)
    assert (info.metadata["provider"], info.metadata["http_status"]) == ("b/c/sandbox", "500")
