"""Middleware that raises, hangs or answers nonsense: the log hears of it, and no image is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
import structlog
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, Finished
from imagegen_server.domain.result import Cost, Usage, Warning, WarningReason
from imagegen_server.domain.task import Operation
from imagegen_server.generation.middleware import Chain, Context, Middleware

from tests.support.middleware import Notes, Noting, attempt, broken, context_of, finished, generated, result_of, wish
from tests.support.pictures import png

SOON = 0.02
"""A limit that a test waits for."""


async def raise_fault(*_: object) -> None:
    """Have a bug, and tell the prompt with it."""
    raise ValueError("a boat")


async def hang(*_: object) -> None:
    """Never come back."""
    await asyncio.Event().wait()


async def cling(*_: object) -> None:
    """Not even let oneself be cancelled, for a while."""
    for _round in range(3):
        try:
            await asyncio.sleep(SOON * 20)
        except asyncio.CancelledError:
            continue


async def cancel_itself(*_: object) -> None:
    """Raise what only others should."""
    raise asyncio.CancelledError


Trouble = Callable[..., Awaitable[None]]
TROUBLE: Mapping[Trouble, str] = {
    raise_fault: "ValueError",
    hang: f"took longer than {SOON:g} s",
    cling: f"took longer than {SOON:g} s",
    cancel_itself: "cancelled itself",
}


def with_trouble(hook: str, trouble: Trouble) -> tuple[Chain, Notes]:
    """Make a chain of three whose second has trouble in one hook."""
    notes = Notes()

    class Troubled(Noting):
        pass

    setattr(Troubled, hook, trouble)
    return Chain([Noting("a", notes), Troubled("b", notes), Noting("c", notes)], SOON), notes


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("hook", ["on_start", "on_request"])
async def test_a_fault_on_the_way_in_refuses_the_call_for_free(hook: str, trouble: Trouble) -> None:
    """INTERNAL_ERROR names the middleware; only the log has more, and that not the exception's text."""
    chain, notes = with_trouble(hook, trouble)

    with structlog.testing.capture_logs() as logs, pytest.raises(ImageError) as raised:
        await chain.start(context_of())
    await chain.close()

    assert (raised.value.reason, raised.value.billed) == (Reason.INTERNAL_ERROR, Billed.NO)
    assert raised.value.message == f"the middleware b has a fault in {hook}; the server's log has the details"
    (line,) = logs
    assert (line["middleware"], line["hook"], line["generation_id"]) == ("b", hook, "gen_abcdefgh_one")
    assert line.get("problem", line.get("exception")) == TROUBLE[trouble]
    assert "boat" not in str(logs)
    assert [line for line in notes.lines if "on_error" in line] == [f"{name} on_error INTERNAL_ERROR" for name in "abc"]


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("hook", ["on_stream_end", "on_response", "on_end"])
async def test_a_fault_on_the_way_out_loses_no_image(hook: str, trouble: Trouble) -> None:
    """The result stands, and everybody else is told."""
    chain, notes = with_trouble(hook, trouble)
    outcome = finished()

    with structlog.testing.capture_logs() as logs:
        assert await chain.end(context_of(), outcome, aborted=False) == outcome
    await chain.close()

    assert [(line["middleware"], line["hook"]) for line in logs] == [("b", hook)]
    assert [line for line in notes.lines if hook in line] == (
        [f"a {hook}", f"c {hook}"] if hook == "on_stream_end" else [f"c {hook}", f"a {hook}"]
    )
    assert notes.lines[-4] == "a on_end"


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("hook", ["on_error", "on_abort"])
async def test_a_fault_in_the_telling_of_a_failure_changes_nothing(hook: str, trouble: Trouble) -> None:
    """The failure stands, and the others are told."""
    chain, notes = with_trouble(hook, trouble)
    outcome = broken()

    with structlog.testing.capture_logs() as logs:
        assert await chain.end(context_of(), outcome, aborted=hook == "on_abort") is outcome
    await chain.close()

    assert [(line["middleware"], line["hook"]) for line in logs] == [("b", hook)]
    assert [line[:10] for line in notes.lines if hook in line] == [f"a {hook}", f"c {hook}"]


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_a_fault_keeps_no_event_back(trouble: Trouble) -> None:
    """A finished image goes on unchanged to the others."""
    chain, notes = with_trouble("on_stream_event", trouble)
    complete = Complete(0, png())

    with structlog.testing.capture_logs() as logs:
        events = await chain.event(context_of(), complete)
    await chain.close()

    assert events == [complete]
    assert [(line["middleware"], line["hook"]) for line in logs] == [("b", "on_stream_event")]
    assert notes.lines[:2] == ["a on_stream_event Complete", "c on_stream_event Complete"]


@pytest.mark.parametrize("trouble", [raise_fault, hang])
async def test_a_fault_in_closing_keeps_nobody_open(trouble: Trouble) -> None:
    """The others are closed."""
    chain, notes = with_trouble("close", trouble)

    with structlog.testing.capture_logs() as logs:
        await chain.close()

    assert notes.lines == ["a close", "c close"]
    assert [line["middleware"] for line in logs] == ["b"]


async def test_a_hook_that_hangs_is_cancelled() -> None:
    """It is told to stop when its time is over."""
    stopped = asyncio.Event()

    async def wait(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    chain, _ = with_trouble("on_end", wait)
    with structlog.testing.capture_logs():
        await chain.end(context_of(), finished(), aborted=False)

    await stopped.wait()


async def test_an_event_that_is_cancelled_cancels_the_hook() -> None:
    """Whoever ends a request ends what a hook does for it; that is no fault of the hook."""
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    notes = Notes()
    waiting = Noting("a", notes)
    waiting.on_stream_event = wait  # type: ignore[method-assign, assignment]
    request = asyncio.create_task(Chain([waiting]).event(context_of(), Complete(0, png())))
    await begun.wait()
    with structlog.testing.capture_logs() as logs:
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await stopped.wait()

    assert logs == []


@pytest.mark.parametrize("request_left", [None, "a boat", wish(operation=Operation.EDIT)])
async def test_a_request_that_is_none_refuses_the_call(request_left: object) -> None:
    """Nothing that is no request, or one for something else, comes to be planned."""

    class Wrong(Middleware):
        async def on_request(self, context: Context) -> None:
            context.request = request_left  # type: ignore[assignment]

    with structlog.testing.capture_logs() as logs, pytest.raises(ImageError) as raised:
        await Chain([Wrong("a")]).start(context_of())

    assert raised.value.reason is Reason.INTERNAL_ERROR
    assert "boat" not in str(logs)


BEFORE = result_of(generated(0), generated(2), usage=Usage(input_tokens=3))


@pytest.mark.parametrize(
    "left",
    [
        None,
        "result",
        replace(BEFORE, images=()),
        replace(BEFORE, images=BEFORE.images[:1]),
        replace(BEFORE, images=(*BEFORE.images, generated(3))),
        replace(BEFORE, images=BEFORE.images[::-1]),
        replace(BEFORE, images=(generated(1), generated(2))),
        replace(BEFORE, images=(generated(0, b"other bytes"), generated(2))),
        replace(BEFORE, images=cast("Any", None)),
        replace(BEFORE, images=cast("Any", ("one", "two"))),
        replace(BEFORE, generation_id="another"),
        replace(BEFORE, request_id="another"),
        replace(BEFORE, model="test/other"),
        replace(BEFORE, attempts=()),
        replace(BEFORE, attempts=(attempt(billed=Billed.NO),)),
        replace(BEFORE, failures=cast("Any", None)),
        replace(BEFORE, warnings=cast("Any", ("none",))),
        replace(BEFORE, warnings=(Warning("options.size", "adjusted", "was rounded"),)),  # type: ignore[arg-type]
    ],
)
async def test_a_response_that_says_something_else_does_not_count(left: object) -> None:
    """Images and what was spent stay; the fault is logged, and the next middleware sees what there was."""
    seen: list[Any] = []

    class Wrong(Middleware):
        async def on_response(self, context: Context) -> None:
            context.response = left  # type: ignore[assignment]

    class Next(Middleware):
        async def on_response(self, context: Context) -> None:
            seen.append(context.response)

    with structlog.testing.capture_logs() as logs:
        outcome = await Chain([Next("a"), Wrong("b")]).end(context_of(), Finished(BEFORE), aborted=False)

    assert outcome == Finished(BEFORE)
    assert seen == [BEFORE]
    assert [(line["middleware"], line["hook"]) for line in logs] == [("b", "on_response")]


async def test_what_a_response_says_beside_is_made_fit_to_be_told() -> None:
    """Metadata that is no JSON, seeds that are no numbers and usage that is none would break every reader."""

    class Odd(Middleware):
        async def on_response(self, context: Context) -> None:
            image = generated(0, seed="seven", revised_prompt=7, metadata={"odd": {"data": b"bytes"}, 3: None})
            context.response = replace(
                result_of(image),
                usage=Usage(input_tokens=True, cost=Cost(float("nan"), "USD")),
                metadata=None,  # type: ignore[arg-type]
                warnings=[Warning("options.size", WarningReason.ADJUSTED, "was rounded")],  # type: ignore[arg-type]
            )

    with structlog.testing.capture_logs() as logs:
        outcome = await Chain([Odd("a")]).end(context_of(), finished(), aborted=False)

    assert isinstance(outcome, Finished)
    assert outcome.result.images == (
        generated(0, seed=None, revised_prompt="7", metadata={"odd": {"data": "<bytes>"}, "3": {}}),
    )
    assert (outcome.result.usage, outcome.result.metadata, len(outcome.result.warnings)) == (Usage(), {}, 1)
    assert logs == []


async def test_what_a_hook_did_before_its_fault_does_not_count() -> None:
    """A response half made is none."""

    class Half(Middleware):
        async def on_response(self, context: Context) -> None:
            context.response = replace(result_of(), metadata={"half": {}})
            raise ValueError

    with structlog.testing.capture_logs():
        assert await Chain([Half("a")]).end(context_of(), finished(), aborted=False) == finished()
