"""What went wrong holds no answer: bytes go at once, not when the garbage collector happens to come by."""

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Iterator

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Finished, ProviderEvent
from imagegen_server.domain.task import Task
from imagegen_server.generation import arrivals
from imagegen_server.generation.faults import forget_frames
from imagegen_server.providers.base import Call

from tests.support.generation import ScriptedWorkshop, events_of, workshop
from tests.support.pictures import png


class _Body(bytearray):
    """Bytes whose end can be seen."""


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Leave everything to reference counts."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
async def test_a_failed_request_lets_go_of_its_answer() -> None:
    """The frames in which an adapter read the answer are gone with the generation."""
    bodies: list[weakref.ref[_Body]] = []

    async def reads_and_fails(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        body = _Body(1000)
        bodies.append(weakref.ref(body))
        raise ImageError(Reason.INVALID_RESPONSE, "no JSON")
        yield Complete(0, bytes(body))

    await _run(workshop(reads_and_fails))

    assert [body() for body in bodies] == [None]


@pytest.mark.usefixtures("without_collector")
async def test_a_fault_that_a_library_keeps_holds_no_frames() -> None:
    """A cause that stands beside what was received, as in aiohttp's reader, does not hold it through its frames."""
    bodies: list[weakref.ref[_Body]] = []

    class Reader:
        fault: Exception | None = None

        def read(self) -> None:
            body = _Body(1000)
            bodies.append(weakref.ref(body))
            self.fault = OSError("lost")
            raise self.fault

    async def is_cut_off(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
        try:
            Reader().read()
        except OSError as error:
            raise ImageError(Reason.NETWORK_ERROR, "lost") from error
        yield Complete(0, png())

    await _run(workshop(is_cut_off))

    assert [body() for body in bodies] == [None]


@pytest.mark.usefixtures("without_collector")
async def test_a_stop_while_an_image_is_stored_lets_go_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cancellation that waited for the image keeps neither it nor the log in which it stands."""
    reached, release = asyncio.Event(), asyncio.Event()

    async def slow(_: bytes) -> str:
        reached.set()
        await release.wait()
        return "0" * 64

    monkeypatch.setattr(arrivals, "sha256_of", slow)
    shop = workshop()
    async with shop.opened() as generation:
        log = weakref.ref(generation.log)
        shop.engine.launch(generation)
        await reached.wait()
        generation.stop(ImageError(Reason.CANCELLED, "stopped by the test"))
        await asyncio.sleep(0)
        release.set()
        events = await events_of(generation)
    assert isinstance(events[-1], Finished)
    await asyncio.gather(*shop.engine._runs)
    shop.generations._drop(generation.id)
    del generation, events
    await asyncio.sleep(0)

    assert log() is None


def test_all_causes_are_let_go_of() -> None:
    """Causes, contexts and those that are their own cause lose their frames; what they say stays."""
    first, second, third = OSError("first"), OSError("second"), OSError("third")
    try:
        try:
            try:
                raise first
            except OSError:
                raise second from None
        except OSError as error:
            raise third from error
    except OSError:
        pass
    first.__cause__ = third

    forget_frames(third)

    assert [error.__traceback__ for error in (first, second, third)] == [None] * 3
    assert (third.__cause__, second.__context__) == (second, first)


async def _run(shop: ScriptedWorkshop) -> None:
    async with shop.opened() as generation:
        shop.engine.launch(generation)
        await events_of(generation)
    await asyncio.gather(*shop.engine._runs)
