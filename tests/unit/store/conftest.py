"""Stores for the tests of the contract."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from imagegen_server.generation.store import Store, StoreSettings

from tests.unit.store.contract import FACTORIES, OpenStore


@pytest.fixture(params=FACTORIES)
async def open_store(request: pytest.FixtureRequest, redis: Callable[[], str]) -> AsyncGenerator[OpenStore, None]:
    """Open stores of every kind there is, one kind after the other."""
    factory = FACTORIES[request.param]
    async with AsyncExitStack() as stack:

        async def open_one(**settings: Any) -> Store:
            return await stack.enter_async_context(factory(StoreSettings(**settings), redis))

        yield open_one
