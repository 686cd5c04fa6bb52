"""What a provider of providers tells: attempts in the place of the call to it, warnings, and usage of all of them."""

from dataclasses import replace

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, Report
from imagegen_server.domain.result import Attempt, AttemptOutcome, Usage, Warning, WarningReason
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings

from tests.support.generation import drawing, workshop, yielding
from tests.support.pictures import png
from tests.support.values import NOON

REFUSED = Attempt("test/b", "test/b/x", AttemptOutcome.REJECTED, Billed.NO, Reason.RATE_LIMITED, 429, "r1", NOON, 1.0)
PAID = replace(REFUSED, outcome=AttemptOutcome.ACCEPTED, billed=Billed.YES, reason=None, http_status=None)
LOST = replace(REFUSED, outcome=AttemptOutcome.AMBIGUOUS, billed=Billed.UNKNOWN, reason=Reason.TIMEOUT)
BROKEN = ImageError(Reason.PROVIDER_ERROR, "broken")
OFTEN = {"test": UpstreamSettings(retry=RetrySettings("linear", 3, base_delay=0.0, ambiguous=True))}


async def test_told_attempts_stand_in_the_place_of_the_call() -> None:
    """So that a reader who adds up what was billed counts it once."""
    shop = workshop(yielding(Complete(0, png()), Report(attempts=(REFUSED, PAID))))

    assert (await shop.result()).attempts == (REFUSED, PAID)


async def test_usage_is_that_of_all_told_attempts() -> None:
    """An earlier one of them that was billed does not make it unknown."""
    usage = Usage(images_generated=2)
    shop = workshop(yielding(Complete(0, png()), Report(usage, attempts=(LOST, PAID))))

    assert (await shop.result()).usage == usage


async def test_attempts_of_a_failed_call_are_told() -> None:
    """With its usage, and the bill is the worst of them."""
    shop = workshop(yielding(Report(Usage(input_tokens=3), attempts=(LOST,)), BROKEN, accepted=False))

    broken = await shop.broken()

    assert broken.failure.attempts == (LOST,)
    assert broken.failure.usage == Usage(input_tokens=3)


@pytest.mark.parametrize(("attempts", "calls"), [((LOST,), 1), ((), 3)])
async def test_what_was_repeated_there_is_not_repeated_here(attempts: tuple[Attempt, ...], calls: int) -> None:
    """Although the operator has allowed to repeat what may be billed; without told attempts that holds."""
    shop = workshop(yielding(Report(attempts=attempts), BROKEN, accepted=False), upstreams=OFTEN)

    await shop.broken()

    assert len(shop.provider.tasks) == calls


async def test_warnings_are_added_once() -> None:
    """Behind those of the plan; what both say is said once."""
    ours = drawing(background="opaque")
    known = Warning("options.background", WarningReason.IGNORED, "said there, too")
    new = Warning("params.test.b.style", WarningReason.ADJUSTED, "nearest")
    shop = workshop(yielding(Complete(0, png()), Report(warnings=(known, new, new))))

    result = await shop.result(ours)

    assert [(warning.field, warning.message) for warning in result.warnings] == [
        ("options.background", "any does not know this option"),
        ("params.test.b.style", "nearest"),
    ]
