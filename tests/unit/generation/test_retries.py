"""What is asked again, with which key, and what never is."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, Phase, Preview, Progress, ProviderEvent
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import RetryWish, Task
from imagegen_server.generation.fair_queue import QueueSettings
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.providers.base import Call

from tests.support.generation import CALLER, ScriptedWorkshop, drawing, events_of, until, workshop
from tests.support.pictures import png
from tests.support.provider import Script

QUICK = RetrySettings(base_delay=0.001, max_delay=0.01)
LIMITED = ImageError(Reason.RATE_LIMITED, "later")


def in_turn(*steps: ProviderEvent | Exception | Sequence[ProviderEvent | Exception]) -> Script:
    """Script a provider that does the next step with every attempt, and the last one ever after."""
    left = [step if isinstance(step, Sequence) else [step] for step in steps]

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        for event in left.pop(0) if len(left) > 1 else left[0]:
            if isinstance(event, Exception):
                raise event
            call.accepted("")
            yield event

    return script


def shop_of(script: Script, retry: RetrySettings = QUICK, **settings: Any) -> ScriptedWorkshop:
    """Wire an engine that retries."""
    return workshop(script, upstreams={"test": UpstreamSettings(retry=retry, **settings)})


async def test_a_free_failure_is_asked_again() -> None:
    """Both attempts are reported, and the picture comes."""
    shop = shop_of(in_turn(LIMITED, Complete(0, png())))

    result = await shop.result()

    assert [(attempt.outcome, attempt.reason, attempt.billed) for attempt in result.attempts] == [
        (AttemptOutcome.REJECTED, Reason.RATE_LIMITED, Billed.NO),
        (AttemptOutcome.ACCEPTED, None, Billed.YES),
    ]
    assert result.failures == ()


async def test_the_attempts_end() -> None:
    """max_attempts are all requests; the last failure is the call's, and every attempt is reported with it."""
    shop = shop_of(in_turn(LIMITED))

    broken = await shop.broken()

    assert (broken.error.reason, len(broken.failure.attempts), len(shop.provider.tasks)) == (Reason.RATE_LIMITED, 3, 3)
    assert shop.in_hand == (0, 0, 0)


@pytest.mark.parametrize(
    "error",
    [
        ImageError(Reason.PROVIDER_ERROR, "broken"),
        ImageError(Reason.TIMEOUT, "late"),
        ImageError(Reason.NETWORK_ERROR, "broke off", sent=True),
        ImageError(Reason.INVALID_RESPONSE, "garbage"),
    ],
    ids=lambda error: error.reason.name,
)
async def test_what_may_have_been_billed_is_asked_again_only_if_that_is_wanted(error: ImageError) -> None:
    """Not by default; by the operator's setting or the caller's policy it is."""
    once = shop_of(in_turn(error, Complete(0, png())))
    broken = await once.broken()
    assert (len(once.provider.tasks), broken.error.billed) == (1, Billed.UNKNOWN)
    assert [attempt.outcome for attempt in broken.failure.attempts] == [AttemptOutcome.AMBIGUOUS]

    by_operator = shop_of(in_turn(error, Complete(0, png())), RetrySettings(base_delay=0.001, ambiguous=True))
    result = await by_operator.result()
    assert [attempt.outcome for attempt in result.attempts] == [AttemptOutcome.AMBIGUOUS, AttemptOutcome.ACCEPTED]
    assert result.usage is None

    wish = drawing()
    object.__setattr__(wish, "retry", RetryWish(retry_ambiguous=True))
    by_caller = shop_of(in_turn(error, Complete(0, png())))
    assert len((await by_caller.result(wish)).attempts) == 2


@pytest.mark.parametrize(
    "error",
    [
        ImageError(Reason.CONTENT_FILTERED, "no", stage="input"),
        ImageError(Reason.CONTENT_FILTERED, "no"),
        ImageError(Reason.INVALID_REQUEST, "what"),
        ImageError(Reason.QUOTA_EXCEEDED, "empty"),
        ImageError(Reason.AUTHENTICATION_FAILED, "who"),
        ImageError(Reason.MODEL_NOT_FOUND, "which"),
        ImageError(Reason.CONTEXT_LENGTH_EXCEEDED, "long"),
        ZeroDivisionError(),
    ],
    ids=repr,
)
async def test_what_would_fail_again_is_asked_once(error: Exception) -> None:
    """A verdict, a mistake or a fault is no reason to ask again, even if everything may be repeated."""
    shop = shop_of(in_turn(error), RetrySettings(base_delay=0.001, ambiguous=True))

    await shop.broken()

    assert len(shop.provider.tasks) == 1


@pytest.mark.parametrize(
    "first",
    [[Preview(0, png()), LIMITED], [Complete(1, png()), LIMITED], [Failed(1, LIMITED), LIMITED]],
    ids=["preview", "image", "failure"],
)
async def test_nothing_is_asked_again_once_something_was_shown(first: list[ProviderEvent | Exception]) -> None:
    """Readers never see a picture taken back."""
    shop = shop_of(in_turn(first, Complete(0, png())), RetrySettings(base_delay=0.001, ambiguous=True))

    await shop.run(drawing(count=2, preview_count=1))

    assert len(shop.provider.tasks) == 1


async def test_the_providers_wait_is_kept_and_told() -> None:
    """A retry waits as long as the provider asks; one that asks too long is not waited for."""
    kept = shop_of(
        in_turn(ImageError(Reason.RATE_LIMITED, "later", retry_after=0.2), Complete(0, png())), RetrySettings()
    )
    start = asyncio.get_running_loop().time()
    await kept.result()
    assert asyncio.get_running_loop().time() - start >= 0.2

    told = shop_of(in_turn(ImageError(Reason.RATE_LIMITED, "later", retry_after=500.0), Complete(0, png())))
    broken = await told.broken()
    assert (broken.error.retry_after, len(told.provider.tasks)) == (500.0, 1)


async def test_no_wait_goes_past_the_deadline() -> None:
    """A retry that the caller would not live to see is not waited for."""
    shop = shop_of(in_turn(ImageError(Reason.RATE_LIMITED, "later", retry_after=20.0)), RetrySettings())

    broken = await shop.broken(time_left=10.0)

    assert (broken.error.reason, len(shop.provider.tasks)) == (Reason.RATE_LIMITED, 1)


async def test_a_stop_ends_the_wait_before_a_retry() -> None:
    """Nothing was sent that may cost anything, so it is CANCELLED and free, and at once."""
    shop = shop_of(in_turn(LIMITED), RetrySettings(base_delay=60.0, max_delay=60.0))
    async with shop.opened() as generation:
        shop.engine.launch(generation)
        async with asyncio.timeout(10):
            await until(generation, Progress)
            generation.stop(ImageError(Reason.CANCELLED, "stopped"))
            last = await generation.log.end()

    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.NO)  # type: ignore[union-attr]
    assert [attempt.reason for attempt in last.failure.attempts] == [Reason.RATE_LIMITED]  # type: ignore[union-attr]


async def test_retries_are_told_as_progress() -> None:
    """Readers hear of the wait and of the next request, by phase and model."""
    events = await shop_of(in_turn(LIMITED, Complete(0, png()))).run()

    told = [(event.phase, event.model) for event in events if isinstance(event, Progress)]
    assert told == [(Phase.RETRYING, "test/any"), (Phase.SENDING, "test/any")]


async def test_each_attempt_has_its_number() -> None:
    """An adapter can tell the first attempt from the second."""
    numbers = []

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        numbers.append(call.number)
        if call.number < 3:
            raise LIMITED
        yield Complete(0, png())

    await shop_of(script).result()

    assert numbers == [1, 2, 3]


def keys(*names: str) -> tuple[ProviderKey, ...]:
    """Configure keys."""
    return tuple(ProviderKey(Secret(name)) for name in names)


@pytest.mark.parametrize("reason", [Reason.AUTHENTICATION_FAILED, Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED])
async def test_another_key_is_tried_at_once(reason: Reason) -> None:
    """A failure that belongs to a key leaves it for the next one, without a wait, and it rests in the next call."""
    used: list[str] = []

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        assert call.key is not None
        used.append(call.key.reveal())
        if used[-1] == "bad":
            raise ImageError(reason, "not with this key")
        yield Complete(0, png())

    shop = shop_of(script, RetrySettings(base_delay=60.0), keys=keys("bad", "good"))
    async with asyncio.timeout(10):
        await shop.result()
        await shop.result()

    assert used == ["bad", "good", "good"]


async def test_keys_run_out() -> None:
    """When every key was refused the call fails with that; no key is tried twice."""
    used: list[str] = []

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        assert call.key is not None
        used.append(call.key.reveal())
        raise ImageError(Reason.AUTHENTICATION_FAILED, "not with this key")
        yield Complete(0, png())

    broken = await shop_of(script, keys=keys("a", "b")).broken()

    assert (broken.error.reason, used) == (Reason.AUTHENTICATION_FAILED, ["a", "b"])


async def test_waiting_for_a_slot_is_told_and_free() -> None:
    """Behind others a call is QUEUED with its position; stopped there it has cost nothing and asked nobody."""
    release = asyncio.Event()

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        await release.wait()
        yield Complete(0, png())

    shop = shop_of(script, queue=QueueSettings(concurrency=1))
    first = asyncio.create_task(shop.result())
    await asyncio.sleep(0)
    async with shop.opened() as waiting:
        shop.engine.launch(waiting)
        await until(waiting, Progress)
        queued = [event for event in waiting.log.events if isinstance(event, Progress)]
        await shop.engine.cancel(CALLER, generation_id=waiting.id)
        last = await waiting.log.end()
    release.set()
    await first

    assert [(event.phase, event.queue_position) for event in queued] == [(Phase.QUEUED, 0)]
    assert last.error.billed is Billed.NO  # type: ignore[union-attr]
    assert len(shop.provider.tasks) == 1


async def test_a_full_queue_refuses_at_once() -> None:
    """More than may wait is SERVER_BUSY with a wait, before anything is held."""
    release = asyncio.Event()

    async def script(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        await release.wait()
        yield Complete(0, png())

    shop = shop_of(script, queue=QueueSettings(concurrency=1, queue=1))
    async with shop.opened() as first, shop.opened() as second:
        shop.engine.launch(first)
        shop.engine.launch(second)
        await until(second, Progress)
        held = shop.in_hand
        with pytest.raises(ImageError) as caught:
            await shop.open()
        assert shop.in_hand == held
        release.set()
        await events_of(second)

    assert (caught.value.reason, caught.value.billed) == (Reason.SERVER_BUSY, Billed.NO)
    assert caught.value.retry_after is not None


async def test_a_token_that_was_not_used_is_given_back() -> None:
    """Stopped while it waits for the token bucket, a call takes nobody's place."""
    shop = shop_of(in_turn(Complete(0, png())), RetrySettings(strategy="token_bucket", capacity=1, per_second=0.01))
    await shop.result()
    retry = shop.engine._tools.upstreams["test"].retry
    for _ in range(3):
        async with shop.opened() as generation:
            shop.engine.launch(generation)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            generation.stop(ImageError(Reason.CANCELLED, "stopped"))
            await generation.log.end()

    assert 90 < retry.before_request() <= 100
    assert len(shop.provider.tasks) == 1
