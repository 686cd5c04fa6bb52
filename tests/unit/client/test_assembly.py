"""Chunks become whole images, and the end becomes a result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen import Complete, Failed, ImageEvent, ImageGenError, Preview, Progress, Reason, Started
from imagegen._assembly import Assembler
from imagegen.v1 import image_pb2, image_stream_pb2

from tests.unit.client.fake_server import (
    Event,
    chunks,
    complete,
    failure,
    made,
    opening,
    opening_of_preview,
    picture,
    preview,
    progress,
    result,
    started,
    whole_stream,
)


def feed(assembler: Assembler, events: list[Event]) -> list[ImageEvent]:
    """What the events become."""
    return [event for raw in events if (event := assembler.feed(raw)) is not None]


def assemble(*events: Event) -> list[ImageEvent]:
    """What a stream with chunks becomes."""
    return feed(Assembler(chunked=True), list(events))


def refused(*events: Event) -> ImageGenError:
    """The error that a stream with chunks ends in."""
    with pytest.raises(ImageGenError) as caught:
        assemble(*events)
    assert caught.value.reason == Reason.INVALID_RESPONSE
    assert caught.value.billed == "unknown"
    return caught.value


def test_events_come_typed_and_in_order() -> None:
    """Each kind of event arrives as its own type, images whole."""
    data = picture()

    events = assemble(started(), progress(0.25), *preview(b"early"), *complete(data), result(data))

    assert [type(event) for event in events] == [Started, Progress, Preview, Complete]
    assert isinstance(events[1], Progress)
    assert (events[1].phase, events[1].fraction, events[1].step) == ("generating", 0.25, None)
    assert isinstance(events[2], Preview)
    assert (events[2].index, events[2].number, events[2].image.bytes) == (0, 1, b"early")
    assert isinstance(events[3], Complete)
    assert (events[3].index, events[3].image.bytes, events[3].image.seed) == (0, data, 7)


def test_result_has_the_bytes_of_its_images() -> None:
    """The result, which comes without bytes, is given those that came before it."""
    first, second = picture(300_000), picture(10, salt=1)
    assembler = Assembler(chunked=True)

    feed(assembler, whole_stream(first, second))

    assert assembler.result is not None
    assert [image.bytes for image in assembler.result.images] == [first, second]
    assert assembler.result.image.revised_prompt == "a harbour"
    assert assembler.result.usage is not None
    assert (assembler.result.usage.images_generated, assembler.result.usage.cost) == (2, None)


def test_opening_ends_an_unfinished_preview() -> None:
    """A preview that another opening cuts off is left out, and so are chunks of it that come late."""
    cut, data = picture(500_000), picture(salt=1)
    late = chunks(cut, number=1)[1]

    events = assemble(
        opening_of_preview(cut), chunks(cut, number=1)[0], opening(data), late, *chunks(data), result(data)
    )

    assert [type(event) for event in events] == [Complete]


def test_previews_of_several_images_interleave() -> None:
    """Previews belong to the image that their opening names."""
    one, two = picture(10), picture(20, salt=1)

    events = assemble(*preview(one, index=1), *preview(two, index=0), *preview(two, index=1, number=2))

    seen = [(event.index, event.number, event.image.bytes) for event in events if isinstance(event, Preview)]
    assert seen == [(1, 1, one), (0, 1, two), (1, 2, two)]


def test_event_without_content_is_ignored() -> None:
    """An event that is newer than this client changes nothing."""
    data = picture(300_000)
    opened, *pieces = complete(data)

    events = assemble(Event(sequence=1), opened, pieces[0], Event(), *pieces[1:], result(data))

    assert [type(event) for event in events] == [Complete]


def test_events_after_the_result_are_ignored() -> None:
    """The result is the last word."""
    data = picture()
    assembler = Assembler(chunked=True)
    feed(assembler, whole_stream(data))
    told = assembler.result

    assert feed(assembler, [progress(), result(data, data)]) == []
    assert assembler.result is told


def test_wrong_digest_is_an_invalid_response() -> None:
    """Bytes that are not those that the server told of are refused."""
    assert "SHA-256" in refused(opening(picture()), *chunks(picture(salt=1))).message


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(lambda data: [opening(data), chunks(data)[1]], id="gap"),
        pytest.param(lambda data: [opening(data), *chunks(data)[:1], *chunks(data)[:1]], id="again"),
        pytest.param(lambda data: [opening(data), *chunks(data + b"x")], id="too long"),
        pytest.param(lambda data: [opening(data), *chunks(data, index=1)], id="another image"),
        pytest.param(chunks, id="no opening"),
        pytest.param(lambda data: [opening(data), *chunks(data)[:1], result(data)], id="cut by result"),
        pytest.param(lambda data: [opening(data), *chunks(data)[:1], opening(data, index=1)], id="cut by image"),
        pytest.param(lambda data: [opening(data), *chunks(data)[:1], opening_of_preview(data)], id="cut by preview"),
        pytest.param(lambda data: [result(data)], id="never came"),
        pytest.param(lambda _: [result()], id="no image"),
        pytest.param(lambda _: [opening(b"")], id="empty image"),
    ],
)
def test_broken_promises_about_finished_images_are_errors(events: object) -> None:
    """A finished image is handed out whole, or the stream fails."""
    assert callable(events)
    refused(*events(picture(500_000)))


def test_larger_image_than_the_api_allows_is_refused_at_its_opening() -> None:
    """A server cannot make the client collect bytes without bound."""
    huge = image_pb2.GeneratedImage(image=image_pb2.Image(size_bytes=64 * 1024 * 1024 + 1))

    refused(Event(complete=huge))


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(chunks(picture(500_000), number=1)[1:], id="gap"),
        pytest.param(chunks(picture(500_001), number=1), id="too long"),
        pytest.param([], id="nothing"),
        pytest.param([opening_of_preview(b"")], id="empty"),
    ],
)
def test_damaged_preview_does_not_cost_the_image(damaged: list[Event]) -> None:
    """A preview that does not fit together is left out; the finished image still comes."""
    data = picture()

    events = assemble(opening_of_preview(picture(500_000)), *damaged, *complete(data), result(data))

    assert [type(event) for event in events] == [Complete]


def test_by_reference_images_are_facts() -> None:
    """Without chunks an opening is all there is to an image, and the result has no bytes."""
    data = picture()
    assembler = Assembler(chunked=False)

    events = feed(assembler, [opening_of_preview(b"early"), opening(data), result(data)])

    assert [type(event) for event in events] == [Preview, Complete]
    assert assembler.result is not None
    assert not assembler.result.image.has_bytes
    assert assembler.result.image.size_bytes == len(data)


def test_failures_come_as_events_and_in_the_result() -> None:
    """One image that will not come does not hide the others."""
    data = picture()
    assembler = Assembler(chunked=True)

    events = feed(assembler, [Event(failure=failure(1)), *complete(data), result(data, failures=[failure(1)])])

    assert isinstance(events[0], Failed)
    assert (events[0].index, events[0].failure.reason, events[0].failure.billed) == (1, Reason.CONTENT_FILTERED, "no")
    assert assembler.result is not None
    assert [failed.index for failed in assembler.result.failures] == [1]


def test_unknown_numbers_of_enums_are_kept_as_text() -> None:
    """What a newer server says stays readable."""
    odd = image_pb2.ImageFailure(index=0)
    odd.reason = 99  # type: ignore[assignment]
    phase = image_stream_pb2.Progress()
    phase.phase = 99  # type: ignore[assignment]

    failed, going = assemble(Event(failure=odd), Event(progress=phase))

    assert isinstance(failed, Failed)
    assert failed.failure.reason == "ERROR_REASON_99"
    assert failed.failure.billed == "unknown"
    assert isinstance(going, Progress)
    assert going.phase == "unknown"


@st.composite
def split_images(draw: st.DrawFn) -> tuple[list[Event], list[bytes], list[bytes]]:
    """A stream of images in pieces of any length with previews, whole and cut off, between them."""
    events: list[Event] = [started()]
    images = draw(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4))
    previews: list[bytes] = []
    for index, data in enumerate(images):
        for number, early in enumerate(draw(st.lists(st.binary(min_size=1, max_size=50), max_size=3)), start=1):
            pieces = _cut(draw, early, index, number)
            if draw(st.booleans()):
                previews.append(early)
            else:
                pieces = pieces[: draw(st.integers(0, len(pieces) - 1))]
            events += [opening_of_preview(early, index=index, number=number), *pieces]
        events += [opening(data, index=index), *_cut(draw, data, index, 0)]
    return [*events, result(*images)], images, previews


def _cut(draw: st.DrawFn, data: bytes, index: int, number: int) -> list[Event]:
    cuts = sorted(draw(st.sets(st.integers(1, len(data)))) | {len(data)})
    return [
        Event(chunk=image_stream_pb2.ImageChunk(index=index, preview_number=number, offset=start, data=data[start:end]))
        for start, end in zip([0, *cuts], cuts, strict=False)
    ]


@given(split_images())
def test_any_split_gives_the_same_images(stream: tuple[list[Event], list[bytes], list[bytes]]) -> None:
    """However images are cut into chunks, they arrive as they were, and so do the previews that were not cut off."""
    raw, images, previews = stream
    assembler = Assembler(chunked=True)

    events = feed(assembler, raw)

    assert [event.image.bytes for event in events if isinstance(event, Complete)] == images
    assert [event.image.bytes for event in events if isinstance(event, Preview)] == previews
    assert assembler.result is not None
    assert [image.bytes for image in assembler.result.images] == images


def test_image_of_the_result_has_the_facts_of_the_result() -> None:
    """What the end tells of an image goes before what its opening told."""
    data = picture()
    told = result(data)
    told.result.images[0].revised_prompt = "told last"
    assembler = Assembler(chunked=True)

    feed(assembler, [*complete(data), told])

    assert assembler.result is not None
    assert assembler.result.image.revised_prompt == "told last"
    assert made(data).revised_prompt == "a harbour"
