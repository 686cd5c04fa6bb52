"""Stores for the tests of the contract."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest
from imagegen_server.generation.store import Store, StoreSettings

from tests.support.redis_server import redis_server
from tests.unit.store.contract import FACTORIES, OpenStore


@pytest.fixture(scope="session")
def redis() -> Iterator[Callable[[], str]]:
    """Start a Redis server for the first test that asks where it is, and share it among all of them."""
    with ExitStack() as stack:
        started: list[str] = []

        def url() -> str:
            if not started:
                started.append(stack.enter_context(redis_server()).url)
            return started[0]

        yield url


@pytest.fixture(params=FACTORIES)
async def open_store(request: pytest.FixtureRequest, redis: Callable[[], str]) -> AsyncGenerator[OpenStore, None]:
    """Open stores of every kind there is, one kind after the other."""
    factory = FACTORIES[request.param]
    async with AsyncExitStack() as stack:

        async def open_one(**settings: Any) -> Store:
            return await stack.enter_async_context(factory(StoreSettings(**settings), redis))

        yield open_one
