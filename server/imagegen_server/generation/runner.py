"""Runs a generation: as many provider requests as the plan says, then the end of the log."""

import asyncio
import time
from typing import Any

import structlog

from imagegen_server.domain.errors import ImageError, Reason

from .batch import Batch
from .generation import Generation
from .outcome import conclude
from .store import ImageStore

STOP_GRACE_SECONDS = 5.0
"""How long a provider may take to let go when it is told to stop."""

_logger = structlog.get_logger("imagegen.generation")


async def run_generation(generation: Generation, store: ImageStore) -> None:
    """Bring a generation to its end. Whatever a provider does, the log gets its last entry."""
    batches = [Batch(generation, first, task, store) for first, task in generation.plan.batches]
    try:
        await _work(generation, [asyncio.create_task(batch.run()) for batch in batches])
    finally:
        for batch in batches:
            batch.end(generation.stop_error or ImageError(Reason.INTERNAL_ERROR, "the generation broke off"))
        generation.end(conclude(generation, batches))


async def _work(generation: Generation, tasks: list[asyncio.Task[None]]) -> None:
    generation.running.update(tasks)
    if generation.stop_error is not None:
        for task in tasks:
            task.cancel()
    timeout = generation.plan.entry.timeout
    too_late = ImageError(Reason.TIMEOUT, f"the provider took longer than {timeout:g} s and did not let go")
    left = timeout + STOP_GRACE_SECONDS
    if generation.deadline is not None and (deadline_left := max(0.0, generation.deadline - time.monotonic())) < left:
        too_late = ImageError(Reason.TIMEOUT, "the call's deadline came before the provider was done")
        left = deadline_left
    stopped = asyncio.create_task(generation.stopped.wait())
    work = asyncio.gather(*tasks, return_exceptions=True)
    ends: set[asyncio.Future[Any]] = {work, stopped}
    try:
        await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            generation.stop(too_late)
            await asyncio.wait([work], timeout=STOP_GRACE_SECONDS)
        if not work.done():
            _logger.error("provider ignores cancellation", generation_id=generation.id, model=generation.plan.model)
    finally:
        stopped.cancel()
