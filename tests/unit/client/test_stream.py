"""A generation that runs: events, result, and every way to leave it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from imagegen import AsyncClient, AsyncImageStream, Complete, ImageGenError, Preview, Progress, Reason, Started

from tests.unit.client.fake_server import (
    Context,
    Event,
    FakeServer,
    StreamScript,
    Wish,
    chunks,
    complete,
    opening,
    picture,
    play,
    preview,
    progress,
    result,
    started,
    whole_stream,
)

MODEL = "sandbox/scene"


def hanging(server: FakeServer, *events: Event) -> StreamScript:
    """A script that sends events and then waits to be cancelled."""

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        for event in events:
            yield event
        await server.hang()

    return script


async def cancelled(stream: AsyncImageStream) -> bool:
    """Whether both faces of the stream tell of its cancellation."""
    with pytest.raises(ImageGenError) as waited:
        await stream.result()
    with pytest.raises(ImageGenError) as iterated:
        await anext(stream)
    return waited.value.reason == iterated.value.reason == Reason.CANCELLED


async def test_iterate_then_result(server: FakeServer, client: AsyncClient) -> None:
    """Events come as they happen, then the result has the images."""
    data = picture(400_000)
    server.stream = play(started(), progress(), *preview(b"early"), *complete(data), result(data))

    async with client.stream(MODEL, "a cat") as stream:
        kinds = [type(event) async for event in stream]
        whole = await stream.result()

    assert kinds == [Started, Progress, Preview, Complete]
    assert whole.image.bytes == data
    assert stream.generation_id == "gen_1"


async def test_result_without_iterating(server: FakeServer, client: AsyncClient) -> None:
    """The result can be had without reading events, more than once, and the events are still there afterwards."""
    data = picture()
    server.stream = play(started(), *preview(b"early"), *complete(data), result(data))

    async with client.stream(MODEL, "a cat") as stream:
        whole = await stream.result()
        assert await stream.result() is whole
        kinds = [type(event) async for event in stream]

    assert whole.image.bytes == data
    assert kinds == [Started, Preview, Complete]


async def test_two_readers(client: AsyncClient) -> None:
    """One task may iterate while another waits for the result; neither takes anything from the other."""
    async with client.stream(MODEL, "a cat") as stream:
        whole = asyncio.create_task(stream.result())
        kinds = [type(event) async for event in stream]

        assert kinds == [Started, Complete]
        assert (await whole).image.bytes == picture()


async def test_an_event_is_there_as_soon_as_it_was_sent(server: FakeServer, client: AsyncClient) -> None:
    """A reader gets each event before the next is sent, also while another waits for the end."""
    go_on = asyncio.Event()

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        yield started()
        await go_on.wait()
        for event in whole_stream(picture())[1:]:
            yield event

    server.stream = script
    async with client.stream(MODEL, "a cat") as stream:
        whole = asyncio.create_task(stream.result())
        assert isinstance(await anext(stream), Started)
        go_on.set()
        assert (await whole).images


async def test_generation_runs_without_a_reader(server: FakeServer, client: AsyncClient) -> None:
    """The call is made by stream(), not by the first read."""
    arrived = asyncio.Event()

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        arrived.set()
        for event in whole_stream(picture()):
            yield event

    server.stream = script
    async with client.stream(MODEL, "a cat"):
        await asyncio.wait_for(arrived.wait(), 10)


async def test_largest_image(server: FakeServer, client: AsyncClient) -> None:
    """An image of 64 MiB arrives whole."""
    data = picture(64 * 1024 * 1024)
    server.stream = play(*whole_stream(data))

    whole = await client.generate(MODEL, "a cat")

    assert whole.image.bytes == data


async def test_end_without_result_is_an_error(server: FakeServer, client: AsyncClient) -> None:
    """A stream that ends well but brings no result is no success."""
    server.stream = play(started(), *complete(picture()))

    with pytest.raises(ImageGenError, match="without a result") as caught:
        await client.generate(MODEL, "a cat")

    assert (caught.value.reason, caught.value.billed, caught.value.generation_id) == (
        Reason.INVALID_RESPONSE,
        "unknown",
        "gen_1",
    )


async def test_failure_after_the_result_does_not_lose_it(server: FakeServer, client: AsyncClient) -> None:
    """Once the result is there, a connection that breaks changes nothing."""

    async def script(_request: Wish, context: Context) -> AsyncIterator[Event]:
        for event in whole_stream(picture()):
            yield event
        await context.abort(grpc.StatusCode.UNAVAILABLE, "broke")

    server.stream = script

    assert (await client.generate(MODEL, "a cat")).image.bytes == picture()


async def test_events_before_a_failure_are_delivered(server: FakeServer, client: AsyncClient) -> None:
    """An iteration gets everything that came before the error, then the error, each time it asks."""

    async def script(_request: Wish, context: Context) -> AsyncIterator[Event]:
        for event in [started(), *complete(picture())]:
            yield event
        await context.abort(grpc.StatusCode.INTERNAL, "broke")

    server.stream = script
    async with client.stream(MODEL, "a cat") as stream:
        with pytest.raises(ImageGenError):
            await stream.result()
        assert isinstance(await anext(stream), Started)
        assert isinstance(await anext(stream), Complete)
        for _ in range(2):
            with pytest.raises(ImageGenError, match="broke"):
                await anext(stream)


async def test_broken_promise_ends_the_call(server: FakeServer, client: AsyncClient) -> None:
    """Bytes that are not the promised ones fail the call and stop the generation."""
    server.stream = hanging(server, started(), opening(picture()), *chunks(picture(salt=1)))

    async with client.stream(MODEL, "a cat") as stream:
        with pytest.raises(ImageGenError, match="SHA-256") as caught:
            await stream.result()

    assert caught.value.generation_id == "gen_1"
    assert await server.saw_cancel()


async def test_abort_reaches_the_server_at_once(server: FakeServer, client: AsyncClient) -> None:
    """abort() cancels the call on the server in less than a tenth of a second, and no event follows."""
    server.stream = hanging(server, started(), progress(), *complete(picture()))

    async with client.stream(MODEL, "a cat") as stream:
        async for event in stream:
            if isinstance(event, Complete):
                break
        begun = time.monotonic()
        await stream.abort()
        assert await server.saw_cancel()
        assert time.monotonic() - begun < 0.1
        assert await cancelled(stream)


async def test_abort_wakes_those_who_wait(server: FakeServer, client: AsyncClient) -> None:
    """A task that waits for the result gets an error, and is not itself cancelled."""
    server.stream = hanging(server, started())

    async with client.stream(MODEL, "a cat") as stream:
        await anext(stream)
        waiting = asyncio.create_task(stream.result())
        iterating = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        await stream.abort()
        for task in (waiting, iterating):
            with pytest.raises(ImageGenError) as caught:
                await task
            assert caught.value.reason == Reason.CANCELLED


async def test_abort_drops_what_was_not_read(server: FakeServer, client: AsyncClient) -> None:
    """After abort() no event comes, not even one that was received before."""
    sent = asyncio.Event()

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        for event in [started(), *complete(picture())]:
            yield event
        sent.set()
        await server.hang()

    server.stream = script
    async with client.stream(MODEL, "a cat") as stream:
        waiting = asyncio.create_task(stream.result())
        assert isinstance(await anext(stream), Started)
        await sent.wait()
        await stream.abort()
        assert await cancelled(stream)
        with pytest.raises(ImageGenError):
            await waiting


async def test_abort_before_anything_was_sent(client: AsyncClient) -> None:
    """A call that is aborted in the same breath ends like any other."""
    stream = client.stream(MODEL, "a cat")
    await stream.abort()

    assert await cancelled(stream)


async def test_abort_after_the_end_changes_nothing(client: AsyncClient) -> None:
    """A finished generation stays finished."""
    stream = client.stream(MODEL, "a cat")
    whole = await stream.result()
    await stream.abort()
    await stream.aclose()

    assert await stream.result() is whole
    assert [type(event) async for event in stream] == [Started, Complete]


async def test_leaving_the_block_stops_the_generation(server: FakeServer, client: AsyncClient) -> None:
    """The end of `async with` is a cancel if the generation still runs."""
    server.stream = hanging(server, started())

    async with client.stream(MODEL, "a cat") as stream:
        assert isinstance(await anext(stream), Started)

    assert await server.saw_cancel()
    assert await cancelled(stream)


async def test_dropping_the_stream_stops_the_generation(server: FakeServer, client: AsyncClient) -> None:
    """A loop that is left, with nothing that holds the stream, does not leave a generation running."""
    server.stream = hanging(server, started())

    async for _event in client.stream(MODEL, "a cat"):
        break
    gc.collect()

    assert await server.saw_cancel()


async def test_cancelling_generate_stops_the_generation(server: FakeServer, client: AsyncClient) -> None:
    """A cancelled task is cancelled, and the server is told."""
    begun = asyncio.Event()

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        yield started()
        begun.set()
        await server.hang()

    server.stream = script
    task = asyncio.create_task(client.generate(MODEL, "a cat"))
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await server.saw_cancel()


async def test_timeout_around_a_wait_stops_the_generation(server: FakeServer, client: AsyncClient) -> None:
    """asyncio.timeout() works as everywhere: a TimeoutError here, a cancel there."""
    server.stream = hanging(server, started())

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.generate(MODEL, "a cat")

    assert await server.saw_cancel()


async def test_cancelling_one_who_waits_ends_it_for_all(server: FakeServer, client: AsyncClient) -> None:
    """A cancelled reader stops the generation; others who wait get an error, not a cancellation of their own."""
    server.stream = hanging(server, started())

    stream = client.stream(MODEL, "a cat")
    await anext(stream)
    first, second = asyncio.create_task(stream.result()), asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    second.cancel()

    with pytest.raises(asyncio.CancelledError):
        await second
    with pytest.raises(ImageGenError) as caught:
        await first
    assert caught.value.reason == Reason.CANCELLED
    assert await server.saw_cancel()


async def test_closing_the_client_ends_its_streams(server: FakeServer) -> None:
    """A stream of a closed client ends in an error."""
    server.stream = hanging(server, started())

    async with AsyncClient(server.address) as client:
        stream = client.stream(MODEL, "a cat")
        await anext(stream)
        waiting = asyncio.create_task(stream.result())
        await asyncio.sleep(0)

    with pytest.raises(ImageGenError) as caught:
        await waiting
    assert caught.value.reason == Reason.CANCELLED
    assert await server.saw_cancel()
