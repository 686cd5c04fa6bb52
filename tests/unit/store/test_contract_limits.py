"""Any CallerLimits: those of a process that serves alone, and those of processes that share a store."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable

import pytest
from imagegen_server.domain.caller import ANONYMOUS, Caller
from imagegen_server.generation.caller_limits import CallerLimits, OwnCallerLimits

from tests.support.limits import error_of, over_limit
from tests.unit.store.redis_worker import started_limits


@pytest.fixture(params=["own", "redis"])
async def limits(request: pytest.FixtureRequest, redis: Callable[[], str]) -> AsyncGenerator[CallerLimits, None]:
    """Start with nothing in hand."""
    if request.param == "own":
        yield OwnCallerLimits()
        return
    async with started_limits(redis(), secrets.token_hex(8)) as found:
        yield found


async def test_calls_at_a_time(limits: CallerLimits) -> None:
    """As many as allowed; one that ended makes room for one, however often it is said to have ended."""
    caller = Caller("c", max_calls=2)
    first = await limits.admit(caller)
    await limits.admit(caller)

    error = await over_limit(limits.admit(caller))
    assert error.retry_after is None
    assert "2 calls of caller c are in hand" in error.message
    first()
    first()
    await limits.admit(caller)
    await over_limit(limits.admit(caller))


async def test_calls_that_come_together(limits: CallerLimits) -> None:
    """Just as many are let in as there is room for, and all of it can be used again."""
    caller = Caller("c", max_calls=5)
    for _ in range(3):
        came = await asyncio.gather(*(limits.admit(caller) for _ in range(20)), return_exceptions=True)
        releases = [one for one in came if not isinstance(one, BaseException)]

        assert len(releases) == 5
        await over_limit(limits.admit(caller))
        for release in releases:
            release()


async def test_images_of_a_minute_are_no_more_than_allowed(limits: CallerLimits) -> None:
    """The last one that fits is let in; beyond it there is a wait of at most a minute."""
    caller = Caller("c", images_per_minute=10)
    await limits.ask_for(caller, 6)
    await limits.ask_for(caller, 4)

    error = await over_limit(limits.ask_for(caller, 1))
    assert error.retry_after is not None
    assert 50 < error.retry_after <= 60
    assert "asked for 10 images within a minute, and may ask for 10; this call wants 1" in error.message


async def test_a_call_above_the_whole_limit_is_told_no_wait(limits: CallerLimits) -> None:
    """Waiting would not help it; nothing is counted for it."""
    caller = Caller("c", images_per_minute=3)

    error = await over_limit(limits.ask_for(caller, 4))

    assert error.retry_after is None
    assert "3" in error.message
    await limits.ask_for(caller, 3)


async def test_what_is_refused_counts_for_nothing(limits: CallerLimits) -> None:
    """Neither as a call nor as images: a caller that keeps trying is not kept out by that."""
    caller = Caller("c", max_calls=1, images_per_minute=2)
    end = await limits.admit(caller)
    for _ in range(3):
        await over_limit(limits.admit(caller))
    end()
    for _ in range(3):
        await over_limit(limits.ask_for(caller, 3))

    (await limits.admit(caller))()
    await limits.ask_for(caller, 2)


async def test_callers_do_not_share_their_limits(limits: CallerLimits) -> None:
    """And whoever has none is never refused."""
    for name in ("a", "b"):
        caller = Caller(name, max_calls=1, images_per_minute=1)
        await limits.admit(caller)
        await limits.ask_for(caller, 1)
    for _ in range(100):
        await limits.admit(ANONYMOUS)
        await limits.ask_for(ANONYMOUS, 16)

    await over_limit(limits.admit(Caller("a", max_calls=1)))
    await over_limit(limits.ask_for(Caller("b", images_per_minute=1), 1))


async def test_a_limit_that_changes_holds_at_once(limits: CallerLimits) -> None:
    """What is in hand and what was asked for counts against the new one."""
    before = Caller("c", max_calls=5, images_per_minute=100)
    await limits.admit(before)
    await limits.ask_for(before, 8)

    await over_limit(limits.admit(Caller("c", max_calls=1)))
    await over_limit(limits.ask_for(Caller("c", images_per_minute=8), 1))
    after = Caller("c", max_calls=2, images_per_minute=9)
    await limits.admit(after)
    await limits.ask_for(after, 1)


async def test_reading_needs_no_images(limits: CallerLimits) -> None:
    """What was made can be fetched by a caller that may make nothing more; it is a call all the same."""
    caller = Caller("c", max_calls=2, images_per_minute=1)
    await limits.admit(caller)
    await limits.ask_for(caller, 1)

    await limits.admit(caller)
    await limits.ask_for(caller, 0)
    assert "at a time" in (await over_limit(limits.admit(caller))).message
    assert await error_of(limits.ask_for(caller, 0)) is None
