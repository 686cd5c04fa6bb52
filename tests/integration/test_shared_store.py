"""Two servers that share a store behave as one: joining, resuming, stopping and uploading at either of them."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc
import pytest
from imagegen.v1 import image_pb2, image_service_pb2, image_stream_pb2
from imagegen_server.domain.caller import ANONYMOUS
from imagegen_server.domain.events import Complete, Preview, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.generation.log import CHUNK_BYTES, SLOW_READER_SECONDS
from imagegen_server.providers.base import Call

from tests.support.calls import edit, generate, watch
from tests.support.faults_setup import first, joined, read_image, resume, within
from tests.support.gated import LARGE, Gated
from tests.support.pictures import png
from tests.support.provider import TEN_TIMES_THE_PROMISE, Script, ScriptedProvider, draw_all, first_only, never
from tests.support.server import Running, nothing_left
from tests.support.shared import redis_store, refused, sharing_servers, store_at, until

Url = Callable[[], str]
Event = image_stream_pb2.ImageStreamEvent


def two(script: Script) -> tuple[ScriptedProvider, ScriptedProvider]:
    """Make a provider for each of two servers, which do the same."""
    return ScriptedProvider(script), ScriptedProvider(script)


async def test_the_same_request_elsewhere_joins(redis: Url) -> None:
    """It is bought once, and both readers see the same events with the same numbers, live."""
    script = Gated()
    here, there = two(script)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        running = one.images.StreamGenerate(generate(request_id="mine"))
        before = await first(running, 2)
        joining = other.images.StreamGenerate(generate(request_id="mine"))
        earlier = await first(joining, 3)
        script.go_on.set()
        second, seen = await watch(joined(earlier, joining)), await watch(joined(before, running))

        assert "preview" in {event.WhichOneof("event") for event in earlier}
        assert seen.images[0] == second.images[0] == LARGE
        assert [event.sequence for event in second.events] == [event.sequence for event in seen.events]
        assert seen.result == second.result
        assert (len(here.tasks), len(there.tasks)) == (1, 0)
        for server in (one, other):
            await nothing_left(server)


async def draw_with_previews(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Show two previews of each picture, and finish the first alone."""
    call.accepted("")
    for shade in range(2):
        for index in range(task.count):
            yield Preview(index, png(8, 8, shade=shade))
    yield Complete(0, png(8, 8))


async def test_previews_stay_no_longer_than_they_are_of_use(redis: Url) -> None:
    """A newer picture of the image takes their place, and the end that of the last: none stays as long as the log."""
    async with sharing_servers(store_at(redis()), ScriptedProvider(draw_with_previews)) as (one,):
        seen = await watch(one.images.StreamGenerate(generate(options={"count": 2, "preview_count": 2})))
        connection, generation_id = redis_store(one.app)._connection, seen.events[0].started.generation_id
        keys = [
            f"{connection.prefix}p:{generation_id}:{event.sequence}"
            for event in seen.events
            if event.HasField("preview")
        ]
        async with asyncio.timeout(30):
            while any([await connection.ask("PTTL", key) > SLOW_READER_SECONDS * 1000 for key in keys]):
                pass

        assert len(keys) == 4
        assert await connection.ask("TTL", f"{connection.prefix}l:{generation_id}") > SLOW_READER_SECONDS


async def test_the_same_request_elsewhere_is_replayed(redis: Url) -> None:
    """After its end it has the same result, in the stream form and in the unary one."""
    here, there = two(draw_all)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        result = await one.images.Generate(generate(request_id="mine", options={"count": 2}))
        again = await other.images.Generate(generate(request_id="mine", options={"count": 2}))
        seen = await watch(other.images.StreamGenerate(generate(request_id="mine", options={"count": 2})))

        assert again == result
        assert [seen.images[image.index] for image in result.images] == [image.image.data for image in result.images]
        assert not there.tasks
        error = await refused(other.images.Generate(generate(prompt="a house", request_id="mine")))
        assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
        await nothing_left(other)


async def test_a_failure_that_may_have_cost_is_told_elsewhere(redis: Url) -> None:
    """The same error with its details; what was free begins anew, wherever it is asked for."""

    async def failing(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        call.accepted("request-1")
        raise RuntimeError("broken")
        yield

    here, there = two(failing)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        first_time = await refused(one.images.Generate(generate(request_id="mine")))
        again = await refused(other.images.Generate(generate(request_id="mine")))

        assert again == first_time
        assert (len(here.tasks), len(there.tasks)) == (1, 0)


@pytest.mark.parametrize("by_request_id", [False, True])
@pytest.mark.parametrize("own_id", [False, True])
async def test_resume_elsewhere_in_the_middle_of_an_image(redis: Url, by_request_id: bool, own_id: bool) -> None:
    """From any number on the rest comes, by either id, also where the server made the request_id."""
    script = Gated()
    script.go_on.set()
    request = generate(request_id="mine" if own_id else "", on_disconnect="ON_DISCONNECT_DETACH")
    async with sharing_servers(store_at(redis()), *two(script)) as (one, other):
        stream = one.images.StreamGenerate(request)
        before = await first(stream, 7)
        stream.cancel()
        assert before[-1].HasField("chunk")
        assert len(LARGE) > 3 * CHUNK_BYTES
        ids = before[0].started

        wanted = {"request_id": ids.request_id} if by_request_id else {"generation_id": ids.generation_id}
        rest = other.images.Resume(resume(before[-1].sequence, **wanted))

        seen = await watch(joined(before, rest))
        assert seen.images[0] == LARGE
        numbers = [event.sequence for event in seen.events]
        assert numbers == sorted(set(numbers))


async def test_a_number_that_nobody_has_seen_is_refused_elsewhere(redis: Url) -> None:
    """As it is where the generation runs."""
    async with sharing_servers(store_at(redis()), *two(draw_all)) as (one, other):
        await one.images.Generate(generate(request_id="mine"))

        error = await refused(watch(other.images.Resume(resume(10_000, request_id="mine"))))

        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        await nothing_left(other)


@pytest.mark.parametrize("by_request_id", [False, True])
async def test_cancel_elsewhere_reaches_the_provider(redis: Url, by_request_id: bool) -> None:
    """At once, and everybody who reads hears of it, wherever they are."""
    here, there = two(never)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        stream = one.images.StreamGenerate(generate(request_id="mine"))
        ids = (await until(stream, "started")).started
        await until(stream, "preview")
        elsewhere = other.images.Resume(resume(request_id="mine"))
        await until(elsewhere, "preview")
        wanted = {"request_id": "mine"} if by_request_id else {"generation_id": ids.generation_id}

        answer = await other.images.Cancel(image_service_pb2.CancelRequest(**wanted))

        await asyncio.wait_for(here.closed.wait(), TEN_TIMES_THE_PROMISE)
        assert (answer.generation_id, answer.stopped) == (ids.generation_id, True)
        for reader in (stream, elsewhere):
            assert (await refused(first(reader, 99))).reason == "CANCELLED"
        again = await other.images.Cancel(image_service_pb2.CancelRequest(**wanted))
        assert not again.stopped
        for server in (one, other):
            await nothing_left(server)


async def test_a_reader_elsewhere_keeps_a_generation_alive(redis: Url) -> None:
    """A CANCEL generation goes on when its own reader leaves, and ends when the last one elsewhere does."""
    here, there = two(never)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        stream = one.images.StreamGenerate(generate(request_id="mine", on_disconnect="ON_DISCONNECT_CANCEL"))
        await until(stream, "preview")
        elsewhere = other.images.StreamGenerate(generate(request_id="mine", on_disconnect="ON_DISCONNECT_CANCEL"))
        await until(elsewhere, "preview")
        (generation,) = one.app.engine._generations.running
        await reads(generation, 2)

        stream.cancel()
        await reads(generation, 1)
        assert not here.closed.is_set()
        elsewhere.cancel()

        await asyncio.wait_for(here.closed.wait(), TEN_TIMES_THE_PROMISE)
        for server in (one, other):
            await nothing_left(server)


async def reads(generation: Any, count: int) -> None:
    """Wait until so many read a generation, one for each other server."""
    async with asyncio.timeout(10):
        while generation.readers != count:  # noqa: ASYNC110 - a counter, no event
            await asyncio.sleep(0.005)


async def test_joining_elsewhere_with_detach_detaches(redis: Url) -> None:
    """It goes on without any reader then, to its end."""
    script = Gated()
    here, there = two(script)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        stream = one.images.StreamGenerate(generate(request_id="mine", on_disconnect="ON_DISCONNECT_CANCEL"))
        await until(stream, "preview")
        elsewhere = other.images.StreamGenerate(generate(request_id="mine"))
        await until(elsewhere, "preview")
        (generation,) = one.app.engine._generations.running
        async with asyncio.timeout(10):
            while not generation.detached:  # noqa: ASYNC110 - a flag, no event
                await asyncio.sleep(0.005)
        stream.cancel()
        elsewhere.cancel()
        await reads(generation, 0)
        script.go_on.set()

        seen = await watch(other.images.Resume(resume(request_id="mine")))

        assert seen.images[0] == LARGE


async def test_what_is_finished_elsewhere_survives_cancel(redis: Url) -> None:
    """Cancelled at the other server after the first of two pictures: OK with that one, at both."""
    async with sharing_servers(store_at(redis()), *two(first_only)) as (one, other):
        stream = one.images.StreamGenerate(generate(request_id="mine", options={"count": 2}))
        await until(stream, "complete")
        await other.images.Cancel(image_service_pb2.CancelRequest(request_id="mine"))

        seen = await watch(other.images.Resume(resume(request_id="mine")))

        assert [image.index for image in seen.result.images] == [0]
        assert seen.images[0] == png(8, 8)


async def test_images_are_read_and_edited_elsewhere(redis: Url) -> None:
    """By their ids, whole and from an offset; they are inputs of edits there."""
    here, there = two(draw_all)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        result = await one.images.Generate(generate(delivery={"mode": "DELIVERY_MODE_REFERENCE"}))
        image = result.images[0].image

        assert await read_image(other.images, image.image_id) == png(8, 8)
        request = edit()
        request.input.images.add(image_id=image.image_id)
        await other.images.Edit(request)

        assert there.tasks[0].images[0].data == png(8, 8)


async def test_an_upload_goes_on_elsewhere(redis: Url) -> None:
    """Pieces to either server make one image with one id, which both know."""
    data = LARGE
    digest = hashlib.sha256(data).hexdigest()

    def piece(offset: int, end: int) -> image_service_pb2.UploadImageRequest:
        return image_service_pb2.UploadImageRequest(
            sha256=digest, size_bytes=len(data), offset=offset, data=data[offset:end]
        )

    async with sharing_servers(store_at(redis()), *two(draw_all)) as (one, other):
        await one.images.UploadImage(piece(0, 1000))
        assert (await other.images.UploadImage(piece(0, 0))).committed_bytes == 1000
        done = await other.images.UploadImage(piece(1000, len(data)))

        assert (await one.images.UploadImage(piece(0, 0))).image.image_id == done.image.image_id
        assert await read_image(one.images, done.image.image_id) == data


async def test_what_is_being_begun_elsewhere_is_waited_for(redis: Url) -> None:
    """A request_id that was claimed and is freed again is begun by who waits for it."""
    here, there = two(draw_all)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        gate, asked = asyncio.Event(), asyncio.Event()

        async def hold_up(*_: object) -> None:
            asked.set()
            await gate.wait()
            raise RuntimeError("the server is broken")

        one.app.engine._opener.open = hold_up  # type: ignore[assignment,method-assign]
        begun = one.images.Generate(generate(request_id="mine"))
        broken = asyncio.ensure_future(refused(begun))
        await within(asked)
        waiting = asyncio.ensure_future(_result(other))
        async with asyncio.timeout(10):
            while not other.app.admission.calls:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.005)
        gate.set()

        assert (await broken).reason == "INTERNAL_ERROR"
        assert (await waiting).images
        assert (len(here.tasks), len(there.tasks)) == (0, 1)


async def test_a_cancel_that_overtakes_its_wish_elsewhere(redis: Url) -> None:
    """It met nothing at the other server; the wish is held up, and is not begun if its caller leaves meanwhile."""
    here, there = two(draw_all)
    async with sharing_servers(store_at(redis()), here, there) as (one, other):
        for request_id in ("left", "stayed"):
            error = await refused(other.images.Cancel(image_service_pb2.CancelRequest(request_id=request_id)))
            assert error.reason == "GENERATION_NOT_FOUND"

        left = one.images.StreamGenerate(generate(request_id="left"))
        await claimed(one, "left", expected=True)
        left.cancel()
        await claimed(one, "left", expected=False)
        assert not here.tasks

        assert (await one.images.Generate(generate(request_id="stayed"))).images


async def claimed(server: Running, request_id: str, *, expected: bool) -> None:
    """Wait until a request_id stands for something, or for nothing."""
    async with asyncio.timeout(10):
        while (await server.app.store.find(ANONYMOUS.name, request_id) is not None) is not expected:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def _result(server: Running) -> image_pb2.ImageResult:
    return await server.images.Generate(generate(request_id="mine"))
