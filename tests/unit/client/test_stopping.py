"""Who stops a generation, and who only stops reading it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from imagegen import AsyncClient, CallSettings, ImageGenError, Reason, Started
from imagegen.v1 import image_service_pb2

from tests.unit.client.fake_server import Context, Event, FakeServer, error_info, started, status_trailer

MODEL = "sandbox/scene"

PLAIN: CallSettings = {}
OWNED: CallSettings = {"resumable": True}
NAMED: CallSettings = {"request_id": "mine"}
NAMED_RESUMABLE: CallSettings = {"request_id": "mine", "resumable": True}
DETACHED: CallSettings = {"on_disconnect": "detach"}
DETACHED_RESUMABLE: CallSettings = {"on_disconnect": "detach", "resumable": True}
NAMED_CANCEL: CallSettings = {"request_id": "mine", "on_disconnect": "cancel"}

Cancel = image_service_pb2.CancelRequest


@pytest.fixture(autouse=True)
def _hanging(server: FakeServer) -> None:
    """Generations start and then wait."""

    async def script(_request: Any, _context: Context) -> AsyncIterator[Event]:
        yield started()
        await server.hang()

    server.stream = server.resume = script


async def settled(server: FakeServer, client: AsyncClient) -> list[Cancel]:
    """The Cancels that came, once everything that is on its way has arrived."""
    await client.aclose()
    return server.called("Cancel")


@pytest.mark.parametrize("settings", [OWNED, NAMED, NAMED_RESUMABLE, DETACHED, DETACHED_RESUMABLE, NAMED_CANCEL])
async def test_abort_tells_the_server(server: FakeServer, client: AsyncClient, settings: CallSettings) -> None:
    """What may run on without this reader is cancelled by its id, and the call ends."""
    stream = client.stream(MODEL, "a cat", **settings)
    assert isinstance(await anext(stream), Started)
    await stream.abort()

    assert server.called("Cancel") == [Cancel(generation_id="gen_1")]
    assert await server.saw_cancel()
    await stream.abort()
    assert len(server.called("Cancel")) == 1
    with pytest.raises(ImageGenError) as caught:
        await stream.result()
    assert caught.value.reason == Reason.CANCELLED


@pytest.mark.parametrize("settings", [OWNED, DETACHED])
async def test_abort_before_the_start_is_known(server: FakeServer, client: AsyncClient, settings: CallSettings) -> None:
    """Without the server's id the request's own is used, which such a call always has."""
    stream = client.stream(MODEL, "a cat", **settings)
    request = await server.saw("StreamGenerate")
    await stream.abort()

    assert len(request.request_id) == 36
    assert server.called("Cancel") == [Cancel(request_id=request.request_id)]


async def test_abort_of_a_plain_stream_is_the_end_of_its_call(server: FakeServer, client: AsyncClient) -> None:
    """Nothing outlives a plain call, so leaving it is all."""
    stream = client.stream(MODEL, "a cat")
    await anext(stream)
    await stream.abort()

    assert await server.saw_cancel()
    assert await settled(server, client) == []


async def test_abort_that_does_not_arrive_is_told(server: FakeServer, client: AsyncClient) -> None:
    """If the server could not be told, the generation may run on; if it has none, all is well."""
    code = grpc.StatusCode.INTERNAL

    async def refuse(_request: Cancel, context: Context) -> image_service_pb2.CancelResponse:
        await context.abort(code, "no", (status_trailer(code, "no", error_info(reason, billed="no")),))
        raise AssertionError

    server.cancel = refuse
    for reason in ("INTERNAL_ERROR", "GENERATION_NOT_FOUND"):
        stream = client.stream(MODEL, "a cat", request_id="mine")
        await anext(stream)
        if reason == "INTERNAL_ERROR":
            with pytest.raises(ImageGenError) as caught:
                await stream.abort()
            assert caught.value.reason == reason
        else:
            await stream.abort()


@pytest.mark.parametrize(
    ("settings", "stopped"),
    [
        pytest.param(OWNED, True, id="resumable"),
        pytest.param(NAMED, False, id="request_id"),
        pytest.param(NAMED_RESUMABLE, False, id="request_id and resumable"),
        pytest.param(DETACHED, False, id="detach"),
        pytest.param(DETACHED_RESUMABLE, False, id="detach and resumable"),
    ],
)
@pytest.mark.parametrize("way", ["block", "drop", "cancel", "close"])
async def test_leaving(
    server: FakeServer, client: AsyncClient, settings: CallSettings, stopped: bool, way: str
) -> None:
    """Leaving stops what nobody else can name, however it is left, and leaves alone what was to go on."""
    stream = client.stream(MODEL, "a cat", **settings)
    assert isinstance(await anext(stream), Started)
    if way == "block":
        async with stream:
            pass
    elif way == "drop":
        del stream
        gc.collect()
    elif way == "cancel":
        task = asyncio.create_task(stream.result())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    if way != "close":
        assert await server.saw_cancel()
    assert await settled(server, client) == ([Cancel(generation_id="gen_1")] if stopped else [])


async def test_time_that_ran_out_stops_what_nobody_can_name(server: FakeServer, client: AsyncClient) -> None:
    """With its timeout a plain call ends its generation, and so does a resumable one; a named one goes on."""
    for settings in (OWNED, NAMED_RESUMABLE):
        with pytest.raises(ImageGenError) as caught:
            await client.image(MODEL, timeout=0.3).generate("a cat", **settings)
        assert caught.value.reason == Reason.TIMEOUT

    assert await settled(server, client) == [Cancel(generation_id="gen_1")]


async def test_abort_while_it_waits_to_try_again(server: FakeServer, client: AsyncClient) -> None:
    """A stream between two tries is aborted at once, and whoever waits for it is told."""
    broke = asyncio.Event()

    async def script(_request: Any, context: Context) -> AsyncIterator[Event]:
        yield started()
        broke.set()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "broke")

    server.stream = script
    stream = client.stream(MODEL, "a cat", resumable=True)
    await anext(stream)
    waiting = asyncio.create_task(stream.result())
    await broke.wait()
    await stream.abort()

    with pytest.raises(ImageGenError) as caught:
        await waiting
    assert caught.value.reason == Reason.CANCELLED
    assert server.called("Cancel") == [Cancel(generation_id="gen_1")]


async def test_abort_of_a_resumed_stream(server: FakeServer, client: AsyncClient) -> None:
    """Who resumes by id may leave without harm, and may stop it."""
    async with client.resume("gen_1") as left:
        await anext(left)
    assert server.called("Cancel") == []

    stream = client.resume(request_id="mine")
    await server.saw("Resume")
    await stream.abort()
    assert server.called("Cancel")[0] in (Cancel(request_id="mine"), Cancel(generation_id="gen_1"))


async def test_nothing_is_cancelled_after_the_end(server: FakeServer, client: AsyncClient) -> None:
    """What the server has told the end of is not cancelled: neither a failure nor a result."""
    code = grpc.StatusCode.INVALID_ARGUMENT

    async def fail(_request: Any, context: Context) -> AsyncIterator[Event]:
        yield started()
        await context.abort(code, "no", (status_trailer(code, "no", error_info("CONTENT_FILTERED", billed="no")),))

    server.stream = fail
    async with client.stream(MODEL, "a cat", resumable=True) as stream:
        with pytest.raises(ImageGenError):
            await stream.result()
        await stream.abort()

    assert await settled(server, client) == []
