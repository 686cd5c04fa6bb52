"""Generations that outlive their readers, and who ends them."""

import asyncio
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import pytest
from imagegen import AsyncClient, AsyncImageStream, CallSettings, Complete, ImageGenError, Preview, Reason
from imagegen.v1 import image_pb2, image_service_pb2, image_stream_pb2
from structlog.testing import capture_logs

from tests.parity.configured import configured_service
from tests.parity.forms import FORMS, begin, call, refused
from tests.parity.service import MODEL, PATIENCE, Service, in_mid_stream, recorded
from tests.support.calls import watch
from tests.support.middleware import Notes, Noting
from tests.support.provider import TEN_TIMES_THE_PROMISE
from tests.support.server import nothing_left
from tests.support.vendor import Answer


async def left_after_its_preview(client: AsyncClient, settings: CallSettings) -> AsyncImageStream:
    """Watch a generation until its preview, and leave it."""
    async with client.stream(MODEL, "a boat", **settings) as stream:
        async for event in stream:
            if isinstance(event, Preview):
                break
    return stream


async def nobody_reads(service: Service) -> None:
    """Wait until the server has noticed that everybody has left, and that one generation goes on."""
    async with asyncio.timeout(PATIENCE):
        while service.server.app.engine.detached != 1:  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "settings", [{"request_id": "mine"}, {"on_disconnect": "detach"}], ids=["request_id", "on_disconnect"]
)
async def test_leaving_is_a_detach_where_that_was_declared(settings: CallSettings, tmp_path: Path) -> None:
    """The generation goes on, is found by either id and by the same request, and was bought once."""
    notes, release = Notes(), asyncio.Event()
    answer = in_mid_stream(release)
    async with (
        configured_service(tmp_path, middleware=[Noting("a", notes)]) as service,
        AsyncClient(service.server.address) as client,
    ):
        service.fake.answer_next(answer)
        left = await left_after_its_preview(client, settings)
        await nobody_reads(service)
        readers = [client.resume(left.generation_id), client.resume(request_id=left.request_id)]
        readers.append(client.stream(MODEL, "a boat", request_id=left.request_id))
        for reader in readers:
            await anext(reader)
        release.set()
        async with asyncio.timeout(PATIENCE):
            results = [await reader.result() for reader in readers]
        results.append(await client.generate(MODEL, "a boat", request_id=left.request_id))

        assert not answer.client_gone.is_set()
        assert len(service.fake.requests) == 1
    assert {result.generation_id for result in results} == {left.generation_id}
    assert len({result.image.bytes for result in results}) == 1
    lines = [line for line in notes.lines if "on_stream_event" not in line and "close" not in line]
    assert lines == ["a on_start", "a on_request", "a on_stream_end", "a on_response", "a on_end"]


async def test_a_detached_generation_ends_without_any_reader(tmp_path: Path) -> None:
    """Nobody comes back while it runs: the picture is made, and is there for who comes later."""
    release = asyncio.Event()
    answer = in_mid_stream(release)
    async with configured_service(tmp_path) as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(answer)
        left = await left_after_its_preview(client, {"request_id": "mine"})
        await nobody_reads(service)
        release.set()
        await nothing_left(service.server)
        result = await client.resume(left.generation_id).result()

        assert result.image.bytes
        assert len(service.fake.requests) == 1


async def test_a_request_id_with_cancel_is_stopped_by_leaving(tmp_path: Path) -> None:
    """What the caller declares goes before the rule: its id is told, and leaving hangs up on the vendor."""
    answer = in_mid_stream(asyncio.Event())
    async with configured_service(tmp_path) as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(answer)
        await left_after_its_preview(client, {"request_id": "mine", "on_disconnect": "cancel"})

        await asyncio.wait_for(answer.client_gone.wait(), TEN_TIMES_THE_PROMISE)


@pytest.mark.parametrize("leaves_first", [0, 1], ids=["who asked", "who joined"])
async def test_of_two_readers_the_last_one_to_leave_stops_it(leaves_first: int, tmp_path: Path) -> None:
    """A generation that ends with its readers goes on as long as one of them is there."""
    answer = in_mid_stream(asyncio.Event())
    wish = {"requestId": "mine", "onDisconnect": "ON_DISCONNECT_CANCEL"}
    with capture_logs() as lines:
        async with configured_service(tmp_path, heartbeat=0.02) as service:
            service.fake.answer_next(answer)
            readers = []
            for _ in range(2):
                readers.append(begin(service, "StreamGenerate", **wish))
                await readers[-1].initial_metadata()
            await asyncio.wait_for(answer.begun.wait(), PATIENCE)
            readers.pop(leaves_first).cancel()
            async with asyncio.timeout(PATIENCE):
                while not any("client_left" in line for line in lines):  # noqa: ASYNC110 - a line, no event
                    await asyncio.sleep(0)
            await _beats(readers[0], 3)
            assert not answer.client_gone.is_set()
            readers[0].cancel()

            await asyncio.wait_for(answer.client_gone.wait(), TEN_TIMES_THE_PROMISE)


async def test_cancel_stops_a_detached_generation(tmp_path: Path) -> None:
    """Who has left stops the spending by its id, and whoever reads later hears that it was stopped."""
    answer = in_mid_stream(asyncio.Event())
    async with configured_service(tmp_path) as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(answer)
        left = await left_after_its_preview(client, {"request_id": "mine"})
        await nobody_reads(service)
        assert await client.cancel(request_id="mine") is True

        await asyncio.wait_for(answer.client_gone.wait(), TEN_TIMES_THE_PROMISE)
        with pytest.raises(ImageGenError) as caught:
            await client.resume(left.generation_id).result()
        assert caught.value.reason == Reason.CANCELLED


async def test_a_readers_deadline_does_not_end_a_detached_generation(tmp_path: Path) -> None:
    """A reader whose time is up goes, and the generation goes on."""
    release = asyncio.Event()
    answer = in_mid_stream(release)
    async with configured_service(tmp_path) as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(answer)
        with pytest.raises(ImageGenError) as caught:
            await client.generate(MODEL, "a boat", request_id="mine", timeout=1.5)
        assert caught.value.reason == Reason.TIMEOUT
        release.set()
        result = await client.generate(MODEL, "a boat", request_id="mine")

        assert result.image.bytes
        assert len(service.fake.requests) == 1


async def test_a_silent_detached_generation_shows_whoever_comes_back_that_it_lives(tmp_path: Path) -> None:
    """Heartbeats come to a resumed stream as they came to the first."""
    answer = in_mid_stream(asyncio.Event())
    async with (
        configured_service(tmp_path, heartbeat=0.02) as service,
        AsyncClient(service.server.address) as client,
    ):
        service.fake.answer_next(answer)
        await left_after_its_preview(client, {"request_id": "mine"})
        stream = service.server.images.Resume(image_service_pb2.ResumeRequest(request_id="mine"))
        await _beats(stream, 4)
        stream.cancel()

        assert await client.cancel(request_id="mine") is True


@pytest.mark.parametrize("form", FORMS)
async def test_the_same_request_again_asks_nobody_again(form: str, tmp_path: Path) -> None:
    """Joined while it runs or replayed after its end, unary or streamed: one generation, one purchase."""
    answer = _held(form)
    twin = form.removeprefix("Stream") if form.startswith("Stream") else f"Stream{form}"
    async with configured_service(tmp_path) as service:
        service.fake.answer_next(answer)
        first, joined = begin(service, form, requestId="mine"), begin(service, twin, requestId="mine")
        for reader in (first, joined):
            await reader.initial_metadata()
        assert answer.before is not None
        answer.before.set()
        ids = {(await reader.initial_metadata())["imagegen-generation-id"] for reader in (first, joined)}
        whole = [await _finished(reader) for reader in (first, joined)]
        whole.append(await call(service, form, requestId="mine"))

        assert len(service.fake.requests) == 1
        assert await refused(begin(service, form, requestId="mine", params={"openai": {"user": "u"}})) == (
            "REQUEST_ID_REUSED"
        )
    assert ids == {whole[0].generation_id}
    assert {result.generation_id for result in whole} == ids
    assert len({result.images[0].image.sha256 for result in whole}) == 1


async def test_a_second_reader_sees_the_same_events(tmp_path: Path) -> None:
    """Two readers at once are sent the same events under the same numbers; a third goes on where one has stopped."""
    answer = recorded("stream_two_partials")
    answer.before = asyncio.Event()
    async with configured_service(tmp_path) as service, AsyncClient(service.server.address) as client:
        service.fake.answer_next(answer)
        first = begin(service, "StreamGenerate", requestId="mine", options={"previewCount": 2})
        await first.initial_metadata()
        second = service.server.images.Resume(image_service_pb2.ResumeRequest(request_id="mine"))
        await second.initial_metadata()
        answer.before.set()
        seen, again = await asyncio.gather(watch(first), watch(second))
        complete = next(event.sequence for event in seen.events if event.HasField("complete"))
        rest = [event async for event in client.resume(request_id="mine", after_sequence=complete - 1)]

        assert len(service.fake.requests) == 1
    assert [(event.sequence, event.WhichOneof("event")) for event in again.events] == [
        (event.sequence, event.WhichOneof("event")) for event in seen.events
    ]
    assert (again.previews, again.images) == (seen.previews, seen.images)
    assert [(type(event), event.image.bytes) for event in rest if isinstance(event, Complete)] == [
        (Complete, seen.images[0])
    ]


async def _beats(stream: AsyncIterable[image_stream_pb2.ImageStreamEvent], count: int) -> None:
    """Read so many events that tell of progress."""
    beats = 0
    async with asyncio.timeout(PATIENCE):
        async for event in stream:
            beats += event.HasField("progress")
            if beats == count:
                return
    raise AssertionError("the stream ended")


def _held(form: str) -> Answer:
    answer = recorded("stream_two_partials" if form.startswith("Stream") else "json_png")
    answer.before = asyncio.Event()
    return answer


async def _finished(reader: AsyncIterable[Any]) -> image_pb2.ImageResult:
    last = [message async for message in reader][-1]
    return last if isinstance(last, image_pb2.ImageResult) else last.result
