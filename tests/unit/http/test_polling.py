"""Asking after work that a vendor has taken on, and calling it off."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import cast

import httpx
import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.http.answer import Answer
from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.polling import Farewells, Pace, Poller
from structlog.testing import capture_logs

from tests.support.virtual_time import run_in_virtual_time

Step = tuple[int, str] | tuple[int, str, str] | ImageError | None
"""Status, body and a Retry-After; trouble on the way; or None = never an answer."""


class Vendor:
    """Stands in for the client: answers one step after the other, the last one for ever; `times` of each question."""

    host = "vendor.example"

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.times: list[float] = []
        self.paths: list[str] = []

    def get(self, path: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Answer]:
        """See HttpClient."""
        assert headers == {"x-key": "k"}
        self.times.append(asyncio.get_running_loop().time())
        self.paths.append(path)
        return self._answer(self._steps.pop(0) if len(self._steps) > 1 else self._steps[0])

    @asynccontextmanager
    async def _answer(self, step: Step) -> AsyncGenerator[Answer, None]:
        if step is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(step, ImageError):
            raise step
        assert step is not None
        headers = {"content-type": "application/json", **({"retry-after": step[2]} if len(step) == 3 else {})}
        yield Answer(httpx.Response(step[0], content=step[1].encode(), headers=headers), self.host)

    @property
    def waits(self) -> list[float]:
        """Seconds before each question."""
        return [round(later - sooner, 3) for sooner, later in zip([1000.0, *self.times], self.times, strict=False)]


def _context(answer: Answer) -> ErrorContext:
    return ErrorContext("p", "vendor.example", answer.status, answer.headers, "", "")


def _error(context: ErrorContext, body: bytes) -> ImageError:
    return ImageError(Reason.INVALID_REQUEST, f"{context.status}: {body.decode()}")


def poller(vendor: Vendor, pace: Pace | None = None) -> Poller:
    """Ask this vendor."""
    return Poller(cast("HttpClient", vendor), {"x-key": "k"}, _context, _error, pace or Pace())


def told(vendor: Vendor, until: str, pace: Pace | None = None) -> list[str]:
    """Ask until the answer is `until`; list all answers."""

    async def ask() -> list[str]:
        bodies: list[str] = []
        async with aclosing(poller(vendor, pace).answers("/job/1")) as answers:
            async for answer in answers:
                bodies.append(answer.body.decode())
                assert answer.media_type == "application/json"
                if bodies[-1] == until:
                    break
        return bodies

    return run_in_virtual_time(ask())


def test_every_answer_is_told_at_a_slowing_pace() -> None:
    """Waits grow by the factor up to the longest, and asking ends when the caller has what he wants."""
    vendor = Vendor((200, "a"), (202, "b"), (200, "c"), (200, "d"), (200, "done"))
    assert told(vendor, "done", Pace(first=1, factor=2, longest=3)) == ["a", "b", "c", "d", "done"]
    assert vendor.waits == [1, 2, 3, 3, 3]
    assert set(vendor.paths) == {"/job/1"}


@pytest.mark.parametrize(
    "trouble",
    [
        ImageError(Reason.NETWORK_ERROR, "cut"),
        (500, "oops"),
        (502, "proxy"),
        (429, "slow down"),
        (408, "late"),
        (404, "not yet"),
        None,
    ],
)
def test_trouble_that_passes(trouble: Step) -> None:
    """A broken connection, a hanging question, an overload or a first 404 lose nothing of what is paid for."""
    assert told(Vendor(trouble, (200, "done")), "done") == ["done"]


def test_a_wait_is_obeyed() -> None:
    """Retry-After is waited for, up to the patience."""
    vendor = Vendor((429, "slow down", "7"), (503, "closed", "9999"), (200, "done"))
    assert told(vendor, "done", Pace(first=1, factor=1, patience=20)) == ["done"]
    assert vendor.waits == [1, 7, 20]


@pytest.mark.parametrize("status", [400, 401, 403, 410, 422])
def test_a_refusal_ends_it_at_once(status: int) -> None:
    """What the vendor says is raised, and as the work itself may be paid for, so is that."""
    vendor = Vendor((status, "no"))
    with pytest.raises(ImageError, match=f"{status}: no") as raised:
        told(vendor, "done")
    assert (raised.value.billed, raised.value.http_status) == (Billed.UNKNOWN, status)
    assert len(vendor.times) == 1


def test_work_that_is_not_there() -> None:
    """So many 404 in a row are believed; one between others is not."""
    vendor = Vendor((404, ""), (404, ""), (200, "a"), (404, ""), (404, ""), (404, ""))
    with pytest.raises(ImageError) as raised:
        told(vendor, "done", Pace(not_found=3))
    assert raised.value.http_status == 404
    assert len(vendor.times) == 6


def test_trouble_that_lasts() -> None:
    """The last trouble is raised when it has lasted longer than the patience, however it is spelt."""
    vendor = Vendor((200, "a"), (500, "oops"))
    with pytest.raises(ImageError, match="500: oops"):
        told(vendor, "done", Pace(first=1, factor=1, longest=1, patience=10))
    assert vendor.times[-1] - vendor.times[0] == 11


def test_a_refusal_that_tells_of_the_work() -> None:
    """Where the adapter knows its body, it is an answer whatever its status; another body of that status is none."""

    async def ask() -> list[tuple[int, str]]:
        vendor = Vendor((422, "failed: blurred"), (422, "what?"))
        knowing = Poller(
            cast("HttpClient", vendor), {"x-key": "k"}, _context, _error, tells=lambda body: body.startswith(b"failed")
        )
        return [(told.context.status, told.body.decode()) async for told in knowing.answers("/job/1")]

    with pytest.raises(ImageError, match="422: what"):
        run_in_virtual_time(ask())


def test_a_wait_in_the_body_is_obeyed() -> None:
    """What `error_of` has read there counts where no header says it."""

    async def ask() -> list[float]:
        def error_of(context: ErrorContext, body: bytes) -> ImageError:
            return ImageError(Reason.RATE_LIMITED, body.decode(), retry_after=9.0)

        vendor = Vendor((429, "slow down"), (429, "slow down", "4"), (200, "done"))
        poller = Poller(cast("HttpClient", vendor), {"x-key": "k"}, _context, error_of, Pace(first=1, factor=1))
        async with aclosing(poller.answers("/job/1")) as answers:
            async for _ in answers:
                break
        return vendor.waits

    assert run_in_virtual_time(ask()) == [1, 9, 4]


def test_a_question_takes_as_long_as_it_may() -> None:
    """The adapter knows how long an answer with pictures may take; the next question comes after it."""

    async def ask() -> list[float]:
        vendor = Vendor(None, (200, "done"))
        patient = Poller(cast("HttpClient", vendor), {"x-key": "k"}, _context, _error, Pace(1, 1), seconds=90)
        async with aclosing(patient.answers("/job/1")) as answers:
            async for _ in answers:
                break
        return vendor.waits

    assert run_in_virtual_time(ask()) == [1, 91]


def test_an_answer_without_end() -> None:
    """More than the most bytes is no passing trouble."""

    async def ask() -> None:
        few = Poller(cast("HttpClient", Vendor((200, "x" * 11))), {"x-key": "k"}, _context, _error, most_bytes=10)
        async for _ in few.answers("/job/1"):
            pytest.fail("it was told")

    with pytest.raises(ImageError, match="longer than 10 bytes"):
        run_in_virtual_time(ask())


def test_a_farewell_goes_on_without_whoever_said_it() -> None:
    """It is sent after its sayer was cancelled, and closing waits for it."""

    async def leave() -> list[str]:
        said: list[str] = []
        farewells = Farewells("p")

        async def call_off() -> None:
            await asyncio.sleep(1)
            said.append("cancelled")

        async def work() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                farewells.say(call_off())

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await farewells.close()
        return said

    assert run_in_virtual_time(leave()) == ["cancelled"]


@pytest.mark.parametrize("trouble", [ImageError(Reason.NETWORK_ERROR, "cut"), None])
def test_a_farewell_that_fails_is_logged(trouble: ImageError | None) -> None:
    """Nobody waits for it, so the log says what became of it; one that hangs is given up."""

    async def leave() -> None:
        farewells = Farewells("p")

        async def call_off() -> None:
            if trouble is not None:
                raise trouble
            await asyncio.get_running_loop().create_future()

        farewells.say(call_off())
        await farewells.close()

    with capture_logs() as logs:
        run_in_virtual_time(leave())
    reason = "NETWORK_ERROR" if trouble else "TIMEOUT"
    assert logs == [{"event": "work not called off", "provider": "p", "reason": reason, "log_level": "warning"}]
