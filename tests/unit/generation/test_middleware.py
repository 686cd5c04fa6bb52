"""The middleware of a generation: who is told what, in which order, and what they may change."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
import structlog
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Finished, Progress
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation
from imagegen_server.generation.middleware import Chain, Context, Middleware

from tests.support.generation import workshop
from tests.support.middleware import Notes, Noting, broken, context_of, finished, generated, wish


def pair() -> tuple[Chain, Notes]:
    """Make a chain of "a" and "b" that note all hooks."""
    notes = Notes()
    return Chain([Noting("a", notes), Noting("b", notes)]), notes


async def test_the_way_in_is_forward_and_the_way_out_reverse() -> None:
    """Every on_start, every on_request, the events, every on_stream_end; then back by on_response and on_end."""
    chain, notes = pair()
    context = context_of()

    await chain.start(context)
    await chain.event(context, Progress())
    await chain.end(context, finished(), aborted=False)

    assert notes.lines == [
        *("a on_start", "b on_start", "a on_request", "b on_request"),
        *("a on_stream_event Progress", "b on_stream_event Progress"),
        *("a on_stream_end", "b on_stream_end"),
        *("b on_response", "a on_response", "b on_end", "a on_end"),
    ]


@pytest.mark.parametrize(("aborted", "hook"), [(False, "on_error TIMEOUT"), (True, "on_abort")])
async def test_a_generation_without_images_fails_or_is_aborted(aborted: bool, hook: str) -> None:
    """Exactly one of both, in list order, after on_stream_end; nothing of success, and the failure is at hand."""
    chain, notes = pair()
    context = context_of()
    outcome = broken(Reason.TIMEOUT)

    assert await chain.end(context, outcome, aborted=aborted) is outcome

    assert notes.lines == ["a on_stream_end", "b on_stream_end", f"a {hook}", f"b {hook}"]
    assert (context.failure, context.response, context.aborted) == (outcome, None, aborted)


async def test_an_aborted_generation_with_images_is_a_success() -> None:
    """What was finished before the cancel is a response, and who looks can tell that there was one."""
    chain, notes = pair()
    context = context_of()

    await chain.end(context, finished(), aborted=True)

    assert notes.lines[2:] == ["b on_response", "a on_response", "b on_end", "a on_end"]
    assert context.aborted


@pytest.mark.parametrize("how", ["end", "refuse", "abort"])
async def test_a_generation_ends_once(how: str) -> None:
    """Whoever tells the end a second time is not heard, whichever the first was."""
    chain, notes = pair()
    context = context_of()
    outcome = broken()
    if how == "end":
        await chain.end(context, outcome, aborted=False)
    else:
        await chain.refuse(context, outcome.error, aborted=how == "abort")
    told, ended = list(notes.lines), context.end_time

    assert await chain.end(context, outcome, aborted=True) is outcome
    await chain.refuse(context, outcome.error)
    await chain.refuse(context, outcome.error, aborted=True)

    assert told
    assert notes.lines == told
    assert context.end_time == ended


async def test_the_end_has_a_time() -> None:
    """It is not before the start, and on_stream_end sees it."""
    seen: list[object] = []

    class Looking(Middleware):
        async def on_stream_end(self, context: Context) -> None:
            seen.append(context.end_time)

    context = context_of()
    await Chain([Looking("a")]).end(context, broken(), aborted=False)

    assert context.end_time is not None
    assert context.end_time >= context.start_time
    assert seen == [context.end_time]


async def test_the_state_is_one_for_all_hooks() -> None:
    """What one middleware leaves there the next one finds, in every hook of the generation, and no other one."""

    class Leaving(Middleware):
        async def on_start(self, context: Context) -> None:
            context.state["seen"] = ["start"]

    class Finding(Middleware):
        async def on_end(self, context: Context) -> None:
            context.state["seen"].append("end")

    chain = Chain([Leaving("a"), Finding("b")])
    first, second = context_of(), context_of()
    await chain.start(first)
    await chain.start(second)
    await chain.end(first, finished(), aborted=False)

    assert (first.state, second.state) == ({"seen": ["start", "end"]}, {"seen": ["start"]})


async def test_a_request_can_be_replaced() -> None:
    """The next on_request sees the new one, and it is what will be planned."""
    prompts: list[str] = []

    class Adding(Middleware):
        async def on_request(self, context: Context) -> None:
            prompts.append(context.request.prompt)
            context.request = replace(context.request, prompt=context.request.prompt + self.name)

    context = context_of()
    await Chain([Adding(", at dusk"), Adding(", in oil")]).start(context)

    assert prompts == ["a boat", "a boat, at dusk"]
    assert context.request.prompt == "a boat, at dusk, in oil"


@pytest.mark.parametrize("hook", ["on_start", "on_request"])
async def test_a_middleware_can_refuse_a_call(hook: str) -> None:
    """With its own error, which is free whatever it says; all hear of it, also those that had not begun."""
    notes = Notes()

    class Refusing(Noting):
        async def refuse(self, _: Context) -> None:
            raise ImageError(Reason.CONTENT_FILTERED, "not that word", billed=Billed.YES)

    refusing = Refusing("b", notes)
    setattr(refusing, hook, refusing.refuse)
    context = context_of()

    with pytest.raises(ImageError) as raised:
        await Chain([Noting("a", notes), refusing, Noting("c", notes)]).start(context)

    assert (raised.value.reason, raised.value.message, raised.value.billed) == (
        Reason.CONTENT_FILTERED,
        "not that word",
        Billed.NO,
    )
    assert notes.lines[-3:] == [f"{name} on_error CONTENT_FILTERED" for name in "abc"]
    assert f"c {hook}" not in notes.lines
    assert "a on_stream_end" not in notes.lines
    assert context.failure is None


async def test_a_call_that_is_left_while_a_hook_thinks_is_aborted() -> None:
    """The hook is cancelled, and on_abort of all runs although nobody waits."""
    notes, thinks, stopped = Notes(), asyncio.Event(), asyncio.Event()

    class Thinking(Noting):
        async def on_request(self, context: Context) -> None:  # noqa: ARG002 - the signature of a hook
            thinks.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

    chain = Chain([Thinking("a", notes)])
    call = asyncio.create_task(chain.start(context_of()))
    await thinks.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await stopped.wait()
    await chain.close()

    assert notes.lines == ["a on_start", "a on_abort", "a close"]


async def test_a_response_can_be_replaced() -> None:
    """What on_response leaves is what the caller gets, with what each image and the result say beside the bytes."""

    class Stamping(Middleware):
        async def on_response(self, context: Context) -> None:
            assert context.response is not None
            images = tuple(
                replace(image, seed=7, revised_prompt="words", metadata={"stamp": {"by": self.name}})
                for image in context.response.images
            )
            warning = Warning("options.size", WarningReason.ADJUSTED, "was rounded")
            context.response = replace(
                context.response, images=images, warnings=(warning,), metadata={"stamp": {"day": "today"}}
            )

    context = context_of()
    outcome = await Chain([Stamping("a"), Noting("b", Notes())]).end(context, finished(), aborted=False)

    assert isinstance(outcome, Finished)
    assert outcome.result is context.response
    assert outcome.result.images == (generated(0, seed=7, revised_prompt="words", metadata={"stamp": {"by": "a"}}),)
    assert outcome.result.warnings == (Warning("options.size", WarningReason.ADJUSTED, "was rounded"),)
    assert outcome.result.metadata == {"stamp": {"day": "today"}}


async def test_on_end_sees_what_all_responses_made() -> None:
    """Also the last middleware, whose on_response came first; what it does to the response then counts no more."""
    seen: list[Any] = []

    class Ending(Middleware):
        async def on_end(self, context: Context) -> None:
            assert context.response is not None
            seen.append(context.response.metadata)
            context.response = None

    class Stamping(Middleware):
        async def on_response(self, context: Context) -> None:
            assert context.response is not None
            context.response = replace(context.response, metadata={"stamp": {}})

    outcome = await Chain([Stamping("a"), Ending("b"), Ending("c")]).end(context_of(), finished(), aborted=False)

    assert seen == [{"stamp": {}}, {"stamp": {}}]
    assert isinstance(outcome, Finished)
    assert outcome.result.metadata == {"stamp": {}}


async def test_the_hooks_of_an_edit_are_those_of_a_generate() -> None:
    """The operation is told, and nothing else differs."""
    chain, notes = pair()
    context = context_of(wish(operation=Operation.EDIT))

    await chain.start(context)
    await chain.end(context, finished(), aborted=False)

    assert context.operation is Operation.EDIT
    assert len(notes.lines) == 10


@pytest.mark.parametrize(("middleware", "sees"), [([], False), ([Middleware("a")], False)])
async def test_without_hooks_nothing_is_passed_by(middleware: list[Middleware], sees: bool) -> None:
    """A chain of nobody changes nothing, and events need not come to it."""
    chain = Chain(middleware)
    context, event, outcome = context_of(), Progress(), finished()

    await chain.start(context)

    assert chain.sees_events is sees
    assert await chain.event(context, event) == [event]
    assert await chain.end(context, outcome, aborted=False) == outcome


async def test_only_those_who_want_events_are_asked() -> None:
    """One of several is enough for events to come by."""
    notes = Notes()
    chain = Chain([Middleware("a"), Noting("b", notes)])

    await chain.event(context_of(), Progress())

    assert chain.sees_events
    assert notes.lines == ["b on_stream_event Progress"]


async def test_closing_closes_all() -> None:
    """In list order, each once."""
    chain, notes = pair()

    await chain.close()

    assert notes.lines == ["a close", "b close"]


@pytest.mark.parametrize("kind", ["plain", "yielding"])
def test_a_hook_that_cannot_be_awaited_is_refused_at_once(kind: str) -> None:
    """Before any call: a plain function, and one that yields."""

    class Wrong(Middleware):
        pass

    def plain(_self: Middleware, _context: Context) -> None:
        """Do nothing."""

    async def yielding(_self: Middleware, _context: Context) -> Any:
        yield

    cast("Any", Wrong).on_start = plain if kind == "plain" else yielding

    with pytest.raises(TypeError, match="on_start must be written with async def"):
        Chain([Wrong("a")])


def test_a_context_shows_no_prompt() -> None:
    """Whoever logs it logs neither prompt nor bytes."""
    assert "boat" not in repr(context_of(response=finished().result, failure=broken(), state={"prompt": "a boat"}))


async def test_a_hook_that_never_waits_needs_no_task() -> None:
    """It runs in the caller's own task; one that waits after all is logged and closed."""
    ran_in: list[asyncio.Task[Any] | None] = []

    class Quick(Middleware):
        never_waits = True

        async def on_end(self, _context: Context) -> None:
            ran_in.append(asyncio.current_task())

        async def on_stream_end(self, _context: Context) -> None:
            await asyncio.sleep(0)

    with structlog.testing.capture_logs() as lines:
        result = await workshop(middleware=[Quick("quick")]).result()

    assert result.images
    assert len(ran_in) == 1
    assert [(line["hook"], line["problem"]) for line in lines if line["event"] == "middleware fault"] == [
        ("on_stream_end", "waits, although it says that it never does")
    ]
