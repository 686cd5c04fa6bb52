"""Middleware: code of the operator's that sees every generation, and may change what is asked and what is answered.

Hooks run once per generation and before its log, so that every reader sees the same, whichever form was called.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeAlias

import structlog

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.result import ImageResult
from imagegen_server.domain.task import Operation, Wish

from .faults import describe_fault, forget_frames
from .hook_rules import StreamEvent, WrongAnswer, answered_events, answered_request, answered_response

__all__ = ["Chain", "Context", "EventAnswer", "Middleware", "StreamEvent"]

HOOK_SECONDS = 10.0
"""How long one hook may take."""

EventAnswer: TypeAlias = StreamEvent | Sequence[StreamEvent] | None

_logger = structlog.get_logger("imagegen.middleware")


@dataclass(slots=True, eq=False)
class Context:
    """What hooks know of a generation; one object for all hooks of all middleware.

    `model` is what was asked, and "provider/model" once it is planned; `provider` is "" until then. `streaming`: a
    stream form was called. `request` is what will be planned: on_request may put another in its place. `response` is
    there for on_response and on_end, `failure` for on_error and on_abort, except where the call was refused before
    anything was spent. `aborted`: it was cancelled, or every reader left; a response is there all the same if images
    were finished by then. `dry_run`: Explain asks what would be sent; there is no generation, and on_abort ends it.
    `state` belongs to the hooks. Times in UTC; `end_time` is set before on_stream_end.
    """

    operation: Operation
    model: str
    provider: str
    streaming: bool
    caller: str
    generation_id: str
    request_id: str
    request: Wish = field(repr=False)
    response: ImageResult | None = field(default=None, repr=False)
    failure: Broken | None = field(default=None, repr=False)
    aborted: bool = False
    dry_run: bool = False
    state: dict[str, Any] = field(default_factory=dict, repr=False)
    start_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    end_time: datetime | None = None
    _clock: float = field(default_factory=time.monotonic, init=False, repr=False)

    def end_now(self) -> bool:
        """Note the end; False = it was noted before. For the chain alone."""
        if self.end_time is not None:
            return False
        # Not the clock on the wall, which somebody may have set meanwhile.
        self.end_time = self.start_time + timedelta(seconds=time.monotonic() - self._clock)
        return True


class Middleware:
    """One middleware under one name of the configuration. Override the hooks that are needed, with `async def`.

    A generation ends in exactly one way: on_response and on_end, if it made an image, cancelled or not; on_abort, if it
    made none because it was cancelled or every reader left; on_error, if it made none for any other reason. Hooks of
    several generations, and on_stream_event of several images, may be under way at the same time.
    """

    def __init__(self, name: str) -> None:
        """Stand under `name` in the configuration."""
        self.name = name

    never_waits: ClassVar[bool] = False
    """Its hooks on_end, on_error, on_abort and on_stream_end await nothing that takes time: they need no task of their
    own, which costs more than a log line."""

    async def on_start(self, context: Context) -> None:
        """See a generation before anything else, in list order.

        :raises ImageError: the call is refused with it; nothing was spent
        """

    async def on_request(self, context: Context) -> None:
        """See the request before it is planned, in list order after every on_start; replace it in `context.request`.

        :raises ImageError: the call is refused with it; nothing was spent
        """

    async def on_response(self, context: Context) -> None:
        """See the result, in reverse order; replace it in `context.response`.

        Images cannot be added, dropped or exchanged here, and what was spent stays as it is.
        """

    async def on_end(self, context: Context) -> None:
        """See the end of a generation that made at least one image, in reverse order after every on_response."""

    async def on_error(self, context: Context, error: ImageError) -> None:
        """See why a generation made no image, or was refused, in list order."""

    async def on_abort(self, context: Context) -> None:
        """See that a generation was cancelled before it made an image, in list order."""

    async def on_stream_event(self, context: Context, event: StreamEvent) -> EventAnswer:  # noqa: ARG002
        """Let an event pass, in list order: return it, another, several, or None to drop it.

        Indices are those of the whole generation. A Complete may be exchanged for one with the same index, not dropped;
        a Failed goes on as it is. Progress and Preview may be exchanged, dropped, and added to any event.
        """
        return event

    async def on_stream_end(self, context: Context) -> None:
        """See that no event follows, in list order, whatever the outcome. Not called for a call that was refused."""

    async def close(self) -> None:
        """Let go of connections and threads. Called once, when the server stops."""


_HOOKS = (
    "on_start",
    "on_request",
    "on_response",
    "on_end",
    "on_error",
    "on_abort",
    "on_stream_event",
    "on_stream_end",
)


class Chain:
    """The middleware of a server, in the order of its configuration."""

    def __init__(self, middleware: Sequence[Middleware] = (), hook_seconds: float = HOOK_SECONDS) -> None:
        """Find out who has which hook; a hook that nobody has costs nothing.

        :raises TypeError: a hook is no `async def`
        """
        self.names = tuple(one.name for one in middleware)
        self._all = tuple(middleware)
        self._seconds = hook_seconds
        self._with = {hook: tuple(one for one in middleware if _overrides(one, hook)) for hook in _HOOKS}
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def sees_events(self) -> bool:
        """Anybody has on_stream_event; if not, events need not come by."""
        return bool(self._with["on_stream_event"])

    async def start(self, context: Context) -> None:
        """Run on_start of all, then on_request of all. What is to be planned is `context.request` after it.

        :raises ImageError: one of them refuses the call, which is billed NO, or has a fault: INTERNAL_ERROR
        """
        try:
            for one in self._with["on_start"]:
                await self._begin(one, "on_start", one.on_start, context)
            for one in self._with["on_request"]:
                await self._begin(one, "on_request", one.on_request, context)
        except ImageError as error:
            await self.refuse(context, error)
            raise
        except asyncio.CancelledError:
            # The caller has left and waits for nothing.
            self._keep(asyncio.create_task(self._abort(context)))
            raise

    async def refuse(self, context: Context, error: ImageError, *, aborted: bool = False) -> None:
        """Tell all that a call ends before its generation began: by on_error, or on_abort if it was `aborted`."""
        if aborted:
            await self._abort(context)
        elif context.end_now():
            await self._tell_error(context, error)

    async def event(self, context: Context, event: StreamEvent) -> Sequence[StreamEvent]:
        """Let an event pass through all; what comes out goes into the log.

        A Complete always comes out, with an image in it, and a Failed comes out as it went in: whoever drops one, sends
        garbage, raises or takes too long is logged and passed by.
        """
        events: list[StreamEvent] = [event]
        for one in self._with["on_stream_event"]:
            events = [after for before in events for after in await self._pass(one, context, before)]
        return events

    async def end(self, context: Context, outcome: Finished | Broken, *, aborted: bool) -> Finished | Broken:
        """Run what belongs to the end; returns what the caller gets. The first call for a generation counts.

        `aborted`: it was cancelled, or every reader left.
        """
        if not context.end_now():
            return outcome
        context.aborted = aborted
        for one in self._with["on_stream_end"]:
            await self._tell(one, "on_stream_end", one.on_stream_end, context)
        if isinstance(outcome, Finished):
            return Finished(await self._respond(context, outcome.result))
        context.failure = outcome
        if aborted:
            await self._tell_abort(context)
        else:
            await self._tell_error(context, outcome.error)
        return outcome

    async def close(self) -> None:
        """Close all, whatever one of them raises, after hooks that are still under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._seconds)
        for one in self._all:
            await self._tell(one, "close", one.close)

    async def _begin(
        self, one: Middleware, hook: str, call: Callable[[Context], Coroutine[Any, Any, None]], context: Context
    ) -> None:
        request = context.request
        try:
            await self._within_time(call(context))
            context.request = answered_request(request, context.request)
        except ImageError as error:
            raise error.with_billed(Billed.NO) from None
        except Exception as fault:  # noqa: BLE001 - whatever it is, nothing was spent and the caller is told
            self._report(one, hook, context, fault)
            raise ImageError(
                Reason.INTERNAL_ERROR,
                f"the middleware {one.name} has a fault in {hook}; the server's log has the details",
                billed=Billed.NO,
            ) from None

    async def _pass(self, one: Middleware, context: Context, event: StreamEvent) -> Sequence[StreamEvent]:
        try:
            return answered_events(event, await self._within_time(one.on_stream_event(context, event)))
        except Exception as fault:  # noqa: BLE001 - an image is worth more than a hook
            self._report(one, "on_stream_event", context, fault)
            return (event,)

    async def _respond(self, context: Context, result: ImageResult) -> ImageResult:
        for one in reversed(self._with["on_response"]):
            context.response = result
            try:
                await self._within_time(one.on_response(context))
                result = answered_response(result, context.response)
            except Exception as fault:  # noqa: BLE001 - an image is worth more than a hook
                self._report(one, "on_response", context, fault)
        for one in reversed(self._with["on_end"]):
            context.response = result
            await self._tell(one, "on_end", one.on_end, context)
        context.response = result
        return result

    async def _abort(self, context: Context) -> None:
        if context.end_now():
            context.aborted = True
            await self._tell_abort(context)

    async def _tell_abort(self, context: Context) -> None:
        for one in self._with["on_abort"]:
            await self._tell(one, "on_abort", one.on_abort, context)

    async def _tell_error(self, context: Context, error: ImageError) -> None:
        for one in self._with["on_error"]:
            await self._tell(one, "on_error", one.on_error, context, error)

    async def _tell(
        self, one: Middleware, hook: str, call: Callable[..., Coroutine[Any, Any, None]], *arguments: Any
    ) -> None:
        """Run a hook that can change nothing any more: what it raises is logged."""
        try:
            if one.never_waits:
                _at_once(call(*arguments))
            else:
                await self._within_time(call(*arguments))
        except Exception as fault:  # noqa: BLE001 - the others have to be told too
            self._report(one, hook, arguments[0] if arguments else None, fault)

    async def _within_time(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a hook in a task of its own: one that does not even let itself be cancelled is left behind.

        :raises WrongAnswer: it took too long, or cancelled itself
        """
        task = asyncio.create_task(work)
        self._keep(task)
        try:
            await asyncio.wait((task,), timeout=self._seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            raise WrongAnswer(f"took longer than {self._seconds:g} s")
        if task.cancelled():
            raise WrongAnswer("cancelled itself")
        return task.result()

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # said to be seen, also of a hook that was left behind

    def _report(self, one: Middleware, hook: str, context: Context | None, fault: Exception) -> None:
        ids = {} if context is None else {"generation_id": context.generation_id, "request_id": context.request_id}
        what = {"problem": str(fault)} if isinstance(fault, WrongAnswer) else describe_fault(fault)
        _logger.error("middleware fault", middleware=one.name, hook=hook, **ids, **what)
        forget_frames(fault)


def _overrides(one: Middleware, hook: str) -> bool:
    method = getattr(one, hook)
    if getattr(method, "__func__", None) is getattr(Middleware, hook):
        return False
    if not inspect.iscoroutinefunction(method):
        raise TypeError(f"{hook} must be written with async def, and without yield")
    return True


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run a hook that awaits nothing.

    :raises WrongAnswer: it does
    """
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise WrongAnswer("waits, although it says that it never does")
