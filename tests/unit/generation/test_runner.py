"""How a generation ends: stopped, late, left, or with a provider that does not let go."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest
import structlog
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, Finished, ImageFinished, PreviewShown, ProviderEvent
from imagegen_server.domain.result import AttemptOutcome, StoredImage
from imagegen_server.domain.task import Task
from imagegen_server.generation import digest, opening, readers, runner
from imagegen_server.providers.base import Call

from tests.support.generation import able, drawing, events_of, until, workshop, yielding
from tests.support.pictures import png
from tests.support.provider import first_only, never

STOP = ImageError(Reason.CANCELLED, "stopped by the test")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """A deadline that is long enough to be taken and leaves a generation very little time."""
    deadline = opening.SHORTEST_DEADLINE_SECONDS + 30
    monkeypatch.setattr(readers, "ANSWER_SECONDS", deadline - 0.02)
    return deadline


async def test_stop_keeps_what_is_finished() -> None:
    """Stopped after one image of three: a result with this one, and CANCELLED failures for the others."""
    shop = workshop(first_only)
    async with shop.opened(drawing(count=3)) as generation:
        shop.engine.launch(generation)
        await until(generation, ImageFinished)
        generation.stop(STOP)
        last = (await events_of(generation))[-1]

    assert isinstance(last, Finished)
    assert [image.index for image in last.result.images] == [0]
    assert [(failure.index, failure.error.reason) for failure in last.result.failures] == [
        (1, Reason.CANCELLED),
        (2, Reason.CANCELLED),
    ]
    assert shop.provider.closed.is_set()


async def test_stop_without_an_image_is_cancelled() -> None:
    """Nothing being finished, the call is CANCELLED and may be billed; the provider's generator is closed."""
    shop = workshop(never)
    async with shop.opened(drawing(preview_count=1)) as generation:
        shop.engine.launch(generation)
        await until(generation, PreviewShown)
        generation.stop(STOP)
        events = await events_of(generation)

    assert isinstance(events[-1], Broken)
    assert (events[-1].error.reason, events[-1].error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)
    assert [attempt.outcome for attempt in events[-1].failure.attempts] == [AttemptOutcome.ACCEPTED]
    assert shop.provider.closed.is_set()
    assert shop.in_hand == (0, 0, 0)


async def test_stop_before_the_start_calls_nobody() -> None:
    """A generation that is stopped before its requests began has no attempts, and the provider hears nothing."""
    shop = workshop(never)
    async with shop.opened() as generation:
        generation.stop(STOP)
        shop.engine.launch(generation)
        events = await events_of(generation)

    assert isinstance(events[-1], Broken)
    assert events[-1].error.reason is Reason.CANCELLED
    assert events[-1].failure.attempts == ()
    assert shop.provider.tasks == []


async def test_when_the_last_reader_leaves_the_generation_is_stopped() -> None:
    """One of two readers leaving changes nothing; the second one ends it, and all that was held is given back."""
    shop = workshop(first_only)
    async with shop.opened(drawing(count=2)) as generation:
        with generation.reading():
            shop.engine.launch(generation)
            await until(generation, ImageFinished)
        assert generation.stop_error is None
    await shop.provider.closed.wait()
    events = await events_of(generation)

    assert isinstance(events[-1], Finished)
    assert shop.in_hand == (0, 0, 0)


async def test_the_deadline_keeps_what_is_finished(short: float) -> None:
    """Shortly before the caller's deadline a call with one finished image of two is OK, the other one TIMEOUT."""
    result = await workshop(first_only).result(drawing(count=2), time_left=short)

    assert [image.index for image in result.images] == [0]
    assert [failure.error.reason for failure in result.failures] == [Reason.TIMEOUT]


async def test_the_deadline_without_an_image_is_a_timeout(short: float) -> None:
    """Nothing being finished, the call is TIMEOUT and may be billed."""
    shop = workshop(never)
    broken = await shop.broken(time_left=short)

    assert (broken.error.reason, broken.error.billed) == (Reason.TIMEOUT, Billed.UNKNOWN)
    assert "deadline" in broken.error.message
    assert shop.provider.closed.is_set()


async def test_the_providers_timeout_keeps_what_is_finished() -> None:
    """The configured timeout ends an attempt as the deadline would."""
    shop = workshop(first_only, timeout=0.05)

    result = await shop.result(drawing(count=2))

    assert [image.index for image in result.images] == [0]
    assert [failure.error.reason for failure in result.failures] == [Reason.TIMEOUT]
    assert shop.provider.closed.is_set()


async def test_the_providers_timeout_without_an_image_is_a_timeout() -> None:
    """The message tells how long it was given."""
    broken = await workshop(never, timeout=0.05).broken()

    assert broken.error.reason is Reason.TIMEOUT
    assert "0.05 s" in broken.error.message


async def test_a_timeout_inside_an_adapter_is_a_fault_of_it() -> None:
    """Only the server's own limit is TIMEOUT; an adapter that lets another one out has a fault."""
    broken = await workshop(yielding(TimeoutError())).broken()

    assert broken.error.reason is Reason.INTERNAL_ERROR


@pytest.mark.parametrize("by", ["deadline", "timeout"])
async def test_a_provider_that_ignores_cancellation_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, short: float, by: str
) -> None:
    """Whatever a provider does, the log gets its last entry, and the operator hears of the provider."""
    monkeypatch.setattr(runner, "STOP_GRACE_SECONDS", 0.01)
    monkeypatch.setattr(runner, "ARRIVAL_SECONDS", 0.01)
    let_go = asyncio.Event()

    async def stubborn(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()
        yield Complete(0, png())

    shop = workshop(stubborn, timeout=600.0 if by == "deadline" else 0.02)
    try:
        with structlog.testing.capture_logs() as lines:
            broken = await shop.broken(time_left=short if by == "deadline" else None)
            in_hand = shop.in_hand
            await asyncio.gather(*shop.engine._runs)
    finally:
        let_go.set()

    assert broken.error.reason is Reason.TIMEOUT
    assert in_hand == (0, 0, 0)
    assert [line["event"] for line in lines] == ["provider ignores cancellation"]
    await shop.provider.closed.wait()
    assert shop.in_hand == (0, 0, 0)


async def test_a_call_is_told_the_nearer_end() -> None:
    """The deadline that an adapter sees is the configured timeout, or the caller's if that comes first."""
    shop, ends = workshop(), []

    async def note(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        ends.append(call.deadline - asyncio.get_running_loop().time())
        yield Complete(0, png())

    shop.provider.script = note
    await shop.result()
    await shop.result(time_left=30.0)

    assert 500 < ends[0] <= 600
    assert 20 < ends[1] <= 30


async def test_a_crash_is_one_failed_call_and_its_text_is_not_logged() -> None:
    """A fault in an adapter is INTERNAL_ERROR, logged by type and place; its text may hold a prompt or a key."""
    with structlog.testing.capture_logs() as lines:
        broken = await workshop(yielding(RuntimeError("the secret prompt"))).broken()

    assert (broken.error.reason, broken.error.billed) == (Reason.INTERNAL_ERROR, Billed.UNKNOWN)
    (line,) = lines
    assert (line["event"], line["provider"], line["exception"]) == ("adapter fault", "test", "RuntimeError")
    assert line["generation_id"] == broken.failure.generation_id
    assert "secret" not in str(lines) + broken.error.message


async def test_an_adapter_that_cancels_itself_was_not_stopped_by_the_caller() -> None:
    """CANCELLED is said only of what somebody stopped."""

    async def gives_up(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        raise asyncio.CancelledError
        yield Complete(0, png())

    assert (await workshop(gives_up).broken()).error.reason is Reason.INTERNAL_ERROR


async def test_an_image_that_has_come_is_not_lost_to_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop in the moment in which a finished image is hashed and stored waits for it."""
    monkeypatch.setattr(digest, "_OFF_LOOP_BYTES", 0)
    shop = workshop(yielding(Complete(0, png())))
    put, reached, release = shop.store.put, asyncio.Event(), asyncio.Event()

    async def slow_put(*arguments: Any, **named: Any) -> StoredImage:
        reached.set()
        await release.wait()
        return await put(*arguments, **named)

    monkeypatch.setattr(shop.store, "put", slow_put)
    async with shop.opened() as generation:
        shop.engine.launch(generation)
        await reached.wait()
        generation.stop(STOP)
        await asyncio.sleep(0)
        release.set()
        events = await events_of(generation)

    assert isinstance(events[-1], Finished)
    assert len(events[-1].result.images) == 1
    assert shop.in_hand == (0, 0, 0)


async def test_a_store_that_never_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace the generation ends without the image, and what comes later changes no count."""
    monkeypatch.setattr(runner, "STOP_GRACE_SECONDS", 0.01)
    monkeypatch.setattr(runner, "ARRIVAL_SECONDS", 0.01)
    shop = workshop(yielding(Complete(0, png())))
    put, reached, release, done = shop.store.put, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stuck_put(*arguments: Any, **named: Any) -> StoredImage:
        reached.set()
        await release.wait()
        done.set()
        return await put(*arguments)

    monkeypatch.setattr(shop.store, "put", stuck_put)
    async with shop.opened() as generation:
        shop.engine.launch(generation)
        await reached.wait()
        generation.stop(STOP)
        events = await events_of(generation)
        release.set()
        await done.wait()
        await asyncio.sleep(0)

    assert isinstance(events[-1], Broken)
    assert events[-1].failure.attempts[0].billed is Billed.YES
    assert shop.in_hand == (0, 0, 0)


async def test_one_request_failing_leaves_the_others_alone() -> None:
    """Of several requests each has its own attempt and its own end."""

    async def second_fails(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        if task.options.seed == 11:
            raise ImageError(Reason.RATE_LIMITED, "slow down")
        yield Complete(0, png())

    shop = workshop(second_fails, capabilities=able(max_images=1).capabilities)

    result = await shop.result(drawing(count=3, seed=10))

    assert [image.index for image in result.images] == [0, 2]
    assert [(failure.index, failure.error.reason) for failure in result.failures] == [(1, Reason.RATE_LIMITED)]
    assert sorted(attempt.outcome.name for attempt in result.attempts) == ["ACCEPTED", "ACCEPTED", "REJECTED"]
