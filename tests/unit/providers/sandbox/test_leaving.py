"""Cancelling: the sandbox lets go at once, and its threads soon after."""

import asyncio
import threading
from contextlib import aclosing

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Preview, Progress
from imagegen_server.domain.task import PixelSize
from imagegen_server.providers.base import Call
from imagegen_server.providers.sandbox.workers import Stop, Stopped, Workers

from tests.unit.providers.sandbox.kit import Seen, Silence, running, sandbox, task, watch

_LARGE = PixelSize(4096, 4096)


async def test_a_cancel_returns_at_once_while_a_thread_draws() -> None:
    """Within 100 ms, and the thread gives up within one stage of its work."""
    async with running() as provider:
        await watch(provider, task(), Seen())
        seen = Seen()
        work = asyncio.create_task(watch(provider, task(size=_LARGE), seen))
        await seen.until(Progress)
        await asyncio.sleep(0.05)
        clock = asyncio.get_running_loop().time
        start = clock()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert clock() - start < 0.1
        start = clock()
    # Leaving the sandbox waits for its threads.
    assert clock() - start < 2


async def test_closing_the_generator_ends_it() -> None:
    """A reader that breaks off after a preview leaves nothing running."""
    async with running() as provider:
        wanted, _ = provider.prepare(task(preview_count=2))
        events = provider.run(wanted, Call(0, Silence(), lambda _: None))
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Preview):
                    break

        assert not provider._workers._running


async def test_a_cancel_frees_the_queue() -> None:
    """Work that waits for a thread is not done at all when nobody wants it any more."""
    begun: list[str] = []
    workers = Workers(1)
    gate = threading.Event()

    def first(_stop: Stop) -> None:
        gate.wait(10)

    running_one = asyncio.create_task(workers.run(first))
    waiting = asyncio.create_task(workers.run(lambda _: begun.append("second")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await running_one
    await workers.close()

    assert begun == []


async def test_work_is_told_to_stop() -> None:
    """A thread sees it at its next check."""
    workers = Workers(1)
    begun, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work(stop: Stop) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            while not ended.wait(0.001):
                stop.check()
        except Stopped:
            ended.set()

    task_ = asyncio.create_task(workers.run(work))
    await begun.wait()
    task_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task_
    await workers.close()

    assert ended.is_set()


async def test_closing_stops_what_still_runs() -> None:
    """The server does not wait for pictures when it ends, and the sandbox takes no more."""
    provider = sandbox()
    seen = Seen()
    work = asyncio.create_task(watch(provider, task(size=_LARGE), seen))
    await seen.until(Progress)
    await asyncio.sleep(0.05)
    clock = asyncio.get_running_loop().time
    start = clock()
    await provider.close()
    with pytest.raises(ImageError) as caught:
        await work
    with pytest.raises(ImageError):
        await watch(provider, task(), Seen())

    assert Reason.SHUTTING_DOWN is caught.value.reason
    assert clock() - start < 2


async def test_closing_unused_starts_nothing() -> None:
    """Threads start with the first picture."""
    before = threading.active_count()
    provider = sandbox()

    assert before == threading.active_count()
    await provider.close()
