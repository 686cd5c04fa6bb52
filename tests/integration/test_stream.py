"""StreamGenerate and StreamEdit on plain stubs with default options."""

import asyncio
from collections.abc import AsyncGenerator

import grpc
import pytest
from imagegen.v1 import image_stream_pb2
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, Phase, Preview, Progress, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.generation.log import CHUNK_BYTES
from imagegen_server.providers.base import Call
from imagegen_server.rpc.image_service import DeliverySettings

from tests.support.calls import Seen, edit, generate, refusal, sha256, watch
from tests.support.pictures import noisy_png, png
from tests.support.provider import ScriptedProvider
from tests.support.server import as_config, running_server

FIRST, SECOND, FINAL = png(8, 8, shade=1), noisy_png(300, 300), noisy_png(300, 400)


async def develop(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Show two previews of one picture, then the picture."""
    yield Progress(Phase.GENERATING, step=1, steps=3)
    yield Preview(0, FIRST)
    yield Preview(0, SECOND, {"strength": 0.5})
    yield Complete(0, FINAL, seed=-5, metadata={"note": "done"})


async def test_a_stream_tells_shows_and_ends_with_one_result() -> None:
    """Events come in order, images whole in chunks, and the result is what the unary form would answer."""
    async with running_server(as_config("test", ScriptedProvider(script=develop))) as server:
        seen = await watch(server.images.StreamGenerate(generate()))

        assert seen.kinds == ["started", "progress", "preview", "preview", "complete", "result"]
        assert seen.previews == [(0, 1, FIRST), (0, 2, SECOND)]
        assert seen.images == {0: FINAL}
        image = seen.result.images[0]
        assert (image.image.data, image.image.sha256, image.seed) == (b"", sha256(FINAL), -5)
        assert image.metadata["test"]["note"] == "done"


async def test_a_preview_has_facts_and_no_id() -> None:
    """A preview says what its bytes are and cannot be asked for again."""
    async with running_server(as_config("test", ScriptedProvider(script=develop))) as server:
        seen = await watch(server.images.StreamGenerate(generate()))

        preview = next(e.preview for e in seen.events if e.HasField("preview") and e.preview.number == 2)
        assert (preview.image.width, preview.image.height, preview.image.size_bytes) == (300, 300, len(SECOND))
        assert (preview.image.image_id, preview.image.sha256) == ("", "")
        assert not preview.image.HasField("expire_time")
        assert preview.metadata["test"]["strength"] == 0.5


async def test_sequences_count_openings_and_chunks() -> None:
    """An image takes 1 + ceil(size / 196608) numbers, and every chunk but the last is full."""
    async with running_server(as_config("test", ScriptedProvider(script=develop))) as server:
        seen = await watch(server.images.StreamGenerate(generate()))

        assert [event.sequence for event in seen.events] == list(range(1, len(seen.events) + 1))
        sizes = [len(event.chunk.data) for event in seen.events if event.HasField("chunk")]
        assert sizes == [len(FIRST), *_chunks(len(SECOND)), *_chunks(len(FINAL))]
        assert CHUNK_BYTES % 3 == 0


def _chunks(size: int) -> list[int]:
    return [CHUNK_BYTES] * (size // CHUNK_BYTES) + [size % CHUNK_BYTES]


async def test_reference_streams_no_bytes_and_the_same_numbers() -> None:
    """REFERENCE leaves the chunks out; sequences are those of the log all the same."""
    async with running_server(as_config("test", ScriptedProvider(script=develop))) as server:
        whole = await watch(server.images.StreamGenerate(generate()))
        seen = await watch(server.images.StreamGenerate(generate(delivery={"mode": "DELIVERY_MODE_REFERENCE"})))

        assert not any(event.HasField("chunk") for event in seen.events)
        assert seen.kinds == whole.kinds
        numbers = {event.WhichOneof("event"): event.sequence for event in whole.events}
        assert seen.events[-1].sequence == numbers["result"]


async def test_previews_are_asked_for_by_form() -> None:
    """Streams ask for two previews, unary calls for none, and an explicit wish wins, warned of where it cannot hold."""
    provider = ScriptedProvider()
    async with running_server(as_config("test", provider)) as server:
        await watch(server.images.StreamGenerate(generate()))
        await watch(server.images.StreamGenerate(generate(options={"previewCount": 0})))
        capped = await watch(server.images.StreamGenerate(generate(options={"previewCount": 9})))
        await server.images.Generate(generate())
        unary = await server.images.Generate(generate(options={"previewCount": 1}))

        assert [task.preview_count for task in provider.tasks] == [2, 0, 4, 0, 0]
        assert [w.field for w in capped.events[0].started.warnings] == ["options.preview_count"]
        assert [w.field for w in unary.warnings] == ["options.preview_count"]


async def test_heartbeats_repeat_the_last_state() -> None:
    """While nothing happens, progress comes again with the same sequence and a later time."""
    go_on = asyncio.Event()

    async def silent(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Progress(Phase.RECEIVING, step=2, steps=3)
        await go_on.wait()
        yield Complete(0, FIRST)

    settings = DeliverySettings(heartbeat=0.02)
    async with running_server(as_config("test", ScriptedProvider(script=silent)), delivery=settings) as server:
        seen = Seen()
        stream = server.images.StreamGenerate(generate())
        async for event in stream:
            seen.events.append(event)
            if len(seen.events) == 5:
                go_on.set()
        beats = [event for event in seen.events if event.HasField("progress")]

        assert len(beats) >= 4
        assert {beat.sequence for beat in beats} == {2}
        assert {(beat.progress.phase, beat.progress.step) for beat in beats} == {(image_stream_pb2.PHASE_RECEIVING, 2)}
        elapsed = [beat.progress.elapsed.ToNanoseconds() for beat in beats]
        assert elapsed == sorted(elapsed)
        assert len(set(elapsed)) == len(elapsed)


async def test_an_error_after_previews_ends_the_stream_by_status() -> None:
    """What was shown stays shown; the end is the error status, with no result before it."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Preview(0, FIRST)
        raise ImageError(Reason.CONTENT_FILTERED, "refused", stage="output")

    seen = Seen()
    async with running_server(as_config("test", ScriptedProvider(script=script))) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch(server.images.StreamGenerate(generate()), seen)

        assert seen.kinds == ["started", "preview", "failure"]
        assert seen.previews == [(0, 1, FIRST)]
        told = refusal(caught.value)
        assert (told.reason, told.metadata["stage"], told.billed) == ("CONTENT_FILTERED", "output", "unknown")


async def test_two_images_of_which_one_fails() -> None:
    """A failure is an event of its own; the stream goes on to an OK result."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Failed(1, ImageError(Reason.INVALID_RESPONSE, "cut short"))
        yield Complete(0, FIRST)

    async with running_server(as_config("test", ScriptedProvider(script=script))) as server:
        seen = await watch(server.images.StreamGenerate(generate(options={"count": 2})))

        assert seen.kinds == ["started", "failure", "complete", "result"]
        assert [failure.index for failure in seen.result.failures] == [1]


async def test_interleaved_images_stay_unmixed() -> None:
    """Two images that develop at once reach the reader one opening after another, each whole."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Preview(0, SECOND)
        yield Preview(1, FINAL)
        yield Preview(0, FIRST)
        yield Complete(1, SECOND)
        yield Complete(0, FINAL)

    async with running_server(as_config("test", ScriptedProvider(script=script))) as server:
        seen = await watch(server.images.StreamGenerate(generate(options={"count": 2})))

        assert seen.previews == [(0, 1, SECOND), (1, 1, FINAL), (0, 2, FIRST)]
        assert seen.images == {1: SECOND, 0: FINAL}
        assert [image.index for image in seen.result.images] == [0, 1]


async def test_stream_edit_is_the_stream_of_edit() -> None:
    """StreamEdit takes what Edit takes and streams it."""
    provider = ScriptedProvider(script=develop)
    async with running_server(as_config("test", provider)) as server:
        seen = await watch(server.images.StreamEdit(edit(png(8, 8))))

        assert seen.images == {0: FINAL}
        assert provider.tasks[0].images[0].data == png(8, 8)
