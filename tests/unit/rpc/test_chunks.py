"""A log as the messages of a stream: numbers, chunks, and readers that start in the middle."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen.v1 import image_pb2, image_stream_pb2
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Phase, Preview, Progress
from imagegen_server.generation import log as log_module
from imagegen_server.generation.generation import BrokenGeneration, Generation
from imagegen_server.generation.log import CHUNK_BYTES
from imagegen_server.rpc.chunks import chunk_event, pieces, stream_events

from tests.support.calls import Seen, as_event, watch
from tests.support.generation import Workshop, drawing, workshop, yielding
from tests.support.pictures import noisy_png, png
from tests.support.provider import Script

INLINE, REFERENCE = image_pb2.DELIVERY_MODE_INLINE, image_pb2.DELIVERY_MODE_REFERENCE
LARGE = noisy_png(420, 420)
"""Three chunks."""

SKETCH = noisy_png(300, 300, seed=2)
"""Two chunks."""

DRAWN = yielding(Progress(Phase.SENDING), Preview(0, SKETCH), Complete(0, LARGE), Complete(1, png()))


async def ended(script: Script = DRAWN, count: int = 2) -> tuple[Workshop, Generation]:
    """Run a generation to its end, with a preview."""
    shop = workshop(script)
    return shop, await shop.ended(drawing(count=count, preview_count=1))


async def seen_by(
    shop: Workshop, generation: Generation, after: int = 0, mode: image_pb2.DeliveryMode.ValueType = INLINE
) -> Seen:
    """Read all messages from a number on."""
    return await watch(stream_events(shop.engine.readers, generation, after=after, mode=mode, heartbeat=math.inf))


def numbers(events: Sequence[image_stream_pb2.ImageStreamEvent]) -> list[int]:
    """List the sequence numbers."""
    return [event.sequence for event in events]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
@pytest.mark.parametrize("offset", [0, 1, CHUNK_BYTES])
def test_pieces_are_the_whole_from_their_offset(size: int, offset: int) -> None:
    """Joined they are the data from the offset on; all but the last are of the documented size, none is empty."""
    data = bytes(index % 251 for index in range(size))

    cut = list(pieces(data, offset))

    assert b"".join(piece for _, piece in cut) == data[offset:]
    assert [start for start, _ in cut] == list(range(offset, size, CHUNK_BYTES))
    assert all(len(piece) == CHUNK_BYTES for _, piece in cut[:-1])
    assert all(piece for _, piece in cut)


@given(
    sequence=st.integers(0, 2**32 - 1),
    index=st.integers(0, 2**32 - 1),
    preview_number=st.integers(0, 2**32 - 1),
    offset=st.integers(0, 2**32 - 1),
    data=st.binary(min_size=1, max_size=400) | st.sampled_from([127, 128, 16_383, 16_384, CHUNK_BYTES]).map(bytes),
)
def test_a_chunk_is_written_as_protobuf_writes_it(
    sequence: int, index: int, preview_number: int, offset: int, data: bytes
) -> None:
    """Byte by byte, whatever the numbers are."""
    chunk = image_stream_pb2.ImageChunk(index=index, preview_number=preview_number, offset=offset, data=data)

    written = chunk_event(sequence, index, preview_number, offset, memoryview(data))

    assert written == image_stream_pb2.ImageStreamEvent(sequence=sequence, chunk=chunk).SerializeToString()


async def test_a_stream_is_the_log_with_its_chunks() -> None:
    """Every number comes once, in order: openings, their chunks, and one result at the end."""
    shop, generation = await ended()

    seen = await seen_by(shop, generation)

    assert seen.kinds == ["started", "progress", "preview", "complete", "complete", "result"]
    assert numbers(seen.events) == list(range(1, generation.log.sequence + 1))
    assert seen.images == {0: LARGE, 1: png()}
    assert seen.previews == [(0, 1, SKETCH)]
    assert seen.events[0].started.generation_id == generation.id
    assert [image.image.data for image in seen.result.images] == [b"", b""]


async def test_a_reader_may_start_after_any_number() -> None:
    """From each number on exactly the rest comes, also in the middle of an image."""
    shop, generation = await ended()
    whole = (await seen_by(shop, generation)).events

    for after in range(len(whole)):
        rest = [
            as_event(event)
            async for event in stream_events(
                shop.engine.readers, generation, after=after, mode=INLINE, heartbeat=math.inf
            )
        ]
        assert rest == whole[after:]


@pytest.mark.parametrize("ahead", [0, 7])
async def test_a_reader_who_saw_the_end_sees_it_again(ahead: int) -> None:
    """No stream ends without its result."""
    shop, generation = await ended()

    seen = await seen_by(shop, generation, generation.log.sequence + ahead)

    assert seen.kinds == ["result"]


async def test_by_reference_no_bytes_come_and_the_numbers_are_the_same() -> None:
    """Openings and the rest have the numbers that every reader sees; previews come without their bytes too."""
    shop, generation = await ended()
    with_bytes = (await seen_by(shop, generation)).events

    seen = await seen_by(shop, generation, mode=REFERENCE)

    assert seen.events == [event for event in with_bytes if not event.HasField("chunk")]
    assert all(generated.image.image_id for generated in seen.result.images)


async def test_a_broken_generation_ends_by_an_error() -> None:
    """What was shown before comes, then the failure with all that is known; also to who resumes at the end."""
    shop, generation = await ended(yielding(Preview(0, SKETCH), ImageError(Reason.PROVIDER_ERROR, "it broke")), 1)

    for after in (0, generation.log.sequence - 1, generation.log.sequence):
        seen = Seen()
        with pytest.raises(BrokenGeneration) as caught:
            await watch(
                stream_events(shop.engine.readers, generation, after=after, mode=INLINE, heartbeat=math.inf), seen
            )
        assert caught.value.error.reason is Reason.PROVIDER_ERROR
        assert caught.value.failure.generation_id == generation.id
        assert "result" not in seen.kinds
        assert bool(seen.previews) == (after == 0)


async def test_failures_are_told_with_their_ids() -> None:
    """An image that will not come is an event with the ids of its generation."""
    shop, generation = await ended(yielding(Complete(0, b"?"), Complete(1, png())))

    (failure,) = [event.failure for event in (await seen_by(shop, generation)).events if event.HasField("failure")]

    assert failure.metadata["generation_id"] == generation.id
    assert failure.metadata["request_id"] == generation.request_id


async def test_a_heartbeat_repeats_the_last_state() -> None:
    """It is progress with the last number, the last state and the time that has passed."""
    shop = workshop()
    generation = (await shop.open()).generation
    generation.last_progress = Progress(Phase.QUEUED, queue_position=3)
    stream = stream_events(shop.engine.readers, generation, after=0, mode=INLINE, heartbeat=0.001)
    await anext(stream)

    beats = [as_event(await anext(stream)) for _ in range(2)]

    assert numbers(beats) == [1, 1]
    assert [(beat.progress.phase, beat.progress.queue_position) for beat in beats] == [(1, 3), (1, 3)]
    assert all(0 < beat.progress.elapsed.ToNanoseconds() < 60 * 10**9 for beat in beats)
    await stream.aclose()


async def test_a_preview_that_is_superseded_while_it_is_sent_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow reader in the middle of a preview is not kept from the finished image, and sees no number twice."""
    shop, generation = await ended()
    stream = stream_events(shop.engine.readers, generation, after=0, mode=INLINE, heartbeat=math.inf)
    events = [as_event(await anext(stream))]
    while not events[-1].HasField("chunk"):
        events.append(as_event(await anext(stream)))
    monkeypatch.setattr(log_module, "SLOW_READER_SECONDS", -1.0)

    events += [as_event(event) async for event in stream]

    chunks = [event.chunk for event in events if event.HasField("chunk")]
    assert [chunk.offset for chunk in chunks if chunk.preview_number] == [0]
    assert b"".join(chunk.data for chunk in chunks if chunk.index == 0 and not chunk.preview_number) == LARGE
    assert numbers(events) == sorted(set(numbers(events)))
