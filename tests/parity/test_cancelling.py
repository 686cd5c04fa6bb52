"""Who ends a generation, and that everybody hears of it."""

import asyncio
import gc
from collections.abc import AsyncIterable
from typing import Any

import grpc
import pytest
from imagegen import AsyncClient, ImageGenError, Preview, Reason
from imagegen_server.rpc.image_service import DeliverySettings
from structlog.testing import capture_logs

from tests.parity.service import (
    MODEL,
    PATIENCE,
    Service,
    change,
    draw,
    in_mid_body,
    in_mid_stream,
    openai_service,
    recorded,
)
from tests.support.calls import Seen, refusal
from tests.support.provider import TEN_TIMES_THE_PROMISE
from tests.support.server import nothing_left, open_unary

FAILING = "stream_error_event"


@pytest.mark.parametrize("request_made", [draw(), change()], ids=["Generate", "Edit"])
async def test_cancelling_a_unary_call_in_mid_body_closes_the_providers_socket(request_made: Any) -> None:
    """A cancel that comes when half of the answer is here still hangs up on the vendor at once."""
    answer = in_mid_body(asyncio.Event())
    async with openai_service() as service:
        service.fake.answer_next(answer)
        call = open_unary(service.server, request_made)
        async with asyncio.timeout(PATIENCE):
            await answer.begun.wait()
        call.cancel()

        await asyncio.wait_for(answer.client_gone.wait(), TEN_TIMES_THE_PROMISE)
        await nothing_left(service.server)


@pytest.mark.parametrize("operation", ["StreamGenerate", "StreamEdit"])
async def test_cancelling_a_stream_after_a_preview_closes_the_providers_socket(operation: str) -> None:
    """A cancel between two events hangs up on the vendor at once, and no event comes after it."""
    answer, seen = in_mid_stream(asyncio.Event()), Seen()
    async with openai_service() as service:
        service.fake.answer_next(answer)
        images = service.server.images
        stream = images.StreamGenerate(draw()) if operation == "StreamGenerate" else images.StreamEdit(change())
        await _read_to_preview(stream, seen)
        stream.cancel()

        await asyncio.wait_for(answer.client_gone.wait(), TEN_TIMES_THE_PROMISE)
        with pytest.raises(asyncio.CancelledError):
            await _read_to_preview(stream, seen)
        assert seen.kinds[-1] == "preview"
        await nothing_left(service.server)


async def test_no_event_follows_an_abort() -> None:
    """After abort() the stream tells CANCELLED and nothing else, also what had arrived before it was read."""
    answer = in_mid_stream(asyncio.Event())
    async with openai_service() as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(answer)
        stream = client.stream(MODEL, "a boat")
        waiter = asyncio.ensure_future(stream.result())
        async with asyncio.timeout(PATIENCE):
            await answer.begun.wait()
            while not stream.generation_id:  # noqa: ASYNC110 - known with the first event, which nobody has read
                await asyncio.sleep(0)
        await stream.abort()

        await asyncio.wait_for(answer.client_gone.wait(), TEN_TIMES_THE_PROMISE)
        for end in (waiter, anext(stream), stream.result()):
            with pytest.raises(ImageGenError) as caught:
                await end
            assert caught.value.reason == Reason.CANCELLED


async def test_the_providers_timeout_covers_the_body() -> None:
    """A vendor that stops in the middle of its answer is given up after the configured time, and hung up on."""
    whole, events = in_mid_body(asyncio.Event()), in_mid_stream(asyncio.Event())
    async with openai_service(provider_timeout=1.5) as service:
        service.fake.answer_next(whole)
        unary = asyncio.ensure_future(_refused(service.server.images.Generate(draw())))
        async with asyncio.timeout(PATIENCE):
            await whole.asked.wait()
        service.fake.answer_next(events)
        streamed = await _refused(_drain(service.server.images.StreamGenerate(draw())))

        assert (await unary, streamed) == ("TIMEOUT", "TIMEOUT")
        for answer in (whole, events):
            assert answer.begun.is_set()
            await asyncio.wait_for(answer.client_gone.wait(), PATIENCE)


async def test_the_callers_deadline_covers_the_body() -> None:
    """A deadline that passes in the middle of the vendor's answer ends the call as timed out, and hangs up."""
    answer = in_mid_stream(asyncio.Event())
    async with openai_service() as service:
        service.fake.answer_next(answer)
        reason = await _refused(_drain(service.server.images.StreamGenerate(draw(), timeout=2)))

        assert reason == "TIMEOUT"
        assert answer.begun.is_set()
        await asyncio.wait_for(answer.client_gone.wait(), PATIENCE)


async def test_leaving_the_loop_early_stops_the_generation() -> None:
    """A break out of a block hangs up on the vendor, and whoever waits for the result hears that it was stopped."""
    answer = in_mid_stream(asyncio.Event())
    async with openai_service() as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(answer)
        async with client.stream(MODEL, "a boat") as stream:
            await _until_preview(stream)
            waiters = [asyncio.ensure_future(stream.result()) for _ in range(2)]

        await asyncio.wait_for(answer.client_gone.wait(), TEN_TIMES_THE_PROMISE)
        async with asyncio.timeout(PATIENCE):
            ends = await asyncio.gather(*waiters, return_exceptions=True)
        assert [end.reason for end in ends if isinstance(end, ImageGenError)] == [Reason.CANCELLED] * 2


async def test_dropping_a_stream_stops_the_generation() -> None:
    """A stream that nobody holds any more hangs up on the vendor, without a block and without a word."""
    answer = in_mid_stream(asyncio.Event())
    async with openai_service() as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(answer)
        stream = client.stream(MODEL, "a boat")
        await _until_preview(stream)
        del stream

        await asyncio.wait_for(answer.client_gone.wait(), PATIENCE)


@pytest.mark.parametrize("reads", [True, False], ids=["iterated", "never read"])
async def test_one_failure_is_told_once(reads: bool) -> None:
    """A generation that fails is one request, one error, one log line; no task and no exception is left behind."""
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    before = asyncio.all_tasks()
    with capture_logs() as lines:
        async with openai_service() as service, AsyncClient(service.server.address) as client:
            service.fake.answer_next(recorded(FAILING))
            await _fail(service, client, reads=reads)
            await nothing_left(service.server)
            assert len(service.fake.requests) == 1
    gc.collect()
    await asyncio.sleep(0)

    assert unhandled == []
    assert asyncio.all_tasks() <= before
    assert [line["reason"] for line in lines if line["event"] == "call"] == ["PROVIDER_ERROR"]


async def test_a_silent_generation_shows_that_it_lives() -> None:
    """While the vendor says nothing a heartbeat comes again and again; whoever leaves then stops the generation."""
    answer = in_mid_stream(asyncio.Event())
    async with openai_service(heartbeat=0.02) as service:
        service.fake.answer_next(answer)
        stream = service.server.images.StreamGenerate(draw())
        await _read_to_preview(stream, Seen())
        beats = []
        async with asyncio.timeout(PATIENCE):
            async for event in stream:
                beats += [event] if event.HasField("progress") else []
                if len(beats) == 4:
                    break
        stream.cancel()

        await asyncio.wait_for(answer.client_gone.wait(), TEN_TIMES_THE_PROMISE)
        assert len({beat.sequence for beat in beats}) == 1


def test_a_heartbeat_comes_every_ten_seconds_at_least() -> None:
    """What the server does when nobody tunes it keeps the promise of the API."""
    assert 0 < DeliverySettings().heartbeat <= 10


async def _fail(service: Service, client: AsyncClient, *, reads: bool) -> None:
    stream = client.stream(MODEL, "a boat")
    if not reads:
        async with asyncio.timeout(PATIENCE):
            while not service.fake.requests:  # noqa: ASYNC110 - a counter, no event
                await asyncio.sleep(0)
        await nothing_left(service.server)
        return
    with pytest.raises(ImageGenError) as told:
        async for _ in stream:
            pass
    with pytest.raises(ImageGenError) as again:
        await stream.result()
    assert told.value is again.value


async def _read_to_preview(stream: AsyncIterable[Any], seen: Seen) -> None:
    async for event in stream:
        seen.events.append(event)
        if event.HasField("preview"):
            return


async def _until_preview(stream: AsyncIterable[Any]) -> None:
    async for event in stream:
        if isinstance(event, Preview):
            return


async def _drain(stream: AsyncIterable[Any]) -> None:
    async for _ in stream:
        pass


async def _refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal(caught.value).reason
