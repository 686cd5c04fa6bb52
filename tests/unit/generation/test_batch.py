"""What comes of one provider request: images, failures, previews, progress, as they are written into the log."""

import hashlib

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import (
    Complete,
    Failed,
    ImageFailed,
    ImageFinished,
    Phase,
    Preview,
    PreviewShown,
    Progress,
    ProviderEvent,
    Report,
    Started,
)
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.result import AttemptOutcome, Usage
from imagegen_server.generation import arrivals, digest

from tests.support.generation import CALLER, able, drawing, workshop, yielding
from tests.support.pictures import png

FILTERED = ImageError(Reason.CONTENT_FILTERED, "no", stage="output")


async def test_a_finished_image_is_stored_with_its_facts() -> None:
    """Type, size in pixels and bytes, hash, and what the provider said of it; the bytes lie in the store."""
    data = png(9, 7)
    shop = workshop(yielding(Complete(0, data, "a red boat", 42, {"finish": "stop"}), Report(metadata={"id": "x"})))

    result = await shop.result()

    (generated,) = result.images
    image = generated.image
    assert (generated.index, generated.revised_prompt, generated.seed) == (0, "a red boat", 42)
    assert generated.metadata == {"test": {"finish": "stop"}}
    assert (image.facts.media_type, image.facts.width, image.facts.height) == ("image/png", 9, 7)
    assert (image.size_bytes, image.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (await shop.engine.readers.image(CALLER, image.image_id))[1] == data
    assert result.metadata == {"test": {"id": "x"}}


async def test_large_images_are_hashed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off the event loop the hash is the same."""
    monkeypatch.setattr(digest, "_OFF_LOOP_BYTES", 10)

    result = await workshop(yielding(Complete(0, png()))).result()

    assert result.images[0].image.sha256 == hashlib.sha256(png()).hexdigest()


async def test_what_a_provider_yields_is_told_in_its_order() -> None:
    """The log has the start, progress, previews, images and the end, in the order of the provider."""
    shop = workshop(
        yielding(
            Progress(Phase.QUEUED, queue_position=3),
            Progress(index=0, fraction=0.5),
            Preview(0, b"sketch", {"step": 1}),
            Complete(0, png()),
        )
    )

    events = await shop.run(drawing(preview_count=1))

    started, queued, half, preview, complete, _ = events
    assert isinstance(started, Started)
    assert (started.model, started.warnings) == ("test/any", ())
    assert queued == Progress(Phase.QUEUED, queue_position=3)
    assert half == Progress(index=0, fraction=0.5)
    assert isinstance(preview, PreviewShown)
    assert (preview.index, preview.number, preview.data) == (0, 1, b"sketch")
    assert preview.metadata == {"test": {"step": 1}}
    assert isinstance(complete, ImageFinished)


async def test_previews_are_counted_by_index() -> None:
    """Each picture counts its own previews from 1."""
    order = [0, 1, 0, 1, 1]
    shop = workshop(yielding(*(Preview(index, png()) for index in order), Complete(0, png()), Complete(1, png())))

    events = await shop.run(drawing(count=2, preview_count=3))

    numbers = [(event.index, event.number) for event in events if isinstance(event, PreviewShown)]
    assert numbers == [(0, 1), (1, 1), (0, 2), (1, 2), (1, 3)]


@pytest.mark.parametrize(("wanted", "shown"), [(0, 0), (2, 2), (4, 3)])
async def test_no_more_previews_than_were_wanted(wanted: int, shown: int) -> None:
    """What a provider shows beyond the wish costs no memory and reaches nobody."""
    shop = workshop(yielding(*[Preview(0, png())] * 3, Complete(0, png())))

    events = await shop.run(drawing(preview_count=wanted))

    assert sum(isinstance(event, PreviewShown) for event in events) == shown


async def test_a_preview_may_be_anything_but_empty_or_unasked() -> None:
    """Unknown bytes are shown as such; none at all, those of a picture not wanted or finished are dropped."""
    shop = workshop(
        yielding(Preview(0, b""), Preview(0, b"?"), Preview(7, png()), Complete(0, png()), Preview(0, png()))
    )

    events = await shop.run(drawing(preview_count=4))

    (shown,) = [event for event in events if isinstance(event, PreviewShown)]
    assert (shown.data, shown.facts.media_type) == (b"?", "application/octet-stream")


async def test_progress_of_a_picture_nobody_asked_for_is_dropped() -> None:
    """An index in the log is always below the count."""
    events = await workshop(yielding(Progress(index=1), Progress(index=-1), Complete(0, png()))).run()

    assert not any(isinstance(event, Progress) for event in events)


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>busy</html>", png()[:-9], b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "garbage", "cut short", "signature only"],
)
async def test_bytes_that_are_no_whole_image_fail(data: bytes) -> None:
    """INVALID_RESPONSE for that image, which may be billed; the others come."""
    result = await workshop(yielding(Complete(0, data), Complete(1, png()))).result(drawing(count=2))

    (failure,) = result.failures
    assert (failure.index, failure.error.reason, failure.error.billed) == (0, Reason.INVALID_RESPONSE, Billed.UNKNOWN)
    assert [image.index for image in result.images] == [1]
    assert result.attempts[0].billed is Billed.YES


async def test_an_image_over_the_hard_cap_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than 64 MiB is refused, as many as that are not."""
    assert MAX_IMAGE_BYTES == 64 * 1024 * 1024
    monkeypatch.setattr(arrivals, "MAX_IMAGE_BYTES", len(png()))
    shop = workshop(yielding(Preview(0, png(99, 99)), Complete(0, png()), Complete(1, png(99, 99))))

    result = await shop.result(drawing(count=2, preview_count=1))

    assert [image.index for image in result.images] == [0]
    assert [failure.error.reason for failure in result.failures] == [Reason.INVALID_RESPONSE]
    assert str(MAX_IMAGE_BYTES) not in result.failures[0].error.message


async def test_some_images_and_some_failures_are_a_result() -> None:
    """Partial success keeps what came, ordered by index, and says why the rest did not."""
    shop = workshop(yielding(Complete(2, png()), Failed(1, FILTERED), Complete(0, png())))

    result = await shop.result(drawing(count=3))

    assert [image.index for image in result.images] == [0, 2]
    assert [(failure.index, failure.error.reason) for failure in result.failures] == [(1, Reason.CONTENT_FILTERED)]
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed, attempt.reason) == (AttemptOutcome.ACCEPTED, Billed.YES, None)


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ((), Reason.INVALID_RESPONSE),
        ((ImageError(Reason.NETWORK_ERROR, "broke"),), Reason.NETWORK_ERROR),
        ((Complete(0, png()), Complete(2, png())), Reason.INVALID_RESPONSE),
        ((Failed(0, FILTERED),), Reason.INVALID_RESPONSE),
        ((Complete(4, png()),), Reason.INVALID_RESPONSE),
        ((Complete(-1, png()),), Reason.INVALID_RESPONSE),
        ((RuntimeError("oops"),), Reason.INTERNAL_ERROR),
    ],
    ids=["ends early", "raises", "sends twice", "fails twice", "unasked", "negative", "crashes"],
)
async def test_whatever_comes_after_an_image_it_is_kept(
    last: tuple[ProviderEvent | Exception, ...], reason: Reason
) -> None:
    """The finished image is in the result, and each of the others has a failure with the reason."""
    result = await workshop(yielding(Complete(0, png()), *last)).result(drawing(count=3))

    assert [image.index for image in result.images] == [0]
    assert [failure.index for failure in result.failures] == [1, 2]
    assert {failure.error.reason for failure in result.failures} == {reason}
    assert (result.attempts[0].billed, result.attempts[0].reason) == (Billed.YES, reason)


async def test_what_comes_after_all_images_is_no_failure() -> None:
    """An image too many does not spoil a call that has all it wanted."""
    result = await workshop(yielding(Complete(0, png()), Complete(0, png()))).result()

    assert result.failures == ()
    assert result.attempts[0].reason is None


async def test_all_failed_is_the_failure_of_the_call() -> None:
    """Without any image the log ends broken, with every failure and attempt."""
    shop = workshop(yielding(Failed(0, FILTERED), Failed(1, FILTERED)))

    events = await shop.run(drawing(count=2))
    broken = await shop.broken(drawing(count=2))

    assert sum(isinstance(event, ImageFailed) for event in events) == 2
    assert (broken.error.reason, broken.error.billed) == (Reason.CONTENT_FILTERED, Billed.UNKNOWN)
    assert [failure.index for failure in broken.failure.failures] == [0, 1]
    assert [attempt.reason for attempt in broken.failure.attempts] == [Reason.CONTENT_FILTERED]


async def test_failures_name_provider_and_model() -> None:
    """Every failure has both in its metadata."""
    broken = await workshop(yielding(ImageError(Reason.RATE_LIMITED, "slow"), accepted=False)).broken()

    assert broken.error.metadata == {"provider": "test", "model": "test/any"}
    assert broken.failure.failures[0].error.metadata == broken.error.metadata
    assert [(attempt.outcome, attempt.billed) for attempt in broken.failure.attempts] == [
        (AttemptOutcome.REJECTED, Billed.NO)
    ]


async def test_an_error_after_acceptance_is_not_free() -> None:
    """The status of the call does not say that a call which was taken on may be repeated."""
    broken = await workshop(yielding(ImageError(Reason.NETWORK_ERROR, "no route", sent=False))).broken()

    assert broken.error.billed is Billed.UNKNOWN
    assert broken.failure.failures[0].error.billed is Billed.UNKNOWN
    assert broken.failure.attempts[0].billed is Billed.UNKNOWN


async def test_the_last_report_counts() -> None:
    """A provider may report more than once; what it says last is the usage."""
    shop = workshop(yielding(Report(Usage(1)), Complete(0, png()), Report(Usage(2, output_tokens=7))))

    assert (await shop.result()).usage == Usage(2, output_tokens=7)


async def test_the_indices_of_several_requests_do_not_clash() -> None:
    """Each request counts from 0; in the log and the result the images of all have their own numbers."""
    shop = workshop(
        yielding(Progress(index=0), Preview(0, png()), Complete(0, png())), capabilities=able(max_images=1).capabilities
    )

    events = await shop.run(drawing(count=3, preview_count=1))

    assert {event.index for event in events if isinstance(event, Progress)} == {0, 1, 2}
    assert {event.index for event in events if isinstance(event, PreviewShown)} == {0, 1, 2}
    assert {event.generated.index for event in events if isinstance(event, ImageFinished)} == {0, 1, 2}
