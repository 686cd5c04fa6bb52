"""Cancels that come before the wish that they are for."""

import asyncio

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.early_cancels import HELD_UP_SECONDS, REMEMBERED_SECONDS, EarlyCancels

from tests.support.generation import CALLER, drawing, workshop
from tests.support.virtual_time import run_in_virtual_time


async def held_up(cancels: EarlyCancels, request_id: str) -> float:
    """Tell how many seconds a wish is held up."""
    now = asyncio.get_running_loop().time
    start = now()
    await cancels.hold_up("somebody", request_id)
    return now() - start


def test_only_what_was_cancelled_just_before_is_held_up() -> None:
    """A wish waits a moment if its own id was cancelled in the last seconds, and no other wish waits."""

    async def work() -> list[float]:
        cancels = EarlyCancels()
        cancels.note("somebody", "mine")
        cancels.note("somebody else", "theirs")
        seconds = [await held_up(cancels, "mine"), await held_up(cancels, "theirs")]
        await asyncio.sleep(REMEMBERED_SECONDS)
        return [*seconds, await held_up(cancels, "mine")]

    assert run_in_virtual_time(work()) == [pytest.approx(HELD_UP_SECONDS), 0, 0]


def test_cancelled_again_is_remembered_anew() -> None:
    """The seconds count from the last Cancel."""

    async def work() -> float:
        cancels = EarlyCancels()
        cancels.note("somebody", "mine")
        await asyncio.sleep(0.9 * REMEMBERED_SECONDS)
        cancels.note("somebody", "mine")
        await asyncio.sleep(0.9 * REMEMBERED_SECONDS)
        return await held_up(cancels, "mine")

    assert run_in_virtual_time(work()) == pytest.approx(HELD_UP_SECONDS)


async def test_who_cancels_first_and_leaves_then_has_spent_nothing() -> None:
    """A wish that comes behind its Cancel, and is left in the next moment, never reaches a provider."""
    shop = workshop()
    with pytest.raises(ImageError) as unknown:
        await shop.engine.cancel(CALLER, request_id="mine")

    late = asyncio.create_task(shop.open(drawing(), request_id="mine", detach=True))
    await asyncio.sleep(0)
    late.cancel()
    await asyncio.wait([late])

    assert unknown.value.reason is Reason.GENERATION_NOT_FOUND
    assert late.cancelled()
    assert await shop.store.find(CALLER.name, "mine") is None
    assert shop.in_hand == (0, 0, 0)


async def test_who_cancels_first_and_stays_is_served() -> None:
    """A wish whose caller does not leave is drawn, whatever was cancelled under its id before there was anything."""
    shop = workshop()
    with pytest.raises(ImageError):
        await shop.engine.cancel(CALLER, request_id="mine")

    await shop.run(request_id="mine")

    assert len(shop.provider.tasks) == 1
