"""Who stops a generation: callers that leave, deadlines, and clients that retry."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.config import StoreTable
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from tests.support.calls import generate, refusal, watch
from tests.support.pictures import png
from tests.support.provider import TEN_TIMES_THE_PROMISE, ScriptedProvider, first_only, never
from tests.support.server import as_config, nothing_left, open_unary, running_server


async def test_leaving_a_stream_reaches_the_provider() -> None:
    """When the only reader of a stream leaves, the provider's generator is closed at once."""
    provider = ScriptedProvider(script=never)
    async with running_server(as_config("test", provider)) as server:
        stream = server.images.StreamGenerate(generate())
        async for event in stream:
            if event.HasField("preview"):
                break
        stream.cancel()

        await asyncio.wait_for(provider.closed.wait(), TEN_TIMES_THE_PROMISE)
        await nothing_left(server)


async def test_leaving_a_unary_call_reaches_the_provider() -> None:
    """Cancelling a unary call does the same."""
    provider = ScriptedProvider(script=never)
    async with running_server(as_config("test", provider)) as server:
        call = open_unary(server, generate())
        await call.initial_metadata()
        async with asyncio.timeout(30):
            while not provider.tasks:  # noqa: ASYNC110 - a list, no event
                await asyncio.sleep(0)
        call.cancel()

        await asyncio.wait_for(provider.closed.wait(), TEN_TIMES_THE_PROMISE)
        await nothing_left(server)


async def test_what_was_finished_before_leaving_can_still_be_read() -> None:
    """A client that vanishes after the first of two pictures finds that picture by its id."""
    provider = ScriptedProvider(script=first_only)
    async with running_server(as_config("test", provider)) as server:
        stream = server.images.StreamGenerate(generate(options={"count": 2}))
        image_id = ""
        async for event in stream:
            if event.HasField("complete"):
                image_id = event.complete.image.image_id
                break
        stream.cancel()
        await asyncio.wait_for(provider.closed.wait(), TEN_TIMES_THE_PROMISE)

        parts = [p async for p in server.images.ReadImage(image_service_pb2.ReadImageRequest(image_id=image_id))]
        assert b"".join(part.data for part in parts) == png(8, 8)


async def test_shortly_before_the_deadline_what_is_finished_is_returned() -> None:
    """A deadline with one of two pictures done is OK with that picture and a TIMEOUT failure."""
    provider = ScriptedProvider(script=first_only)
    async with running_server(as_config("test", provider)) as server:
        result = await server.images.Generate(generate(options={"count": 2}), timeout=1.5)

        assert [image.index for image in result.images] == [0]
        assert [failure.index for failure in result.failures] == [1]
        assert result.failures[0].billed == image_pb2.BILLED_UNKNOWN
        assert provider.closed.is_set()


async def test_a_deadline_with_nothing_done_says_so_in_time() -> None:
    """With nothing finished the caller hears TIMEOUT with its details before its own clock ends the call."""
    async with running_server(as_config("test", ScriptedProvider(script=never))) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate(), timeout=1.5)

        told = refusal(caught.value)
        assert (told.code, told.reason, told.billed) == (grpc.StatusCode.DEADLINE_EXCEEDED, "TIMEOUT", "unknown")
        assert told.failure is not None
        assert told.failure.attempts[0].outcome == image_pb2.ATTEMPT_OUTCOME_ACCEPTED


async def test_too_short_a_deadline_is_refused_before_anything_is_spent() -> None:
    """Less than a second left is refused with its own reason."""
    provider = ScriptedProvider()
    async with running_server(as_config("test", provider)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate(), timeout=0.9)

        told = refusal(caught.value)
        assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DEADLINE_TOO_SHORT")
        assert provider.tasks == []


async def test_the_providers_own_timeout_ends_an_attempt() -> None:
    """A provider that takes longer than its configured timeout is a TIMEOUT, also without a deadline."""
    provider = ScriptedProvider(script=never)
    async with running_server(as_config("test", provider, timeout=0.05)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate())

        assert refusal(caught.value).reason == "TIMEOUT"
        assert provider.closed.is_set()


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_retries_by_itself_buys_once(streaming: bool) -> None:
    """A channel that retries UNAVAILABLE five times calls the provider once, since the RPC was committed before."""

    async def unavailable(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        raise ImageError(Reason.PROVIDER_UNAVAILABLE, "down", retry_after=0.01)
        yield

    policy = {
        "methodConfig": [
            {
                "name": [{"service": "imagegen.v1.ImageService"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.01s",
                    "maxBackoff": "0.01s",
                    "backoffMultiplier": 1,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
    provider = ScriptedProvider(script=unavailable)
    async with running_server(as_config("test", provider)) as server:
        options = [("grpc.service_config", json.dumps(policy)), ("grpc.enable_retries", 1)]
        async with grpc.aio.insecure_channel(server.address, options=options) as channel:
            stub = type(server.images)(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await (watch(stub.StreamGenerate(generate())) if streaming else stub.Generate(generate()))

        assert refusal(caught.value).retry_delay == 0.01
        assert len(provider.tasks) == 1


async def test_a_provider_that_ignores_cancellation_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that will not let go is left behind: the call ends all the same."""
    monkeypatch.setattr("imagegen_server.generation.runner.STOP_GRACE_SECONDS", 0.05)
    let_go = asyncio.Event()

    async def stubborn(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        yield Complete(0, png(8, 8))

    async with running_server(as_config("test", ScriptedProvider(script=stubborn))) as server:
        start = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.images.Generate(generate(), timeout=1.2)
        let_go.set()

        assert refusal(caught.value).reason == "TIMEOUT"
        assert time.monotonic() - start < 60


async def test_an_adapter_that_is_slow_to_let_go_does_not_cost_the_answer() -> None:
    """What is finished at the deadline is returned in time, although the adapter takes seconds to close."""
    go_on = asyncio.Event()

    async def slow_to_close(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        try:
            yield Complete(0, png(8, 8))
            await asyncio.Event().wait()
        finally:
            await go_on.wait()

    async with running_server(as_config("test", ScriptedProvider(script=slow_to_close))) as server:
        result = await server.images.Generate(generate(options={"count": 2}), timeout=1.5)
        go_on.set()

        assert [image.index for image in result.images] == [0]
        assert [failure.index for failure in result.failures] == [1]


async def test_an_image_that_expires_under_its_reader_still_arrives() -> None:
    """The store may forget an image while its generation runs; its own readers get it all the same."""

    async def slow(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Complete(0, png(8, 8))
        await asyncio.sleep(0.2)
        yield Complete(1, png(8, 8, shade=5))

    store = StoreTable.model_validate({"ttl": "50ms"})
    async with running_server(as_config("test", ScriptedProvider(script=slow)), store=store) as server:
        result = await server.images.Generate(generate(options={"count": 2}))

        assert [image.image.data for image in result.images] == [png(8, 8), png(8, 8, shade=5)]
