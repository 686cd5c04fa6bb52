"""What would be sent, and to whom. An adapter tells it itself: it is run with a client that sends nothing."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Cost, Warning
from imagegen_server.domain.task import Task, Wish
from imagegen_server.http.client import HttpClient
from imagegen_server.http.recording import HIDDEN_KEY, NotSent, RecordingClient, UnsentRequest
from imagegen_server.http.redaction import digest_text, json_text
from imagegen_server.providers.base import Call, SelfConnected, Unsent

from .admission import Ticket
from .faults import describe_fault, forget_frames
from .inputs import Inputs
from .middleware import Context
from .plan import Candidate, Planner
from .run import Tools

RECORD_SECONDS = 10.0
"""How long an adapter may take to come to its first request."""

_logger = structlog.get_logger("imagegen.generation")


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """What would be sent to one candidate: the first of its `requests`, which differ in seed and count only.

    `method` and `url` "" = the provider is not reached by HTTP; `body` is then the task as JSON. `usual_seconds` is the
    median of this server's last requests, `cost` what the operator's prices say for all images; None = unknown.
    """

    model: str
    method: str
    url: str
    body: str
    requests: int
    warnings: tuple[Warning, ...]
    usual_seconds: float | None
    cost: Cost | None


class Explainer:
    """Tells what a wish would do. Nothing is sent to a provider, queued, reserved, stored or logged."""

    def __init__(self, planner: Planner, inputs: Inputs, tools: Tools) -> None:
        """Be wired by the app."""
        self._planner = planner
        self._inputs = inputs
        self._tools = tools

    async def explain(
        self,
        wish: Wish,
        caller: Caller,
        ticket: Ticket,
        violations: Sequence[Violation] = (),
        warnings: Sequence[Warning] = (),
    ) -> list[PlannedCall]:
        """Tell the calls of a wish, in the order in which they would be tried. `ticket` counts the inputs' bytes.

        Inputs are fetched, and middleware runs as for a call whose caller leaves before the generation begins:
        on_start and on_request, then on_abort, with `dry_run` in the context.

        :raises ImageError: as Inputs.resolve, Planner.plan and a middleware
        """
        wrong = list(violations)
        if wish.references:
            # Nothing is fetched for somebody who may not use the model.
            self._planner.names.choose(wish, caller, list(wrong))
        wish = await self._inputs.resolve(wish, caller.name, ticket, wrong)
        context = Context(
            operation=wish.operation,
            model=wish.model,
            provider="",
            streaming=bool(wish.options.preview_count),
            caller=caller.name,
            generation_id="",
            request_id="",
            request=wish,
            dry_run=True,
        )
        middleware = self._tools.middleware
        if not wrong:
            await middleware.start(context)
        try:
            plan = await self._planner.plan(context.request, wrong, warnings, caller)
            context.model, context.provider = plan.first.model, plan.first.entry.name
            return [await self._planned(candidate) for candidate in plan.candidates]
        except ImageError as error:
            if not wrong:
                await middleware.refuse(context, error)
            raise
        finally:
            if not wrong:
                await middleware.refuse(context, _nothing_sent(), aborted=True)

    async def _planned(self, candidate: Candidate) -> PlannedCall:
        task = candidate.batches[0][1]
        request = await self._unsent(candidate, task)
        return PlannedCall(
            model=candidate.model,
            method=request.method,
            url=request.url,
            body=request.body,
            requests=len(candidate.batches),
            warnings=candidate.warnings,
            usual_seconds=self._tools.durations.usual(candidate.model, task.operation),
            # Without anything that only an answer could tell.
            cost=candidate.price.estimate(None, candidate.task.count) if candidate.price else None,
        )

    async def _unsent(self, candidate: Candidate, task: Task) -> Unsent:
        """Write down the first request of a candidate; if there is none to be seen, its task."""
        entry = candidate.entry
        if isinstance(entry.provider, SelfConnected):
            return entry.provider.unsent(task, self._call(candidate))
        if entry.http is not None and (request := await self._recorded(candidate, task, entry.http)) is not None:
            return Unsent(request.method, request.url, await asyncio.to_thread(request.body))
        return Unsent("", "", _task_text(task))

    def _call(self, candidate: Candidate, http: HttpClient | None = None) -> Call:
        return Call(
            deadline=time.monotonic() + RECORD_SECONDS,
            log=_Silence(),
            accepted=_ignore,
            http=http,
            key=HIDDEN_KEY if self._tools.upstreams[candidate.entry.name].keys is not None else None,
        )

    async def _recorded(self, candidate: Candidate, task: Task, real: HttpClient) -> UnsentRequest | None:
        """Run an adapter up to its first request; None = it makes none, or not without its key."""
        entry, http = candidate.entry, RecordingClient(real)
        call = self._call(candidate, http)
        try:
            async with asyncio.timeout(RECORD_SECONDS), aclosing(entry.provider.run(task, call)) as events:
                async for _ in events:
                    pass
        except NotSent:
            pass
        except (Exception, BaseExceptionGroup) as fault:  # noqa: BLE001 - what an adapter does not tell, its task tells
            if http.request is None and not isinstance(fault, ImageError | TimeoutError):
                _logger.error("adapter fault", provider=entry.name, explaining=True, **describe_fault(fault))  # noqa: TRY400
            forget_frames(fault)
        return http.request


class _Silence:
    """A log that keeps nothing."""

    def info(self, event: str, **facts: object) -> None:
        """Keep nothing."""

    def debug(self, event: str, **facts: object) -> None:
        """Keep nothing."""


def _ignore(_request_id: str) -> None:
    """Nothing was accepted."""


def _nothing_sent() -> ImageError:
    return ImageError(Reason.CANCELLED, "it was only explained", billed=Billed.NO)


def _task_text(task: Task) -> str:
    """Write a task as JSON, with what is not set left out."""
    options = task.options
    told: dict[str, JsonValue] = {
        "operation": task.operation.value,
        "model": task.model,
        "prompt": task.prompt,
        "options": {name: _plain(getattr(options, name)) for name in options.given()},
        "params": dict(task.params),
    }
    if task.images:
        told["images"] = [digest_text(image.data) for image in task.images]
    if task.mask is not None:
        told["mask"] = digest_text(task.mask.data)
    return json_text(told)


def _plain(value: object) -> JsonValue:
    return value if isinstance(value, int | float) else str(value)
