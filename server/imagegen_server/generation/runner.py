"""Runs a generation: as many provider requests as the plan says, then the end of the log."""

import asyncio
import time
from typing import Any

import structlog

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished

from .batch import Batch
from .faults import describe_fault
from .generation import Generation
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
        await _work(generation, tasks)
    finally:
        for batch in batches:
            batch.end(generation.stop_error or ImageError(Reason.INTERNAL_ERROR, "the generation broke off"))
        generation.end(_conclusion(generation, batches))
    await _let_go(generation, tasks)


async def _work(generation: Generation, tasks: list[asyncio.Task[None]]) -> None:
    """Wait until all is done, or until it must stop and has had a moment to."""
    generation.running.update(tasks)
    if generation.stop_error is not None:
        for task in tasks:
            task.cancel()
    timeout = generation.plan.entry.timeout
    too_late = ImageError(Reason.TIMEOUT, f"the provider took longer than {timeout:g} s and did not let go")
    left = timeout + SETTLE_SECONDS
    if generation.deadline is not None and (deadline_left := max(0.0, generation.deadline - time.monotonic())) < left:
        too_late = ImageError(Reason.TIMEOUT, "the call's deadline came before the provider was done")
        left = deadline_left
    stopped = asyncio.create_task(generation.stopped.wait())
    work = asyncio.gather(*tasks, return_exceptions=True)
    try:
        ends: set[asyncio.Future[Any]] = {work, stopped}
        await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            generation.stop(too_late)
            await asyncio.wait([work], timeout=SETTLE_SECONDS)
    finally:
        stopped.cancel()


async def _let_go(generation: Generation, tasks: list[asyncio.Task[None]]) -> None:
    """Give a provider that is slow to stop time to close what it holds; nobody waits for this but the drain."""
    _, stuck = await asyncio.wait(tasks, timeout=STOP_GRACE_SECONDS)
    if stuck:
        _logger.error("provider ignores cancellation", generation_id=generation.id, model=generation.plan.model)


def _conclusion(generation: Generation, batches: list[Batch]) -> Finished | Broken:
    try:
        return conclude(generation, batches)
    except Exception as fault:  # noqa: BLE001 - the images are paid for; what was said beside them is worth less
        _logger.error("fault in the outcome", generation_id=generation.id, **describe_fault(fault))  # noqa: TRY400
        for batch in batches:
            batch.forget_report()
        return conclude(generation, batches)
