"""The images of one provider request, asked for again where that is right."""

import asyncio
import hashlib
import itertools
import json
import math
import time
from contextlib import aclosing

import structlog

from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason
from imagegen_server.domain.events import Phase, Progress, Report
from imagegen_server.domain.result import Attempt, GeneratedImage
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.providers.base import Call

from .arrivals import Arrivals
from .attempt import AttemptRecord
from .faults import describe_fault, forget_frames
from .keys import ChosenKey
from .plan import Candidate
from .run import Run

SETTLE_SECONDS = 0.1
"""How long a provider that is told to stop may take before its readers are told without it."""

_logger = structlog.get_logger("imagegen.generation")


class Batch:
    """One provider request and what came of it. `run` raises nothing, so that every image gets its end."""

    def __init__(self, run: Run, candidate: Candidate, first_index: int, task: Task, *, last_resort: bool) -> None:
        """Prepare the request for the images from `first_index` on.

        Unless it is the `last_resort`, what went wrong is held back until `settle`: another model may be tried.
        """
        self._run = run
        self._generation = run.generation
        self._candidate = candidate
        self._entry = candidate.entry
        self._upstream = run.tools.upstreams[candidate.entry.name]
        self._task = task
        self._first_index = first_index
        self._last_resort = last_resort
        self._arrivals = Arrivals(run, candidate, first_index, task)
        self._record: AttemptRecord | None = None
        """Of the attempt that runs."""
        self._ended = False
        self._queued = False
        self.error: ImageError | None = None
        """What ended it before every image had come."""
        self.attempts: list[Attempt] = []
        self.paid_before = Billed.NO
        """The worst that is told of the attempts before the last try."""

    @property
    def shown(self) -> bool:
        """Something of it is in the log that nobody can take back."""
        return self._arrivals.shown

    @property
    def arriving(self) -> bool:
        """A finished image has come and is not in the log yet."""
        return self._arrivals.arriving > 0

    @property
    def images(self) -> list[GeneratedImage]:
        """Those that have come."""
        return self._arrivals.images

    @property
    def failures(self) -> list[Failure]:
        """Those that will not come, as far as it is settled."""
        return self._arrivals.failures

    @property
    def report(self) -> Report:
        """What the provider said of the whole answer."""
        return self._arrivals.report

    def forget_report(self) -> None:
        """Do without what the provider said of the whole answer."""
        self._arrivals.report = Report()

    async def run(self) -> None:
        """Call the provider, again where that is right, and take in what it yields."""
        error: ImageError | None
        try:
            error = await self._attempts()
        except (asyncio.CancelledError, Exception) as raised:  # noqa: BLE001 - a bug must not take the server along
            error = self._failure(raised, late=False)
            forget_frames(raised)
        self._end(error)

    def break_off(self) -> None:
        """Give it its end, although a request may run on. Nothing is taken in after this."""
        if not self._ended:
            self._end(self._generation.stop_error or ImageError(Reason.INTERNAL_ERROR, "the generation broke off"))

    def settle(self) -> None:
        """Give every image that has none its end."""
        if self.error is not None:
            self._arrivals.fail_rest(self.error)

    async def _attempts(self) -> ImageError | None:
        """Ask until the images are there, or until asking again would be wrong; tells what ended the last attempt."""
        keys = self._upstream.keys
        tried: list[ChosenKey] = []
        for number in itertools.count(1):
            key, error = await self._ask(number, tried)
            if keys is not None and key is not None:
                if error is None:
                    keys.note_success(key)
                else:
                    keys.note_failure(key, error)
                    tried.append(key)
                    await keys.reread(key)
            if error is None or self._ended:
                return error
            another_key = keys is not None and keys.belongs_to_key(error) and keys.another_than(tried)
            wait = self._wait_before_next(error, number, another_key=another_key)
            if wait is None:
                return error
            when = f"again in {wait:.1f} s" if wait else "again with another key"
            self._tell(Phase.RETRYING, f"{error.reason.name}: {when}")
            if wait > 0:
                await asyncio.sleep(wait)
        raise AssertionError("counting never ends")

    async def _ask(self, number: int, tried: list[ChosenKey]) -> tuple[ChosenKey | None, ImageError | None]:
        """Wait for a turn, and ask once; tells with which key, and what went wrong."""
        keys, begun = self._upstream.keys, False
        try:
            async with self._upstream.queue.slot(self._generation.caller, self._waits, self._entry.timeout):
                begun = True
                await self._pace()
                if self._queued or number > 1:
                    self._queued = False
                    self._tell(Phase.SENDING)
                key = keys.choose(tried) if keys is not None else None
                return key, await self._attempt(number, key.secret if key is not None else None)
        except ImageError as busy:
            if begun:
                raise
            # The queue did not let it out.
            self.attempts.append(AttemptRecord(self._entry.name, self._candidate.model).end(busy))
            return None, busy.with_traceback(None)

    async def _pace(self) -> None:
        """Wait until the strategy lets the request out. One that is stopped meanwhile takes nobody's place."""
        retry = self._upstream.retry
        if (ahead := retry.before_request()) > 0:
            try:
                await asyncio.sleep(ahead)
            except asyncio.CancelledError:
                retry.give_back()
                raise

    def _wait_before_next(self, error: ImageError, number: int, *, another_key: bool) -> float | None:
        """Tell after how many seconds to ask again; None = not at all.

        What may have been billed is repeated only if somebody who pays has said so, and nothing once something was
        shown.
        """
        retry, generation = self._upstream.retry, self._generation
        if generation.stop_error is not None or self.shown or number >= retry.max_attempts:
            return None
        if error.billed is not Billed.NO and not (retry.ambiguous or self._run.retry.retry_ambiguous):
            return None
        if error.billed is not Billed.NO and self.report.attempts:
            # Another server has done again what may be done again.
            return None
        wait = 0.0 if another_key else retry.delay(error, number)
        deadline = generation.deadline
        if wait is not None and deadline is not None and time.monotonic() + wait >= deadline:
            return None
        return wait

    async def _attempt(self, number: int, key: Secret | None) -> ImageError | None:
        """Ask once; tells what went wrong."""
        timeout = self._entry.timeout
        record = self._record = AttemptRecord(self._entry.name, self._candidate.model)
        self.forget_report()
        self.paid_before = Billed(max((attempt.billed.value for attempt in self.attempts), default=Billed.NO.value))
        self._arrivals.billed_before = self.paid_before
        error: ImageError | None = None
        limit = asyncio.timeout(timeout)
        overdue = asyncio.get_running_loop().call_later(timeout + SETTLE_SECONDS, self._is_overdue)
        try:
            async with limit, aclosing(self._entry.provider.run(self._task, self._call(record, number, key))) as events:
                async for event in events:
                    await self._arrivals.take(event, record)
            if not self._arrivals.complete:
                error = ImageError(Reason.INVALID_RESPONSE, "the provider ended without the image")
        except (asyncio.CancelledError, Exception) as raised:  # noqa: BLE001 - a bug in an adapter must not take the server along
            error = self._failure(raised, late=limit.expired())
            forget_frames(raised)
        finally:
            overdue.cancel()
        if self._ended:
            return error
        if error is not None and self._arrivals.complete:
            error = None  # a bad farewell; every image has its end already
        if error is not None:
            error = record.judge(error)
        self._close(record, error)
        return error

    def _close(self, record: AttemptRecord, error: ImageError | None) -> None:
        """Keep the report of an attempt that is over."""
        self._record = None
        failed_one_by_one = None if self.images else self._arrivals.worst
        attempt = record.end(error or failed_one_by_one)
        self.attempts += self.report.attempts or [attempt]
        if attempt.reason is None:
            self._run.tools.durations.note(attempt.model, self._task.operation, attempt.duration)

    def _is_overdue(self) -> None:
        why = f"the provider took longer than {self._entry.timeout:g} s and did not let go"
        self._generation.stop(ImageError(Reason.TIMEOUT, why))

    def _failure(self, raised: BaseException, *, late: bool) -> ImageError:
        """Tell what ended an attempt. `late`: the server's own limit did."""
        name = self._entry.name
        if isinstance(raised, ImageError):
            return raised
        if isinstance(raised, asyncio.CancelledError):
            stopped = self._generation.stop_error
            return stopped or ImageError(Reason.INTERNAL_ERROR, f"the adapter of {name} cancelled itself")
        if isinstance(raised, TimeoutError) and late:
            return ImageError(Reason.TIMEOUT, f"the provider took longer than {self._entry.timeout:g} s")
        # Without the exception's text, which may hold a prompt.
        _logger.error("adapter fault", provider=name, generation_id=self._generation.id, **describe_fault(raised))
        return ImageError(Reason.INTERNAL_ERROR, f"the adapter of {name} has a fault; see the log")

    def _call(self, record: AttemptRecord, number: int, key: Secret | None) -> Call:
        return Call(
            deadline=min(time.monotonic() + self._entry.timeout, self._generation.deadline or math.inf),
            log=structlog.get_logger(
                "imagegen.generation", provider=self._entry.name, generation_id=self._generation.id
            ),
            accepted=record.accept,
            http=self._entry.http,
            key=key,
            number=number,
            fetch=self._fetch,
            idempotency_key=self._idempotency_key(number),
        )

    def _idempotency_key(self, number: int) -> str:
        """Name an attempt. After a restart of this server a caller's own request_id leads to the same name again."""
        caller, request_id = self._generation.caller, self._generation.request_id
        attempt = json.dumps([caller, request_id, self._first_index, self._candidate.model, number])
        return hashlib.sha256(attempt.encode()).hexdigest()[:32]

    async def _fetch(self, url: str) -> bytes:
        return await self._run.tools.fetch_result(self._entry, url)

    def _end(self, error: ImageError | None) -> None:
        """Close the attempt that runs; `error` None = every image has its end."""
        if self._ended:
            return
        self._ended = True
        if error is not None and not self._arrivals.complete:
            if self._record is not None:
                error = self._record.judge(error)
            elif error.billed is Billed.UNKNOWN and all(attempt.billed is Billed.NO for attempt in self.attempts):
                # Stopped while it waited: nothing that costs was sent.
                error = error.with_billed(Billed.NO)
            self.error = error
        if self._record is not None:
            self._close(self._record, self.error)
        if self.error is not None:
            self.error = self._arrivals.billed_in_all(self.error)
        self._arrivals.close()
        if self._last_resort or self.shown:
            self.settle()

    def _waits(self, position: int) -> None:
        self._queued = True
        self._arrivals.progress(Progress(Phase.QUEUED, queue_position=position, model=self._candidate.model))

    def _tell(self, phase: Phase, message: str = "") -> None:
        self._arrivals.progress(Progress(phase, model=self._candidate.model, message=message))
