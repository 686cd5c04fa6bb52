"""Events on their way through the middleware: filtered, exchanged, added, and never an image less."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, Phase, Preview, Progress
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.generation.middleware import Chain, Context, EventAnswer, Middleware, StreamEvent

from tests.support.middleware import context_of
from tests.support.pictures import png

PICTURE, OTHER = png(), png(shade=200)
COMPLETE = Complete(1, PICTURE)
PREVIEW = Preview(1, PICTURE)
PROGRESS = Progress(Phase.GENERATING, 1, message="half")
FAILED = Failed(1, ImageError(Reason.CONTENT_FILTERED, "no"))


class Answering(Middleware):
    """Answers every event by a function."""

    def __init__(self, answer: Callable[[Any], Any], name: str = "a") -> None:
        """Answer by `answer`."""
        super().__init__(name)
        self.answer = answer

    async def on_stream_event(self, context: Context, event: StreamEvent) -> EventAnswer:  # noqa: ARG002
        """Return what the function makes of it."""
        answer: EventAnswer = self.answer(event)
        return answer


async def passed(event: StreamEvent, *answers: Callable[[Any], Any]) -> tuple[Sequence[StreamEvent], list[Any]]:
    """Let an event through middleware that answers so; returns what comes out, and the problems in the log."""
    with structlog.testing.capture_logs() as logs:
        events = await Chain([Answering(answer, f"m{n}") for n, answer in enumerate(answers)]).event(
            context_of(), event
        )
    assert all((line["event"], line["hook"]) == ("middleware fault", "on_stream_event") for line in logs)
    return events, [line.get("problem", line.get("exception")) for line in logs]


@pytest.mark.parametrize("event", [PROGRESS, PREVIEW])
async def test_progress_and_previews_can_be_dropped_exchanged_and_added(event: StreamEvent) -> None:
    """None drops, another one takes its place, several follow each other; nothing of it is a fault."""
    other = replace(event, index=0)

    assert await passed(event, lambda _: None) == ([], [])
    assert await passed(event, lambda _: other) == ([other], [])
    assert await passed(event, lambda one: [other, one, PROGRESS]) == ([other, event, PROGRESS], [])
    assert await passed(event, lambda _: ()) == ([], [])


async def test_events_go_through_all_in_list_order() -> None:
    """The next one sees each event that the one before it let pass, and none that it dropped."""

    def double(event: StreamEvent) -> list[StreamEvent]:
        return [event, replace(event, index=5)]

    seen: list[StreamEvent] = []

    def only_five(event: StreamEvent) -> StreamEvent | None:
        seen.append(event)
        return event if event.index == 5 else None

    events, _ = await passed(PREVIEW, double, only_five)

    assert seen == [PREVIEW, Preview(5, PICTURE)]
    assert events == [Preview(5, PICTURE)]


async def test_a_finished_image_can_be_exchanged() -> None:
    """Other bytes, other words about it, and company; the index stays."""
    other = Complete(1, OTHER, revised_prompt="words", seed=3, metadata={"mark": True})

    assert await passed(COMPLETE, lambda _: other) == ([other], [])
    assert await passed(COMPLETE, lambda one: [PREVIEW, one, PROGRESS]) == ([PREVIEW, COMPLETE, PROGRESS], [])


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        [PREVIEW],
        "picture",
        b"picture",
        3,
        {"complete": COMPLETE},
        [COMPLETE, COMPLETE],
        [COMPLETE, replace(COMPLETE, index=2)],
        replace(COMPLETE, index=2),
        replace(COMPLETE, data=b""),
        replace(COMPLETE, data=b"no image"),
        replace(COMPLETE, data=PICTURE[:-20]),
        Complete(1, bytearray(PICTURE)),  # type: ignore[arg-type]
        Complete(None, PICTURE),  # type: ignore[arg-type]
        Complete("1", PICTURE),  # type: ignore[arg-type]
        Failed(1, ImageError(Reason.CONTENT_FILTERED, "no")),
        [COMPLETE, Preview(-1, PICTURE)],
        [COMPLETE, object()],
    ],
)
async def test_a_finished_image_cannot_be_lost(answer: object) -> None:
    """Dropped, doubled, renumbered, spoiled or made a failure: it goes on as it was, and the log names who did it."""
    events, problems = await passed(COMPLETE, lambda _: answer)

    assert events == [COMPLETE]
    assert events[0] is COMPLETE
    assert len(problems) == 1


async def test_a_finished_image_cannot_grow_beyond_the_cap() -> None:
    """An image that readers would refuse takes the place of none."""
    large = PICTURE + bytes(MAX_IMAGE_BYTES + 1 - len(PICTURE))

    assert (await passed(COMPLETE, lambda _: replace(COMPLETE, data=large)))[0] == [COMPLETE]
    assert (await passed(COMPLETE, lambda _: replace(COMPLETE, data=large[:-1])))[0] != [COMPLETE]


async def test_a_spoiled_image_can_be_mended() -> None:
    """What a provider sent cut short may come out whole."""
    cut = replace(COMPLETE, data=PICTURE[:-20])

    assert await passed(cut, lambda _: COMPLETE) == ([COMPLETE], [])


@pytest.mark.parametrize("answer", [None, replace(FAILED, index=2), Failed(1, FAILED.error), COMPLETE, [FAILED] * 2])
async def test_a_failed_image_stays_as_it_failed(answer: object) -> None:
    """Whether it may be asked for again hangs on its error: it is neither dropped, nor exchanged, nor doubled."""
    events, problems = await passed(FAILED, lambda _: answer)

    assert events == [FAILED]
    assert events[0] is FAILED
    assert len(problems) == 1


async def test_words_may_go_with_a_failed_image() -> None:
    """Progress beside it is no fault."""
    assert await passed(FAILED, lambda one: [PROGRESS, one]) == ([PROGRESS, FAILED], [])


@pytest.mark.parametrize("event", [PROGRESS, PREVIEW])
@pytest.mark.parametrize("made_up", [COMPLETE, FAILED, [PROGRESS, COMPLETE]])
async def test_an_image_cannot_be_made_up(event: StreamEvent, made_up: object) -> None:
    """No end of an image comes from anything but its end."""
    events, problems = await passed(event, lambda _: made_up)

    assert events == [event]
    assert problems == ["an image cannot be made up"]


@pytest.mark.parametrize(
    "wrong",
    [
        Progress(Phase.QUEUED, queue_position=-1),
        Progress("queued"),  # type: ignore[arg-type]
        Progress(step=2**31),
        Progress(fraction="half"),  # type: ignore[arg-type]
        Progress(message=b"half"),  # type: ignore[arg-type]
        Progress(index=True),
        Preview(0, "bytes"),  # type: ignore[arg-type]
        Preview(None, PICTURE),  # type: ignore[arg-type]
    ],
)
async def test_an_event_that_no_reader_could_be_told_goes_no_further(wrong: StreamEvent) -> None:
    """The event for which it was returned takes its place."""
    events, problems = await passed(PROGRESS, lambda _: [wrong])

    assert events == [PROGRESS]
    assert len(problems) == 1
    assert "half" not in str(problems)


async def test_an_event_of_a_provider_is_not_judged() -> None:
    """What comes in and goes out as it is is nobody's fault here, odd or not."""
    odd = Progress(step=-1)

    assert await passed(odd, lambda one: one) == ([odd], [])
    assert await passed(odd, lambda one: [one, PROGRESS]) == ([odd, PROGRESS], [])


async def test_a_fault_stops_neither_the_event_nor_those_after() -> None:
    """The next middleware gets the event unchanged; the log has the kind of the exception, not its text."""
    seen: list[StreamEvent] = []

    def fail(_: StreamEvent) -> None:
        raise ValueError("a boat")

    def see(event: StreamEvent) -> StreamEvent:
        seen.append(event)
        return event

    events, problems = await passed(PREVIEW, fail, see)

    assert events == seen == [PREVIEW]
    assert problems == ["ValueError"]


anything = st.one_of(
    st.none(),
    st.integers(),
    st.text(),
    st.builds(Complete, st.integers(-1, 2), st.sampled_from([PICTURE, OTHER, b"", PICTURE[:50]])),
    st.builds(Preview, st.integers(-1, 2), st.binary(max_size=3)),
    st.builds(Failed, st.integers(0, 2), st.just(FAILED.error)),
    st.just(PROGRESS),
)


@given(st.lists(st.one_of(anything, st.lists(anything, max_size=4)), min_size=1, max_size=3))
async def test_whatever_hooks_answer_one_whole_image_comes_out(answers: list[object]) -> None:
    """One Complete, of the same index, with the bytes of a whole image, and no Failed."""
    events, _ = await passed(COMPLETE, *(lambda _, answer=answer: answer for answer in answers))

    ends = [event for event in events if isinstance(event, Complete | Failed)]
    assert [type(end) for end in ends] == [Complete]
    assert (ends[0].index, ends[0].data in (PICTURE, OTHER)) == (1, True)  # type: ignore[union-attr]
