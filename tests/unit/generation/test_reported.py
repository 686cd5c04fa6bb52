"""What a provider of providers tells: attempts in the place of the call to it, warnings, and usage of all of them."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, ProviderEvent, Report
from imagegen_server.domain.result import Attempt, AttemptOutcome, Usage, Warning, WarningReason
from imagegen_server.domain.task import Task
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.providers.base import Call

from tests.support.generation import drawing, workshop, yielding
from tests.support.pictures import png
from tests.support.provider import ABLE
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
    """Behind those of the plan; what both say in the same words is said once, and nothing else is lost."""
    known = Warning("options.background", WarningReason.IGNORED, "any does not know this option")
    others = [Warning("model", WarningReason.IGNORED, f"{name} is left out") for name in ("b/x", "b/y")]
    shop = workshop(yielding(Complete(0, png()), Report(warnings=(known, *others, others[0]))))

    assert (await shop.result(drawing(background="opaque"))).warnings == (known, *others)


async def test_the_model_that_made_the_images_is_named() -> None:
    """As the provider calls it, behind the provider's name; if it names none it is the one that was asked for."""
    other = workshop(yielding(Complete(0, png()), Report(model="b/x")))
    same = workshop(yielding(Complete(0, png()), Report()))

    assert (await other.result()).model == "test/b/x"
    assert (await same.result()).model == "test/any"


async def test_images_of_several_models_are_of_the_one_that_was_asked_for() -> None:
    """No single one of them made all."""

    async def by_turns(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        yield Complete(0, png())
        yield Report(model=f"b/{task.options.seed}")

    shop = workshop(by_turns, capabilities=replace(ABLE, max_images=1))

    assert (await shop.result(drawing(count=2, seed=1))).model == "test/any"
