"""Leaving: a server works on for nobody, unless it is told to stop, which must not meet anybody else's picture."""

import asyncio
from collections.abc import Callable

import pytest
import structlog
from imagegen_server.domain.errors import Billed, Reason
from imagegen_server.domain.events import Broken, Finished, LogEvent
from imagegen_server.providers.sdapi import SdapiSettings

from tests.support.generation import drawing, events_of
from tests.support.http_server import PATIENCE
from tests.support.sdapi_api import Flavor
from tests.support.sdapi_provider import MODEL, SdapiWorkshop, sdapi_workshop
from tests.support.vendor import json_answer

OURS_ALONE = SdapiSettings(shared=False)


async def left(made: SdapiWorkshop, until: Callable[[], object]) -> LogEvent:
    """Leave a generation as soon as something is so, and wait until all has been said that is said then."""
    made.fake.held = True
    async with asyncio.timeout(PATIENCE):
        async with made.workshop.opened(drawing(MODEL, preview_count=1)) as generation:
            made.workshop.engine.launch(generation)
            await made.fake.until(until)
        return (await events_of(generation))[-1]


async def farewell(made: SdapiWorkshop) -> None:
    """Wait until everything has been said that is said to a server that was left."""
    async with asyncio.timeout(PATIENCE):
        await made.provider.close()


@pytest.mark.parametrize("flavor", ["a1111", "forge"])
async def test_our_own_task_is_interrupted(flavor: Flavor) -> None:
    """The server says that it works on the id that we gave."""
    async with sdapi_workshop(flavor) as made:
        last = await left(made, lambda: made.fake.jobs and made.fake.jobs[0].looks)
        await farewell(made)

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)
    assert [call.method for call in made.fake.interrupts] == ["POST"]
    assert made.fake.jobs[0].interrupted


@pytest.mark.parametrize("flavor", ["a1111", "forge"])
async def test_somebody_elses_task_is_not_interrupted(flavor: Flavor) -> None:
    """Ours waits behind it when we leave; it is interrupted as soon as its turn comes."""
    async with sdapi_workshop(flavor) as made:
        foreign = made.fake.foreign()
        await left(made, lambda: len(made.fake.looks) > 1)
        seen = len(made.fake.looks)
        await made.fake.until(lambda: len(made.fake.looks) > seen + 2)
        assert made.fake.interrupts == []
        foreign.ended.set()
        await farewell(made)

    assert not foreign.interrupted
    assert made.fake.jobs[-1].interrupted
    assert len(made.fake.interrupts) == 1


@pytest.mark.parametrize("flavor", ["sdnext", "koboldcpp"])
async def test_a_shared_server_that_does_not_tell_whose_work_it_does_is_not_interrupted(flavor: Flavor) -> None:
    """The socket is closed, which is all that harms nobody; KoboldCpp stops by that."""
    async with sdapi_workshop(flavor) as made:
        await left(made, lambda: len(made.fake.looks) > 1)
        await farewell(made)
        if flavor == "koboldcpp":
            async with asyncio.timeout(PATIENCE):
                await made.fake.jobs[0].ended.wait()

    assert made.fake.interrupts == []
    assert not made.fake.jobs[0].interrupted


async def test_a_server_of_ours_alone_is_interrupted() -> None:
    """SD.Next does not tell whose work it does, and there is nobody else's. It answers 204."""
    async with sdapi_workshop("sdnext", OURS_ALONE) as made:
        await left(made, lambda: len(made.fake.looks) > 1)
        await farewell(made)

    assert made.fake.jobs[0].interrupted


async def test_the_next_task_is_not_interrupted_for_the_one_before() -> None:
    """Where the server does not tell which task it works on, the next one is sent when that is settled."""
    async with sdapi_workshop("sdnext", OURS_ALONE) as made:
        await left(made, lambda: len(made.fake.looks) > 1)
        made.fake.held = False
        last = (await made.workshop.run(drawing(MODEL)))[-1]

    assert isinstance(last, Finished)
    assert [job.interrupted for job in made.fake.jobs] == [True, False]


async def test_of_two_tasks_of_ours_none_is_interrupted_for_the_other() -> None:
    """Where nobody knows which of them runs."""
    async with sdapi_workshop("sdnext", OURS_ALONE) as made:
        made.fake.held = True
        other = asyncio.ensure_future(made.workshop.run(drawing(MODEL)))
        await made.fake.until(lambda: made.fake.current)
        await left(made, lambda: len(made.fake.jobs) == 2)
        await farewell(made)
        interrupts = list(made.fake.interrupts)
        for job in made.fake.jobs:
            job.ended.set()
        await other

    assert interrupts == []


async def test_sd_server_is_left_alone() -> None:
    """It has no way to be asked or told."""
    async with sdapi_workshop("sd-server") as made:
        await left(made, lambda: len(made.fake.looks) > 1)
        await farewell(made)

    assert made.fake.interrupts == []


async def test_a_task_that_has_ended_is_not_interrupted() -> None:
    """Whatever runs now is somebody else's."""
    async with sdapi_workshop() as made:
        made.fake.look_says = lambda _: json_answer(200, {"active": False, "queued": False, "completed": True})
        await left(made, lambda: len(made.fake.looks) > 1)
        await farewell(made)

    assert made.fake.interrupts == []


async def test_what_could_not_be_called_off_is_logged() -> None:
    """Nobody waits for it, so the log tells it: without address, key or prompt."""
    async with sdapi_workshop() as made:
        made.fake.look_says = lambda call: json_answer(500, {}) if "interrupt" in call.path else None
        with structlog.testing.capture_logs() as logged:
            await left(made, lambda: made.fake.jobs and made.fake.jobs[0].looks)
            await farewell(made)

    assert {
        "event": "work not called off",
        "provider": "sdapi",
        "reason": "PROVIDER_ERROR",
        "log_level": "warning",
    } in (logged)


async def test_what_was_at_work_is_not_called_free() -> None:
    """A refusal from somebody in between, when the server was seen to work on it."""
    async with sdapi_workshop() as made:
        made.fake.held = True
        refused = json_answer(404, {"detail": "Not Found"})
        refused.before = asyncio.Event()
        made.fake.answer_next(refused)
        told = {"active": True, "queued": False, "completed": False, "progress": 0.5, "id_live_preview": -1}
        made.fake.look_says = lambda _: json_answer(200, told)
        async with asyncio.timeout(PATIENCE), made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await made.fake.until(lambda: len(made.fake.looks) > 1)
            refused.before.set()
            last = (await events_of(generation))[-1]

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.PROVIDER_ERROR, Billed.UNKNOWN)


async def test_a_server_that_restarts_in_the_middle_is_told_exactly() -> None:
    """The connection breaks while it works: NETWORK_ERROR, and whether it was billed is not known."""
    async with sdapi_workshop() as made:
        made.fake.held = True
        async with asyncio.timeout(PATIENCE), made.workshop.opened(drawing(MODEL, preview_count=1)) as generation:
            made.workshop.engine.launch(generation)
            await made.fake.until(lambda: made.fake.jobs and made.fake.jobs[0].looks)
            made.fake.restart()
            last = (await events_of(generation))[-1]
        await farewell(made)
        made.fake.held = False
        assert isinstance((await made.workshop.run(drawing(MODEL)))[-1], Finished)

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.sent, last.error.billed) == (Reason.NETWORK_ERROR, True, Billed.UNKNOWN)
    assert last.error.provider_request_id == made.fake.makings[0].json["force_task_id"]
    assert made.fake.interrupts == []
