"""What becomes of a generation when the way to the other server breaks, and what is asked again."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import imagegen._backoff
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Preview, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.imagegen_provider import chain, far_at
from tests.support.imagegen_told import hear
from tests.support.pictures import noisy_png, png
from tests.support.provider import ScriptedProvider, never
from tests.support.server import as_config, running_server
from tests.support.tcp_relay import TcpRelay

ACCEPTED, AMBIGUOUS, NOT_SENT = (
    image_pb2.ATTEMPT_OUTCOME_ACCEPTED,
    image_pb2.ATTEMPT_OUTCOME_AMBIGUOUS,
    image_pb2.ATTEMPT_OUTCOME_NOT_SENT,
)


def wish(model: str = "far/test/any", **fields: Any) -> image_service_pb2.GenerateRequest:
    """Wish for a picture."""
    return image_service_pb2.GenerateRequest(model=model, input=image_pb2.ImageInput(prompt="a boat"), **fields)


@pytest.fixture
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that broke is not made again."""
    monkeypatch.setattr(imagegen._backoff, "DELAYS", ())


@pytest.mark.usefixtures("_no_patience")
async def test_a_server_that_is_not_there_costs_nothing() -> None:
    """UNAVAILABLE, billed no, and an attempt that was not sent."""
    async with TcpRelay("127.0.0.1:1") as relay:
        address = relay.address
    async with running_server(far_at(address)) as near:
        told = await hear(near, wish())

    assert told.error is not None
    assert told.error.code() is grpc.StatusCode.UNAVAILABLE
    info = told.detail(error_details_pb2.ErrorInfo)
    assert (info.reason, info.metadata["billed"]) == ("ERROR_REASON_NETWORK_ERROR", "no")
    (attempt,) = told.detail(image_pb2.GenerationFailure).attempts
    assert (attempt.provider, attempt.outcome, attempt.billed) == ("far", NOT_SENT, image_pb2.BILLED_NO)


@pytest.mark.usefixtures("_no_patience")
async def test_a_way_that_breaks_for_good_leaves_it_unknown() -> None:
    """Not OK to buy again: INTERNAL, billed unknown, and an attempt that is ambiguous."""
    begun = asyncio.Event()

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        begun.set()
        await asyncio.Event().wait()
        yield Preview(0, png(8, 8))

    provider = ScriptedProvider(script)
    async with (
        running_server(as_config("test", provider)) as far,
        TcpRelay(far.address) as relay,
        running_server(far_at(relay.address)) as near,
    ):
        hearing = asyncio.create_task(hear(near, wish()))
        await begun.wait()
        relay.refuse()
        relay.cut()
        told = await hearing

    assert told.error is not None
    assert told.error.code() is grpc.StatusCode.INTERNAL
    info = told.detail(error_details_pb2.ErrorInfo)
    assert (info.reason, info.metadata["billed"]) == ("ERROR_REASON_NETWORK_ERROR", "unknown")
    (attempt,) = told.detail(image_pb2.GenerationFailure).attempts
    assert (attempt.outcome, attempt.billed) == (AMBIGUOUS, image_pb2.BILLED_UNKNOWN)


async def test_a_way_that_breaks_is_made_again_and_nothing_is_bought_twice() -> None:
    """In the middle of an image: it arrives whole, and the far provider was asked once."""
    picture = noisy_png(900, 700)
    assert len(picture) > 600_000

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        yield Complete(0, picture)

    provider = ScriptedProvider(script)
    async with (
        running_server(as_config("test", provider)) as far,
        TcpRelay(far.address) as relay,
        running_server(far_at(relay.address)) as near,
    ):
        relay.cut_after(300_000)
        told = await hear(near, wish())
        assert relay.cuts

    assert told.error is None
    assert told.bytes[0, 0] == picture
    assert len(provider.tasks) == 1


async def test_what_the_far_server_paid_for_is_not_asked_again() -> None:
    """Although the near one may repeat what is ambiguous: the far one has decided about that."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("")
        raise ImageError(Reason.PROVIDER_ERROR, "broken", http_status=500)
        yield

    provider = ScriptedProvider(script)
    async with chain(provider, attempts=3) as servers:
        told = await hear(servers.near, wish())

    assert told.error is not None
    assert len(provider.tasks) == 1
    (attempt,) = told.detail(image_pb2.GenerationFailure).attempts
    assert (attempt.provider, attempt.outcome, attempt.http_status) == ("far/test", ACCEPTED, 500)


async def test_what_was_free_is_asked_again_and_every_attempt_is_told() -> None:
    """A far server without retries: what it was refused is repeated by the near one."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        if len(provider.tasks) < 3:
            raise ImageError(Reason.PROVIDER_UNAVAILABLE, "overloaded", http_status=503)
        yield Complete(0, png(8, 8))

    provider = ScriptedProvider(script)
    async with chain(provider, attempts=3) as servers:
        told = await hear(servers.near, wish())

    assert [(one.provider, one.http_status, one.billed) for one in told.result.attempts] == [
        ("far/test", 503, image_pb2.BILLED_NO),
        ("far/test", 503, image_pb2.BILLED_NO),
        ("far/test", 0, image_pb2.BILLED_YES),
    ]


async def test_another_model_is_tried_after_a_refusal_of_the_far_server() -> None:
    """All images were refused for the same reason, so nothing was shown that stands in the way."""
    async with chain() as servers:
        request = wish(
            "far/sandbox/fail-rate-limited",
            retry=image_pb2.RetryPolicy(fallback_models=["sandbox/scene"]),
            options=image_pb2.ImageOptions(count=2, size=image_pb2.PixelSize(width=32, height=32), preview_count=0),
        )
        told = await hear(servers.near, request)

    assert told.result.model == "sandbox/scene"
    assert [attempt.model for attempt in told.result.attempts] == ["far/sandbox/fail-rate-limited", "sandbox/scene"]


async def test_the_largest_image_passes() -> None:
    """64 MiB, in pieces."""
    size = 64 * 1024 * 1024
    async with chain() as servers:
        request = wish("far/sandbox/bytes", options=image_pb2.ImageOptions(preview_count=0))
        request.params["far"].update({"sandbox": {"size_bytes": size}})
        told = await hear(servers.near, request)

    (image,) = told.result.images
    assert image.image.size_bytes == size
    assert hashlib.sha256(told.bytes[0, 0]).hexdigest() == image.image.sha256


async def test_large_inputs_are_uploaded() -> None:
    """What would be a message too large for many proxies goes in pieces before; the provider gets the same bytes."""
    provider = ScriptedProvider()
    large = noisy_png(1500, 1300)
    assert len(large) > 4 * 1024 * 1024
    async with chain(provider) as servers:
        request = image_service_pb2.EditRequest(
            model="far/test/any",
            input=image_pb2.ImageEditInput(prompt="at night", images=[image_pb2.ImageSource(data=large)]),
        )
        told = await hear(servers.near, request)

    assert told.error is None
    assert provider.tasks[0].images[0].data == large


async def test_metadata_of_an_image_goes_back_to_the_provider_that_gave_it() -> None:
    """From the far provider through both servers to the caller, and the same way back with an edit."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Complete(0, png(8, 8), metadata={"signature": "s1"})

    provider = ScriptedProvider(script)
    async with chain(provider) as servers:
        made = (await hear(servers.near, wish())).result.images[0]
        assert json_format.MessageToDict(made.metadata["far"]) == {"test": {"signature": "s1"}}
        request = image_service_pb2.EditRequest(
            model="far/test/any",
            input=image_pb2.ImageEditInput(
                prompt="at night", images=[image_pb2.ImageSource(data=png(8, 8), metadata=made.metadata)]
            ),
        )
        assert (await hear(servers.near, request)).error is None

    assert provider.tasks[1].images[0].metadata == {"test": {"signature": "s1"}}


@pytest.mark.usefixtures("_no_patience")
async def test_a_far_server_that_stops_ends_the_generation_in_time() -> None:
    """It says so, and what it knows of its attempt is passed on."""
    provider = ScriptedProvider(never)
    async with (
        running_server(as_config("test", provider)) as far,
        running_server(far_at(far.address)) as near,
    ):
        call = near.images.StreamGenerate(wish())
        async for event in call:
            if event.WhichOneof("event") == "preview":
                break
        await far.app.stop(drain=0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in call:
                pass
    assert dict(caught.value.trailing_metadata() or ())["imagegen-reason"] == "ERROR_REASON_CANCELLED"
