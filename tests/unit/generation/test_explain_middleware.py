"""Explain and middleware: it decides what is shown, and is told that nothing begins."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.generation.middleware import Context, Middleware
from imagegen_server.providers.base import Call
from imagegen_server.telemetry.generation_log import GenerationLog

from tests.support.explaining import asked, remote
from tests.support.generation import CALLER, drawing, workshop
from tests.support.provider import ScriptedProvider


class Styled(Middleware):
    """Changes what is asked, and notes what it is told."""

    def __init__(self, refusal: ImageError | None = None) -> None:
        """Stand there; refuse with `refusal`."""
        super().__init__("styled")
        self.lines: list[str] = []
        self._refusal = refusal

    def _note(self, hook: str, context: Context) -> None:
        assert context.dry_run
        assert (context.generation_id, context.request_id, context.caller) == ("", "", CALLER.name)
        self.lines.append(f"{hook} {context.model}")

    async def on_start(self, context: Context) -> None:
        """Note it."""
        self._note("start", context)

    async def on_request(self, context: Context) -> None:
        """Put other words in."""
        self._note("request", context)
        if self._refusal:
            raise self._refusal
        context.request = replace(context.request, prompt=f"{context.request.prompt}, in oil")

    async def on_abort(self, context: Context) -> None:
        """Note it."""
        self._note("abort", context)

    async def on_error(self, context: Context, error: ImageError) -> None:
        """Note it."""
        self._note(f"error {error.reason.name}", context)

    async def on_response(self, context: Context) -> None:
        """Note it."""
        self._note("response", context)

    async def on_stream_end(self, context: Context) -> None:
        """Note it."""
        self._note("stream end", context)


async def test_middleware_decides_what_would_be_sent() -> None:
    """Its request is shown, and what it began is ended as an abort, told to be a dry run."""
    styled = Styled()
    (call,) = await asked(remote(), middleware=[styled], aliases={"draft": ["test/any"]}).explained(drawing("draft"))

    assert json.loads(call.body)["prompt"] == "a boat, in oil"
    assert styled.lines == ["start draft", "request draft", "abort test/any"]


async def test_middleware_that_refuses_is_heard() -> None:
    """In its own words, and it is told of an error as in any call."""
    styled = Styled(ImageError(Reason.INVALID_REQUEST, "not in this house"))
    with pytest.raises(ImageError, match="not in this house") as caught:
        await workshop(middleware=[styled]).explained()

    assert caught.value.billed is Billed.NO
    assert styled.lines == ["start test/any", "request test/any", "error INVALID_REQUEST test/any"]


async def test_middleware_hears_of_a_refusal_by_the_plan_once() -> None:
    """As an error, not as an abort besides."""
    styled = Styled()
    with pytest.raises(ImageError):
        await workshop(middleware=[styled]).explained(drawing("nobody/any"))

    assert styled.lines[2:] == ["error PROVIDER_NOT_CONFIGURED nobody/any"]


async def test_a_caller_that_leaves_ends_it() -> None:
    """The adapter is closed, the middleware is told, and nothing stays counted."""
    styled, begun = Styled(), asyncio.Event()

    async def waiting(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        begun.set()
        await asyncio.Event().wait()
        yield Complete(task.count, bytes(call.number))

    entry = remote(waiting)
    shop = asked(entry, middleware=[styled])
    running = asyncio.create_task(shop.explained())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert isinstance(entry.provider, ScriptedProvider)
    assert entry.provider.closed.is_set()
    assert styled.lines[-1].startswith("abort")
    assert shop.in_hand == (0, 0, 0)


async def test_the_log_has_no_line_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    """There was no generation, explained or refused."""
    log = GenerationLog("log")
    shop = workshop(middleware=[log])
    await shop.explained()
    with pytest.raises(ImageError):
        await shop.explained(drawing("nobody/any"))
    assert "generation" not in "".join(capfd.readouterr())

    await shop.run()
    assert "generation" in "".join(capfd.readouterr())
