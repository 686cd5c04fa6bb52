"""Runs a generation: as many provider requests as the plan says, then the end of the log."""

import asyncio
import time

import structlog

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished

from .batch import Batch
from .faults import describe_fault
from .generation import Generation, do_nothing
from .outcome import conclude
from .store import ImageStore

SETTLE_SECONDS = 0.1
"""How long a provider that is told to stop may take before its readers are told without it."""

STOP_GRACE_SECONDS = 5.0
"""How long it may take to let go in all, before it is left behind."""

_logger = structlog.get_logger("imagegen.generation")


async def run_generation(generation: Generation, store: ImageStore) -> None:
    """Bring a generation to its end. Whatever a provider does, the log gets its last entry, and in time."""
    batches = [Batch(generation, first, task, store) for first, task in generation.plan.batches]
    tasks = [asyncio.create_task(batch.run()) for batch in batches]
    try:
        await _done_or_stopped(generation, tasks)
    finally:
        for batch in batches:
            batch.break_off()
        generation.end(_conclusion(generation, batches))
    await _let_go(generation, tasks)


async def _done_or_stopped(generation: Generation, tasks: list[asyncio.Task[None]]) -> None:
    """Wait until all is done, or until it must stop and has had a moment to. One future, whatever the number of tasks.

    A generation of one small picture is made hundreds of times a second; tasks that wait for tasks would double its
    cost.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    left = len(tasks)

    def finish() -> None:
        if not over.done():
            over.set_result(None)

    def count(_: asyncio.Task[None]) -> None:
        nonlocal left
        left -= 1
        if not left:
            finish()

    def stop() -> None:
        for task in tasks:
            task.cancel()
        timers.append(loop.call_later(SETTLE_SECONDS, finish))

    seconds, why = _limit(generation)
    timers = [loop.call_later(seconds, lambda: generation.stop(ImageError(Reason.TIMEOUT, why)))]
    for task in tasks:
        task.add_done_callback(count)
    generation.on_stop = stop
    if generation.stop_error is not None:
        stop()
    try:
        await over
    finally:
        # Nothing may hold on to the tasks in a circle: the collector would have to find it.
        generation.on_stop = do_nothing
        for timer in timers:
            timer.cancel()


def _limit(generation: Generation) -> tuple[float, str]:
    """Tell after how many seconds from now the whole generation is too late, and why."""
    timeout = generation.plan.entry.timeout
    left = timeout + SETTLE_SECONDS
    if generation.deadline is not None and generation.deadline - time.monotonic() < left:
        left = max(0.0, generation.deadline - time.monotonic())
        return left, "the call's deadline came before the provider was done"
    return left, f"the provider took longer than {timeout:g} s and did not let go"


async def _let_go(generation: Generation, tasks: list[asyncio.Task[None]]) -> None:
    """Give a provider that is slow to stop time to close what it holds; nobody waits for this but the drain."""
    running = [task for task in tasks if not task.done()]
    if running and (await asyncio.wait(running, timeout=STOP_GRACE_SECONDS))[1]:
        _logger.error("provider ignores cancellation", generation_id=generation.id, model=generation.plan.model)


def _conclusion(generation: Generation, batches: list[Batch]) -> Finished | Broken:
    try:
        return conclude(generation, batches)
    except Exception as fault:  # noqa: BLE001 - the images are paid for; what was said beside them is worth less
        _logger.error("fault in the outcome", generation_id=generation.id, **describe_fault(fault))  # noqa: TRY400
        for batch in batches:
            batch.forget_report()
        return conclude(generation, batches)
