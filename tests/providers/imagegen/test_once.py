"""What is bought of another server is bought once, also when this one was started anew meanwhile."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import imagegen
import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.providers.base import Call
from imagegen_server.providers.imagegen.errors import error_of

from tests.support.imagegen_provider import far_at
from tests.support.imagegen_told import Told, hear
from tests.support.pictures import png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server


def drawing(prompt: str = "a boat", **fields: Any) -> image_service_pb2.GenerateRequest:
    """Wish for a picture, by a request_id."""
    return image_service_pb2.GenerateRequest(
        model="far/test/any", input=image_pb2.ImageInput(prompt=prompt), request_id="order-17", **fields
    )


def editing(shade: int = 0) -> image_service_pb2.EditRequest:
    """Wish for a changed picture, by a request_id."""
    images = [image_pb2.ImageSource(data=png(16, 16, shade=shade))]
    return image_service_pb2.EditRequest(
        model="far/test/any", input=image_pb2.ImageEditInput(prompt="x", images=images), request_id="order-17"
    )


async def asked_of_two(provider: ScriptedProvider, *requests: Any) -> list[Told]:
    """Ask each of another near server, which knows nothing of those before."""
    told = []
    async with running_server(as_config("test", provider)) as far:
        for request in requests:
            async with running_server(far_at(far.address)) as near:
                told.append(await hear(near, request))
    return told


@pytest.mark.parametrize("wish", [drawing, editing])
async def test_the_same_wish_after_a_restart_is_the_same_purchase(wish: Any) -> None:
    """A caller who asks again by its request_id gets what was made, with previews or without."""
    provider = ScriptedProvider()
    again = wish()
    again.options.preview_count = 0

    first, second = await asked_of_two(provider, wish(), again)

    assert len(provider.tasks) == 1
    assert second.bytes == first.bytes
    assert second.result.images[0].image.sha256 == first.result.images[0].image.sha256


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (drawing(), drawing("a house")),
        (drawing(), drawing(options=image_pb2.ImageOptions(seed=1))),
        (drawing(), drawing(retry=image_pb2.RetryPolicy(retry_ambiguous=True))),
        (editing(), editing(shade=200)),
    ],
)
async def test_another_wish_is_another_purchase(first: Any, second: Any) -> None:
    """Whoever else has a caller of the same name may use the same request_id for something else."""
    provider = ScriptedProvider()

    told = await asked_of_two(provider, first, second)

    assert [one.error for one in told] == [None, None]
    assert len(provider.tasks) == 2


async def test_what_the_caller_allows_is_allowed_to_the_far_server() -> None:
    """It repeats what may have been billed if the caller said so; this server does not do it once more."""

    async def fails_once(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        if call.number == 1:
            raise ImageError(Reason.PROVIDER_ERROR, "broken", http_status=500)
        yield Complete(0, png(8, 8))

    provider = ScriptedProvider(fails_once)
    twice = UpstreamSettings(retry=RetrySettings("linear", 2, base_delay=0.0))
    async with (
        running_server(as_config("test", provider, upstream=twice)) as far,
        running_server(far_at(far.address)) as near,
    ):
        told = await hear(near, drawing(retry=image_pb2.RetryPolicy(retry_ambiguous=True)))

    assert [(one.provider, one.http_status) for one in told.result.attempts] == [("far/test", 500), ("far/test", 0)]


async def test_another_model_of_the_far_server_is_tried_if_the_caller_allows_it() -> None:
    """Of an alias there, after moderation refused; without a word of the caller's it is not."""
    aliases = {"draft": ["sandbox/fail-content-filtered", "sandbox/scene"]}
    request = drawing(options=image_pb2.ImageOptions(size=image_pb2.PixelSize(width=32, height=32)))
    request.model, request.request_id = "far/draft", ""
    allowed = image_service_pb2.GenerateRequest()
    allowed.CopyFrom(request)
    allowed.retry.fallback_on_content_filtered = True
    async with (
        running_server(sandbox=True, aliases=aliases) as far,
        running_server(far_at(far.address)) as near,
    ):
        assert (await hear(near, request)).error is not None
        told = await hear(near, allowed)

    assert [one.model for one in told.result.attempts] == ["far/sandbox/fail-content-filtered", "far/sandbox/scene"]


def test_what_has_expired_there_is_not_bought_again() -> None:
    """It was made and paid for by an attempt of the same name: neither another attempt nor another model may follow."""
    told = imagegen.ImageGenError("gone", "RESULT_EXPIRED", billed="no", metadata={"billed": "no"})

    error = error_of(told, "far")

    assert (error.reason, error.billed) == (Reason.RESULT_EXPIRED, Billed.UNKNOWN)


async def test_explain_shows_what_the_caller_allows() -> None:
    """But no models to fall back to, whose names are of this server."""
    policy = image_pb2.RetryPolicy(retry_ambiguous=True, fallback_models=["far/test/other"])
    async with (
        running_server(as_config("test", ScriptedProvider())) as far,
        running_server(far_at(far.address)) as near,
    ):
        told = await near.images.Explain(image_service_pb2.ExplainRequest(generate=drawing(retry=policy)))

    assert [json.loads(call.body)["retry"] for call in told.calls] == [{"retry_ambiguous": True}] * 2
