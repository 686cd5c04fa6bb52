"""What a generation says at its end: usage, cost, metadata, and the error of the whole call."""

from collections.abc import AsyncGenerator, Sequence

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, Finished, ProviderEvent, Report
from imagegen_server.domain.result import Cost, Usage, Warning, WarningReason
from imagegen_server.domain.task import Task
from imagegen_server.generation.opening import Terms
from imagegen_server.providers.base import Call

from tests.support.generation import CALLER, Workshop, able, drawing, events_of, workshop
from tests.support.pictures import png

FREE = ImageError(Reason.RATE_LIMITED, "slow down", retry_after=3.0)
NO_ROUTE = ImageError(Reason.PROVIDER_UNAVAILABLE, "overloaded")
LATE = ImageError(Reason.TIMEOUT, "late")


def requests(*answers: Sequence[ProviderEvent | ImageError]) -> Workshop:
    """Let each request of one image have its own answer, in this order."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        for event in answers[task.options.seed or 0]:
            if isinstance(event, ImageError):
                raise event
            yield event

    return workshop(script, capabilities=able(max_images=1, max_count=16).capabilities)


def image(*reports: Report) -> list[ProviderEvent]:
    """Answer with an image and reports."""
    return [Complete(0, png()), *reports]


async def usage_of(*answers: Sequence[ProviderEvent | ImageError]) -> Usage | None:
    """Sum up the usage of several requests."""
    return (await requests(*answers).result(drawing(count=len(answers), seed=0))).usage


async def test_usage_is_added_up() -> None:
    """Each number is the sum over all requests."""
    usage = await usage_of(
        image(Report(Usage(1, 10, 100, Cost(0.25, "USD")))),
        image(Report(Usage(1, 5, 50, Cost(0.5, "USD", estimated=True)))),
    )

    assert usage == Usage(2, 15, 150, Cost(0.75, "USD", estimated=True))


async def test_what_one_request_left_unsaid_is_unknown() -> None:
    """A sum with an unknown part is absent, and never too small."""
    usage = await usage_of(image(Report(Usage(1, 10, None))), image(Report(Usage(1, None, 50))))

    assert usage == Usage(images_generated=2)


@pytest.mark.parametrize("silent", [image(), image(Report()), [LATE]], ids=["no report", "empty report", "late"])
async def test_a_silent_request_that_may_be_billed_makes_all_unknown(silent: Sequence[ProviderEvent]) -> None:
    """Usage and cost are told only if every request that may have been billed told its own."""
    told = image(Report(Usage(1, 10, 100, Cost(0.25, "USD"))))

    assert await usage_of(told, silent) is None
    assert await usage_of(silent, told) is None


async def test_a_free_request_needs_to_tell_nothing() -> None:
    """What was refused cost nothing, so the rest is the whole."""
    told = Usage(1, 10, 100, Cost(0.25, "USD"))

    assert await usage_of(image(Report(told)), [FREE]) == told
    assert await usage_of([FREE], image(Report(told))) == told


async def test_a_report_of_a_free_request_does_not_speak_for_a_silent_one() -> None:
    """As many reports as billed requests are not enough: each must tell its own."""
    assert await usage_of([Report(Usage(0, 0, 0)), FREE], image()) is None


@pytest.mark.parametrize(
    "other", [Usage(1, 10, 100), Usage(1, 10, 100, Cost(1, "EUR"))], ids=["no cost", "another currency"]
)
async def test_a_cost_is_known_for_all_or_not_at_all(other: Usage) -> None:
    """A cost that is missing, or in another currency, leaves the sum unknown; the other numbers stay."""
    usage = await usage_of(image(Report(Usage(1, 10, 100, Cost(1, "USD")))), image(Report(other)))

    assert usage == Usage(2, 20, 200, None)


async def test_nothing_known_is_no_usage() -> None:
    """Usage without any number is absent."""
    assert await usage_of(image(Report(Usage()))) is None
    assert await usage_of(image(Report(Usage(1))), image(Report(Usage(None, 3)))) is None


async def test_zero_is_not_unknown() -> None:
    """What a provider says to be nothing is told as nothing."""
    assert await usage_of(image(Report(Usage(0, 0, 0, Cost(0, "USD"))))) == Usage(0, 0, 0, Cost(0, "USD"))


async def test_the_usage_of_a_failed_call_is_told_too() -> None:
    """Money spent on nothing is not hidden."""
    shop = requests([Report(Usage(0, 10, 0, Cost(0.25, "USD"))), LATE])

    broken = await shop.broken(drawing(seed=0))

    assert broken.failure.usage == Usage(0, 10, 0, Cost(0.25, "USD"))


async def test_metadata_of_one_request_is_told_as_it_is() -> None:
    """The provider's own facts stand under its name."""
    result = await requests(image(Report(metadata={"created": 7}))).result(drawing(seed=0))

    assert result.metadata == {"test": {"created": 7}}


async def test_metadata_of_several_requests_is_a_list() -> None:
    """Each request has its own, in the order of the images."""
    answers = [image(Report(metadata={"id": number})) for number in range(3)]

    result = await requests(*answers).result(drawing(count=3, seed=0))

    assert result.metadata == {"test": {"requests": [{"id": 0}, {"id": 1}, {"id": 2}]}}


async def test_no_metadata_is_none() -> None:
    """A provider that says nothing has no entry."""
    assert (await requests(image()).result(drawing(seed=0))).metadata == {}


@pytest.mark.parametrize(
    ("answers", "reason", "billed"),
    [
        ([[FREE], [FREE]], Reason.RATE_LIMITED, Billed.NO),
        ([[FREE], [NO_ROUTE]], Reason.RATE_LIMITED, Billed.NO),
        ([[NO_ROUTE], [LATE]], Reason.TIMEOUT, Billed.UNKNOWN),
        ([[LATE], [FREE]], Reason.TIMEOUT, Billed.UNKNOWN),
    ],
    ids=["free", "both free", "free first", "free last"],
)
async def test_a_free_failure_does_not_speak_for_one_that_may_be_billed(
    answers: list[list[ImageError]], reason: Reason, billed: Billed
) -> None:
    """The error of the call is the first of those that may have cost most, so its code says nothing wrong."""
    broken = await requests(*answers).broken(drawing(count=2, seed=0))

    assert (broken.error.reason, broken.error.billed) == (reason, billed)
    assert [failure.index for failure in broken.failure.failures] == [0, 1]


async def test_the_calls_error_keeps_its_facts() -> None:
    """Wait, status and codes of the chosen failure reach the caller."""
    broken = await requests([FREE]).broken(drawing(seed=0))

    assert (broken.error.retry_after, broken.error.message) == (3.0, "slow down")
    assert broken.error.metadata == {"provider": "test", "model": "test/any"}


async def test_the_result_repeats_what_the_start_said() -> None:
    """Ids, model and warnings are those of the generation."""
    shop = requests(image())
    note = Warning("#9", WarningReason.UNKNOWN_FIELD, "new")
    async with await shop.engine.open(drawing(seed=0), CALLER, Terms(), warnings=[note]) as reading:
        generation = reading.generation
        shop.engine.launch(generation)
        last = (await events_of(generation))[-1]

    assert isinstance(last, Finished)
    result = last.result
    assert (result.generation_id, result.request_id) == (generation.id, generation.request_id)
    assert (result.model, result.warnings) == ("test/any", (note,))
