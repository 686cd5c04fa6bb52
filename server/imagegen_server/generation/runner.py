"""Runs a generation: the models of its plan in order, each by its provider requests, and the end of the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, Phase, Progress
from imagegen_server.domain.result import Attempt, GenerationFailure

from .batch import SETTLE_SECONDS, Batch
from .faults import describe_fault
from .generation import Generation, Work, do_nothing
from .outcome import conclude
from .plan import Candidate
from .run import Run, Tools

STOP_GRACE_SECONDS = 5.0
"""How long it may take to let go in all, before it is left behind."""

ARRIVAL_SECONDS = 10.0
"""How long a finished image may take through middleware and store after its generation was stopped."""

_NEVER_ELSEWHERE = frozenset({Reason.CANCELLED, Reason.INTERNAL_ERROR})

_logger = structlog.get_logger("imagegen.generation")


async def run_generation(
    generation: Generation, tools: Tools, settle: Callable[[Finished | Broken], Awaitable[None]]
) -> None:
    """Bring a generation to its end. Whatever a provider does, the log gets its last entry, and in time.

    `settle` hears the outcome just before the log does.
    """
    work = generation.work
    assert work is not None
    outcome: Finished | Broken | None = None
    left: list[asyncio.Task[None]] = []
    try:
        outcome = await _try_in_order(generation, work, tools, left)
        aborted = generation.stop_error is not None and generation.stop_error.reason is Reason.CANCELLED
        outcome = await tools.middleware.end(work.context, outcome, aborted=aborted)
    except Exception as fault:  # noqa: BLE001 - whoever reads it must hear of an end
        _logger.error("fault in a generation", generation_id=generation.id, **describe_fault(fault))  # noqa: TRY400
    finally:
        outcome = _lost(generation) if outcome is None else outcome
        try:
            await settle(outcome)
        finally:
            generation.end(outcome)
    await _let_go(generation, left)


async def _try_in_order(
    generation: Generation, work: Work, tools: Tools, left: list[asyncio.Task[None]]
) -> Finished | Broken:
    """Try the models until one has done it, or until trying another would be wrong.

    Appends to `left` the requests that have not let go yet.
    """
    run = Run(generation, tools, work.plan.retry, work.context, work.reservation)
    before: list[Attempt] = []
    candidates = work.plan.candidates
    for candidate, following in zip(candidates, (*candidates[1:], None), strict=True):
        work.context.model, work.context.provider = candidate.model, candidate.entry.name
        batches = [
            Batch(run, candidate, first, task, last_resort=following is None) for first, task in candidate.batches
        ]
        tasks = [asyncio.create_task(batch.run()) for batch in batches]
        left += tasks
        try:
            await _Watch(generation, tasks).wait()
            await _finished_images(batches, tasks)
        finally:
            for batch in batches:
                batch.break_off()
        if following is None or not _may_go_elsewhere(run, batches):
            for batch in batches:
                batch.settle()
            return _conclusion(generation, candidate, batches, before)
        before += (attempt for batch in batches for attempt in batch.attempts)
        why = f"{candidate.model} failed with {_errors(batches)[0].reason.name}"
        generation.last_progress = Progress(Phase.RETRYING, model=following.model, message=why)
        generation.log.append(generation.last_progress)
    raise AssertionError("the last candidate ends it")


def _may_go_elsewhere(run: Run, batches: Sequence[Batch]) -> bool:
    """Tell whether another model may be tried: nothing was shown, and nothing may have been billed, unless asked for.

    Moderation is a verdict and no trouble; it is taken elsewhere only if the caller says so.
    """
    errors = _errors(batches)
    if run.generation.stop_error is not None or len(errors) < len(batches) or any(batch.shown for batch in batches):
        return False

    def may(error: ImageError) -> bool:
        if error.reason in _NEVER_ELSEWHERE:
            return False
        if error.reason is Reason.CONTENT_FILTERED:
            return run.retry.fallback_on_content_filtered
        return error.billed is Billed.NO or run.retry.retry_ambiguous

    return all(may(error) for error in errors)


def _errors(batches: Sequence[Batch]) -> list[ImageError]:
    return [batch.error for batch in batches if batch.error is not None]


class _Watch:
    """Waits until all requests are done, or until they must stop and have had a moment to.

    One future, whatever their number: a generation of one small picture is made hundreds of times a second; tasks that
    wait for tasks would double its cost.
    """

    def __init__(self, generation: Generation, tasks: list[asyncio.Task[None]]) -> None:
        self._generation = generation
        self._tasks = tasks
        self._left = len(tasks)
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._deadline: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Wait, and let go of everything."""
        for task in self._tasks:
            task.add_done_callback(self._count)
        generation = self._generation
        generation.on_stop, generation.on_deadline = self._stop, self._watch_deadline
        self._watch_deadline()
        if generation.stop_error is not None:
            self._stop()
        try:
            await self._over
        finally:
            # Nothing may hold on to the tasks in a circle: the collector would have to find it.
            generation.on_stop = generation.on_deadline = do_nothing
            self._tasks = []
            for timer in (self._deadline, self._settling):
                if timer is not None:
                    timer.cancel()

    def _count(self, _: asyncio.Task[None]) -> None:
        self._left -= 1
        if not self._left:
            self._finish()

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._settling = self._loop.call_later(SETTLE_SECONDS, self._finish)

    def _watch_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if (deadline := self._generation.deadline) is not None:
            self._deadline = self._loop.call_at(deadline, self._late)

    def _late(self) -> None:
        why = "the call's deadline came before the provider was done"
        self._generation.stop(ImageError(Reason.TIMEOUT, why))


async def _finished_images(batches: Sequence[Batch], tasks: list[asyncio.Task[None]]) -> None:
    """Wait a while for images that have come and are on their way through middleware and store: they are paid for."""
    arriving = [task for batch, task in zip(batches, tasks, strict=True) if batch.arriving and not task.done()]
    if arriving:
        await asyncio.wait(arriving, timeout=ARRIVAL_SECONDS)


async def _let_go(generation: Generation, tasks: list[asyncio.Task[None]]) -> None:
    """Give a provider that is slow to stop time to close what it holds; nobody waits for this but the drain."""
    running = [task for task in tasks if not task.done()]
    if running and (await asyncio.wait(running, timeout=STOP_GRACE_SECONDS))[1]:
        _logger.error("provider ignores cancellation", generation_id=generation.id, model=generation.model)


def _conclusion(
    generation: Generation, candidate: Candidate, batches: list[Batch], before: Sequence[Attempt]
) -> Finished | Broken:
    try:
        return conclude(generation, candidate, batches, before)
    except Exception as fault:  # noqa: BLE001 - the images are paid for; what was said beside them is worth less
        _logger.error("fault in the outcome", generation_id=generation.id, **describe_fault(fault))  # noqa: TRY400
        for batch in batches:
            batch.forget_report()
        return conclude(generation, candidate, batches, before)


def _lost(generation: Generation) -> Broken:
    """Stand for an outcome that a fault of ours, or the end of the event loop, has taken away."""
    error = generation.stop_error or ImageError(
        Reason.INTERNAL_ERROR, "a fault of this server; its log has the details"
    )
    return Broken(GenerationFailure(generation.id, generation.request_id, (), (), None), error)
