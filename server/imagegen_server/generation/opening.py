"""How a wish becomes a generation: admitted, planned, counted, and not yet begun."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.domain.events import Started
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Wish

from .admission import Admission, Ticket, estimate_image_bytes
from .caller_limits import CallerLimits
from .generation import Generation, Work, do_nothing
from .inputs import Inputs
from .log import Log
from .middleware import Context
from .plan import Plan, Planner
from .run import Tools
from .store import Reservation

SHORTEST_DEADLINE_SECONDS = 1.0
"""A call with less time than this left is refused before anything is spent."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a caller wants a generation to be held, beside what is to be drawn.

    `request_id` "" = the server makes one. `detach` None = if there is a request_id. `deadline` is when the caller
    waits no longer, on the event loop's clock; None = as long as it takes. `with_bytes`: the caller wants the bytes of
    the images.
    """

    request_id: str = ""
    detach: bool | None = None
    streaming: bool = False
    deadline: float | None = None
    with_bytes: bool = True

    @property
    def detached(self) -> bool:
        """It goes on when nobody reads it."""
        return bool(self.request_id) if self.detach is None else self.detach


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller wants. `violations` and `warnings` are what reading the request has found already."""

    wish: Wish
    caller: Caller
    terms: Terms
    violations: Sequence[Violation] = ()
    warnings: Sequence[Warning] = ()


class Opener:
    """Opens generations."""

    def __init__(
        self, planner: Planner, admission: Admission, limits: CallerLimits, inputs: Inputs, tools: Tools
    ) -> None:
        """Be wired by the app."""
        self._planner = planner
        self._admission = admission
        self._limits = limits
        self._inputs = inputs
        self._tools = tools

    async def open(self, generation_id: str, request_id: str, order: Order) -> Generation:
        """Admit and plan a generation. It stands in its log as started; nothing is spent.

        :raises ImageError: SERVER_BUSY, DEADLINE_TOO_SHORT, CALLER_LIMIT_EXCEEDED, or as Inputs.resolve, Planner.plan
            and a middleware
        """
        wish, caller, terms = order.wish, order.caller, order.terms
        context = Context(
            operation=wish.operation,
            model=wish.model,
            provider="",
            streaming=terms.streaming,
            caller=caller.name,
            generation_id=generation_id,
            request_id=request_id,
            request=wish,
        )
        held = _Held(self._admission.admit(wish.input_bytes))
        started = False
        try:
            wrong = list(order.violations)
            held.release_caller = await self._limits.admit(caller)
            if wish.references:
                # Nothing is fetched for somebody who may not use the model.
                self._planner.names.choose(wish, caller, list(wrong))
            context.request = await self._inputs.resolve(wish, caller.name, held.ticket, wrong)
            if not wrong:
                before = context.request
                await self._tools.middleware.start(context)
                started = True
                await self._take_changed(context, before, held.ticket, wrong)
            plan = await self._planner.plan(context.request, wrong, order.warnings, caller)
            context.model, context.provider = plan.first.model, plan.first.entry.name
            reservation = await self._admit(plan, caller, terms, held)
        except BaseException as problem:
            held.release()
            if started:
                await self._tell_refusal(context, problem)
            raise
        return self._begin(context, plan, terms, held, reservation)

    async def discard(self, generation: Generation) -> None:
        """Give up a generation that was opened and is never launched."""
        work, generation.work = generation.work, None
        if work is None:
            return
        work.reservation.release()
        generation.ticket.release()
        generation.release_caller()
        await self._tools.middleware.refuse(work.context, _left(), aborted=True)

    async def _take_changed(self, context: Context, before: Wish, ticket: Ticket, wrong: list[Violation]) -> None:
        """Count and fetch alike what the middleware has put in the place of the request."""
        if context.request is not before:
            ticket.add(context.request.input_bytes - before.input_bytes)
            context.request = await self._inputs.resolve(context.request, context.caller, ticket, wrong)

    async def _tell_refusal(self, context: Context, problem: BaseException) -> None:
        """Tell the middleware, which has seen the start, that there will be no generation."""
        if isinstance(problem, ImageError):
            await self._tools.middleware.refuse(context, problem)
        elif isinstance(problem, asyncio.CancelledError):
            await self._tools.middleware.refuse(context, _left(), aborted=True)
        else:
            fault = ImageError(Reason.INTERNAL_ERROR, "a fault of this server", billed=Billed.NO)
            await self._tools.middleware.refuse(context, fault)

    async def _admit(self, plan: Plan, caller: Caller, terms: Terms, held: "_Held") -> Reservation:
        """Count what the plan will take, before anything is spent."""
        tasks = [candidate.task for candidate in plan.candidates]
        image_bytes = max(estimate_image_bytes(task) * task.count for task in tasks)
        count = max(task.count for task in tasks)
        deadline = None if terms.detached else terms.deadline
        _require_time(deadline, plan.first.model)
        self._require_a_queue(plan)
        held.ticket.grow(image_bytes)
        reservation = await self._tools.store.reserve(image_bytes)
        try:
            # Whatever came before may have waited for its turn.
            _require_time(deadline, plan.first.model)
            # Last, because images asked for count for a minute even if the call is refused.
            await self._limits.ask_for(caller, count)
        except BaseException:
            reservation.release()
            raise
        return reservation

    def _require_a_queue(self, plan: Plan) -> None:
        """See that one of the models can still be waited for.

        :raises ImageError: SERVER_BUSY
        """
        full: ImageError | None = None
        for candidate in plan.candidates:
            try:
                self._tools.upstreams[candidate.entry.name].queue.require_room()
            except ImageError as error:
                full = full or error
            else:
                return
        if full is not None:
            raise full

    def _begin(self, context: Context, plan: Plan, terms: Terms, held: "_Held", reservation: Reservation) -> Generation:
        first, ticket = plan.first, held.ticket
        generation = Generation(
            id=context.generation_id,
            request_id=context.request_id,
            caller=context.caller,
            model=first.model,
            count=first.task.count,
            log=Log(on_preview_dropped=lambda size: ticket.add(-size)),
            ticket=ticket,
            start_time=time.monotonic(),
            detached=terms.detached,
            work=Work(plan, context, reservation),
            release_caller=held.release_caller,
        )
        generation.log.append(Started(generation.id, generation.request_id, first.model, first.warnings))
        return generation


@dataclass(slots=True)
class _Held:
    """What a call holds while it is being opened."""

    ticket: Ticket
    release_caller: Callable[[], None] = do_nothing

    def release(self) -> None:
        self.ticket.release()
        self.release_caller()


def _left() -> ImageError:
    return ImageError(Reason.CANCELLED, "the caller has left before the generation began", billed=Billed.NO)


def _require_time(deadline: float | None, model: str) -> None:
    if deadline is None or (left := deadline - time.monotonic()) >= SHORTEST_DEADLINE_SECONDS:
        return
    raise ImageError(
        Reason.DEADLINE_TOO_SHORT,
        f"{max(left, 0):.2f} s of the deadline are left; it takes at least {SHORTEST_DEADLINE_SECONDS:g} s",
        metadata={"model": model},
    )
