"""Input images that are large together reach the other server whole, and what cannot go along is told."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import struct_pb2
from google.rpc import error_details_pb2
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.config import ServerTable
from imagegen_server.providers.imagegen import request as requests
from pydantic import ByteSize

from tests.support.imagegen_provider import Chain, chain, far_at
from tests.support.imagegen_told import hear
from tests.support.pictures import noisy_png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server

PICTURES = [noisy_png(400, 300, seed=seed) for seed in (1, 2)]


@pytest.fixture(name="provider")
def _provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture(name="servers")
async def _servers(provider: ScriptedProvider) -> AsyncIterator[Chain]:
    async with chain(provider) as servers:
        yield servers


def editing(*, strict: bool = False) -> image_service_pb2.EditRequest:
    """Wish for an edit of two pictures of which the far provider has said something."""
    said = struct_pb2.Struct()
    said.update({"test": {"signature": "s1"}})
    images = [image_pb2.ImageSource(data=data, metadata={"far": said}) for data in PICTURES]
    edited = image_pb2.ImageEditInput(prompt="at night", images=images)
    return image_service_pb2.EditRequest(model="far/test/any", input=edited, strict=strict)


def given(provider: ScriptedProvider) -> list[tuple[bytes, Any]]:
    """Bytes and metadata of the images that the far provider got."""
    (task,) = provider.tasks
    return [(image.data, dict(image.metadata)) for image in task.images]


async def test_metadata_of_images_goes_along(servers: Chain, provider: ScriptedProvider) -> None:
    """As its provider there had said it, under its name there."""
    told = await hear(servers.near, editing())

    assert given(provider) == [(data, {"test": {"signature": "s1"}}) for data in PICTURES]
    assert not [one for one in told.result.warnings if one.message.startswith("does not go along")]


async def test_images_that_are_too_large_for_it_go_without(
    servers: Chain, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They arrive whole all the same, and a warning names each."""
    monkeypatch.setattr(requests, "_MOST_INLINE_BYTES", len(PICTURES[0]))
    monkeypatch.setattr(requests, "_INLINE_BYTES", 0)

    told = await hear(servers.near, editing())

    assert given(provider) == [(data, {}) for data in PICTURES]
    assert [(one.field, one.reason) for one in told.result.warnings] == [
        (f"input.images[{at}].metadata", image_pb2.WARNING_REASON_IGNORED) for at in (0, 1)
    ]


async def test_a_strict_wish_is_refused_instead(
    servers: Chain, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent."""
    monkeypatch.setattr(requests, "_MOST_INLINE_BYTES", len(PICTURES[0]))

    told = await hear(servers.near, editing(strict=True))

    assert told.detail(error_details_pb2.ErrorInfo).reason == "ERROR_REASON_OPTION_NOT_SUPPORTED"
    assert not provider.tasks


async def test_a_request_that_the_other_server_does_not_take_is_told_as_too_large(provider: ScriptedProvider) -> None:
    """It was read by nobody and cost nothing."""
    table = ServerTable(max_receive_bytes=ByteSize(len(PICTURES[0])))
    async with (
        running_server(as_config("test", provider), server=table) as far,
        running_server(far_at(far.address)) as near,
    ):
        told = await hear(near, editing())

    info = told.detail(error_details_pb2.ErrorInfo)
    assert (info.reason, info.metadata["billed"]) == ("ERROR_REASON_CONTEXT_LENGTH_EXCEEDED", "no")
    assert "max_receive_bytes" in (told.error.details() or "" if told.error else "")
    assert not provider.tasks
