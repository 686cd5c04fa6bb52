"""Ends that come together: stops, deadlines, and requests that fail at once or do not let go."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest
import structlog
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Complete, Finished, ImageFinished, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.generation import readers, runner
from imagegen_server.generation.generation import Generation, do_nothing
from imagegen_server.generation.log import Entry
from imagegen_server.providers.base import Call

from tests.support.generation import ScriptedWorkshop, able, drawing, events_of, until, workshop
from tests.support.pictures import png
from tests.support.provider import never

STOP = ImageError(Reason.CANCELLED, "stopped by the test")
ONE_BY_ONE = able(max_images=1, max_count=16).capabilities


async def test_all_of_sixteen_requests_fail_at_once() -> None:
    """One end, sixteen failures in order, sixteen attempts, and nothing left in hand."""
    everybody, waiting = asyncio.Event(), 0

    async def fails_together(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        nonlocal waiting
        waiting += 1
        if waiting == 16:
            everybody.set()
        await everybody.wait()
        raise ImageError(Reason.PROVIDER_UNAVAILABLE, "down")
        yield Complete(0, png())

    shop = workshop(fails_together, capabilities=ONE_BY_ONE)
    events = await shop.run(drawing(count=16))

    assert [type(event) for event in events].count(Broken) == 1
    assert isinstance(events[-1], Broken)
    assert [failure.index for failure in events[-1].failure.failures] == list(range(16))
    assert len(events[-1].failure.attempts) == 16
    assert shop.in_hand == (0, 0, 0)


async def test_one_of_sixteen_requests_ignores_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen images arrive, the sixteenth is CANCELLED without waiting for its adapter, whose image is not taken."""
    monkeypatch.setattr(runner, "STOP_GRACE_SECONDS", 0.01)
    let_go = asyncio.Event()

    async def last_is_stubborn(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        while task.options.seed == 15 and not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()
        yield Complete(0, png())

    shop = workshop(last_is_stubborn, capabilities=ONE_BY_ONE)
    async with shop.opened(drawing(count=16, seed=0)) as generation:
        with structlog.testing.capture_logs() as lines:
            shop.engine.launch(generation)
            await _finished(generation, 15)
            generation.stop(STOP)
            events = await events_of(generation)
            await asyncio.gather(*shop.engine._runs)
    let_go.set()
    shop.provider.closed.clear()
    await shop.provider.closed.wait()

    assert isinstance(events[-1], Finished)
    assert [image.index for image in events[-1].result.images] == list(range(15))
    assert [(one.index, one.error.reason) for one in events[-1].result.failures] == [(15, Reason.CANCELLED)]
    assert [line["event"] for line in lines] == ["provider ignores cancellation"]
    assert len(generation.log.events) == len(events)
    assert shop.in_hand == (0, 0, 0)


async def test_what_comes_while_a_stop_settles_is_kept() -> None:
    """An adapter that answers the cancellation by its image is heard; a second stop changes nothing."""
    second = ImageError(Reason.TIMEOUT, "too late")

    async def finishes_when_stopped(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        if task.options.seed == 1:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            generation.stop(second)
            await asyncio.sleep(0.01)
        else:
            await asyncio.Event().wait()
        yield Complete(0, png())

    shop = workshop(finishes_when_stopped, capabilities=ONE_BY_ONE)
    async with shop.opened(drawing(count=2, seed=0)) as generation:
        shop.engine.launch(generation)
        await _asked(shop, 2)
        generation.stop(STOP)
        events = await events_of(generation)

    assert isinstance(events[-1], Finished)
    assert [image.index for image in events[-1].result.images] == [1]
    assert [one.error.reason for one in events[-1].result.failures] == [Reason.CANCELLED]
    assert shop.in_hand == (0, 0, 0)


@pytest.mark.parametrize("stopped_first", [True, False])
async def test_a_stop_and_a_deadline_that_has_come(monkeypatch: pytest.MonkeyPatch, stopped_first: bool) -> None:
    """The first of both gives the reason, and there is one end."""
    monkeypatch.setattr(readers, "ANSWER_SECONDS", 31.0)
    shop = workshop(never)
    async with shop.opened(time_left=30.9) as generation:
        shop.engine.launch(generation)
        if stopped_first:
            generation.stop(STOP)
        await until(generation, Broken)
        generation.stop(STOP)
        events = await events_of(generation)

    assert [type(event) for event in events].count(Broken) == 1
    assert isinstance(events[-1], Broken)
    assert events[-1].error.reason is (Reason.CANCELLED if stopped_first else Reason.TIMEOUT)
    assert shop.in_hand == (0, 0, 0)


@pytest.mark.parametrize("stopped", [True, False])
async def test_an_ended_generation_has_no_timers_and_nothing_to_stop(
    monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """Neither the timeout of ten minutes nor the moment to settle waits on."""
    loop, timers = asyncio.get_running_loop(), []
    call_later = loop.call_later

    def noted(*arguments: Any) -> asyncio.TimerHandle:
        timers.append(call_later(*arguments))
        return timers[-1]

    shop = workshop(never) if stopped else workshop()
    monkeypatch.setattr(loop, "call_later", noted)
    async with shop.opened() as generation:
        shop.engine.launch(generation)
        await _asked(shop, 1)
        if stopped:
            generation.stop(STOP)
        await generation.log.end()

    assert len(timers) == (2 if stopped else 1)
    assert all(timer.cancelled() for timer in timers)
    assert generation.on_stop is do_nothing


async def _finished(generation: Generation, count: int) -> None:
    """Wait until so many images are in the log."""
    seen = 0
    async for entry in generation.log.read(0, 60.0):
        seen += isinstance(entry, Entry) and isinstance(entry.event, ImageFinished)
        if seen == count:
            return


async def _asked(shop: ScriptedWorkshop, count: int) -> None:
    """Wait until so many requests have come to the provider."""
    while len(shop.provider.tasks) < count:  # noqa: ASYNC110 - a list that tells nobody
        await asyncio.sleep(0)
