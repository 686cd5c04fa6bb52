"""What is said of money for images that do not come, beside what the last attempt says."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, Failed, Finished, Preview, ProviderEvent
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.domain.task import RetryWish, Task
from imagegen_server.generation.middleware import Context, Middleware, StreamEvent
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.providers.base import Call

from tests.support.generation import able, as_entry, drawing, workshop, workshop_of, yielding
from tests.support.pictures import png
from tests.support.provider import ScriptedProvider

EAGER = UpstreamSettings(retry=RetrySettings(max_attempts=2, base_delay=0.01, ambiguous=True))
"""The operator lets what may have been billed be repeated."""

BROKEN_OFF = ImageError(Reason.INVALID_RESPONSE, "broken off")
FREE = ImageError(Reason.RATE_LIMITED, "later")
FREE_FOR_ONE = Failed(0, ImageError(Reason.CONTENT_FILTERED, "no", stage="input"))


def unlucky(second: ImageError | Failed) -> ScriptedProvider:
    """Draw the picture with seed 0; break off that with seed 1, and refuse it for free when asked again."""

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        if task.options.seed == 0:
            yield Complete(0, png())
        elif call.number == 1:
            raise BROKEN_OFF
        elif isinstance(second, Failed):
            yield second
        else:
            raise second

    provider = able(max_images=1)
    provider.script = script
    return provider


@pytest.mark.parametrize("second", [FREE, FREE_FOR_ONE], ids=["refused", "failed"])
async def test_a_free_refusal_does_not_make_the_attempt_before_it_free(second: ImageError | Failed) -> None:
    """An image whose first attempt may have been billed may have been billed, whatever the second one says."""
    shop = workshop_of(as_entry(unlucky(second)), upstreams={"test": EAGER})

    result = await shop.result(drawing(count=2, seed=0))

    assert [(one.index, one.error.billed) for one in result.failures] == [(1, Billed.UNKNOWN)]
    of_the_second = [attempt.billed for attempt in result.attempts if attempt.reason is not None]
    assert of_the_second == [Billed.UNKNOWN, Billed.NO]


async def test_what_may_have_been_billed_goes_nowhere_else_after_a_free_refusal() -> None:
    """The operator lets it be repeated; another model is asked only if the caller says so."""
    for asked in (False, True):
        second = ScriptedProvider()
        shop = workshop_of(as_entry(unlucky(FREE)), as_entry(second, name="second"), upstreams={"test": EAGER})
        retry = RetryWish(fallback_models=("second/any",), retry_ambiguous=asked)

        last = (await shop.run(replace(drawing(seed=1), retry=retry)))[-1]

        assert isinstance(last, Finished if asked else Broken)
        assert len(second.tasks) == asked


async def test_the_dearest_of_several_failures_tells_of_their_attempt() -> None:
    """One image refused for free does not make the request free by which another may have been paid for."""
    dear = Failed(1, ImageError(Reason.CONTENT_FILTERED, "no", stage="output"))
    shop = workshop(yielding(FREE_FOR_ONE, dear))

    broken = await shop.broken(drawing(count=2))

    assert [one.error.billed for one in broken.failure.failures] == [Billed.NO, Billed.UNKNOWN]
    assert [attempt.billed for attempt in broken.failure.attempts] == [Billed.UNKNOWN]


async def test_a_preview_that_middleware_drops_was_made_all_the_same() -> None:
    """Who shows a preview has taken the task on: what fails after it is not asked again."""

    class Drops(Middleware):
        async def on_stream_event(self, _context: Context, event: StreamEvent) -> StreamEvent | None:
            return None if isinstance(event, Preview) else event

    down = ImageError(Reason.PROVIDER_UNAVAILABLE, "down")
    twice = UpstreamSettings(retry=RetrySettings(max_attempts=2, base_delay=0.01))
    script = yielding(Preview(0, png()), down, accepted=False)
    shop = workshop(script, middleware=[Drops("drops")], upstreams={"test": twice})

    broken = await shop.broken(drawing(preview_count=1))

    assert len(shop.provider.tasks) == 1
    (attempt,) = broken.failure.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.UNKNOWN)
