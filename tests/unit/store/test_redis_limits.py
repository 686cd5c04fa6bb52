"""Limits of callers over several processes that share a Redis."""

import asyncio
import gc
import secrets
import warnings
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import pytest
from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import Reason
from imagegen_server.generation.caller_limits import WINDOW_SECONDS
from imagegen_server.store.redis.limits import _ASK
from imagegen_server.store.redis.worker import MICROSECONDS

from tests.support.limits import error_of, over_limit
from tests.support.redis_server import RedisServer, redis_server
from tests.unit.store.redis_worker import started_limits

SHORT = 0.4
"""Seconds of a window that a test waits for."""


@pytest.fixture
def prefix() -> str:
    """Name a part of Redis that nobody else uses."""
    return secrets.token_hex(8)


async def test_processes_count_together(redis: Callable[[], str], prefix: str) -> None:
    """What one has in hand and what it was asked for leaves that much less to the other."""
    caller = Caller("c", max_calls=3, images_per_minute=5)
    async with started_limits(redis(), prefix) as one, started_limits(redis(), prefix) as other:
        release = await one.admit(caller)
        await one.ask_for(caller, 3)
        await other.admit(caller)
        await other.admit(caller)
        await other.ask_for(caller, 2)

        assert "3 calls" in (await over_limit(one.admit(caller))).message
        assert "3 calls" in (await over_limit(other.admit(caller))).message
        assert "asked for 5" in (await over_limit(one.ask_for(caller, 1))).message
        release()
        await one._worker.pay()
        await other.admit(caller)


async def test_calls_that_come_together_at_several(redis: Callable[[], str], prefix: str) -> None:
    """However many come at once, no more are let in than are allowed, and all ends with nothing in hand."""
    caller = Caller("c", max_calls=7, images_per_minute=9)
    async with AsyncExitStack() as stack:
        all_limits = [await stack.enter_async_context(started_limits(redis(), prefix)) for _ in range(3)]
        for _ in range(3):
            came = await asyncio.gather(*(one.admit(caller) for one in all_limits * 10), return_exceptions=True)
            releases = [one for one in came if not isinstance(one, BaseException)]
            assert len(releases) == 7
            for release in releases:
                release()
            for one in all_limits:
                await one._worker.pay()
        asked = await asyncio.gather(*(error_of(one.ask_for(caller, 1)) for one in all_limits * 10))
        connection = all_limits[0]._worker.connection

        assert asked.count(None) == 9
        assert await connection.ask("HLEN", f"{connection.prefix}calls:c") == 0


async def test_a_minute_passes_by_the_clock_of_redis(redis: Callable[[], str], prefix: str) -> None:
    """After the wait that was told there is room, and not before; nothing of it stays in Redis for ever."""
    caller = Caller("c", images_per_minute=2)
    async with started_limits(redis(), prefix, SHORT) as limits:
        await limits.ask_for(caller, 2)
        error = await over_limit(limits.ask_for(caller, 1))
        assert error.retry_after is not None
        assert 0 < error.retry_after <= SHORT
        connection = limits._worker.connection
        for key in ("asked:c", "images:c"):
            assert 0 < await connection.ask("PTTL", connection.prefix + key) <= SHORT * 1000

        await asyncio.sleep(error.retry_after)
        await limits.ask_for(caller, 2)
        await over_limit(limits.ask_for(caller, 1))


async def test_what_is_sent_twice_is_counted_once(redis: Callable[[], str], prefix: str) -> None:
    """As a command is whose connection broke before its answer came."""
    caller = Caller("c", images_per_minute=4)
    async with started_limits(redis(), prefix) as limits:
        for _ in range(2):
            window = round(WINDOW_SECONDS * MICROSECONDS)
            assert await limits._worker.run(_ASK, "c", "the-same", 2, 4, window) is None
        await limits.ask_for(caller, 2)
        await over_limit(limits.ask_for(caller, 1))


async def test_the_calls_of_a_process_that_is_gone_are_forgotten(redis: Callable[[], str], prefix: str) -> None:
    """Whether it said good-bye, or its lease has passed; what it was asked for still counts."""
    caller = Caller("c", max_calls=1, images_per_minute=1)
    async with started_limits(redis(), prefix) as stays:
        async with started_limits(redis(), prefix) as leaves:
            await leaves.admit(caller)
            await leaves.ask_for(caller, 1)
            await over_limit(stays.admit(caller))
        (await stays.admit(caller))()
        async with started_limits(redis(), prefix) as dies:
            await stays._worker.pay()
            await dies.admit(caller)
            await over_limit(stays.admit(caller))
            connection = stays._worker.connection
            await connection.ask("ZADD", f"{connection.prefix}workers", 1, dies._worker.name)

            await stays.admit(caller)
        await over_limit(stays.ask_for(caller, 1))


async def test_a_redis_that_forgot_is_told_again(prefix: str) -> None:
    """After a restart the calls in hand count as before, at all processes."""
    caller = Caller("c", max_calls=1)
    with redis_server() as server:
        async with started_limits(server.url, prefix) as one, started_limits(server.url, prefix) as other:
            await one.admit(caller)
            _restart(server)
            await one._worker.beat()

            await other._worker.beat()
            await over_limit(other.admit(caller))


async def test_while_redis_is_away_each_process_has_its_own_limit(prefix: str) -> None:
    """Calls that only read are let in up to it; what would be bought is not."""
    caller = Caller("c", max_calls=1, images_per_minute=1)
    with redis_server() as server:
        async with started_limits(server.url, prefix) as one, started_limits(server.url, prefix) as other:
            release = await one.admit(caller)
            await other._worker.start()
            server.stop()

            await other.admit(caller)
            await over_limit(other.admit(caller))
            error = await error_of(other.ask_for(caller, 1))
            assert error is not None
            assert error.reason is Reason.STORE_UNAVAILABLE
            release()
            await one.admit(caller)


async def test_a_call_that_leaves_while_it_is_admitted_counts_for_nothing(
    redis: Callable[[], str], prefix: str
) -> None:
    """Wherever it was."""
    caller = Caller("c", max_calls=1)
    async with started_limits(redis(), prefix) as one, started_limits(redis(), prefix) as other:
        for turns in range(20):
            call = asyncio.create_task(one.admit(caller))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            with suppress(asyncio.CancelledError):
                (await call)()
            await one._worker.pay()
            (await other.admit(caller))()
            await other._worker.pay()
    with warnings.catch_warnings():
        # The package leaves a connection that was stopped while it came about to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _restart(server: RedisServer) -> None:
    server.stop()
    server.start()
