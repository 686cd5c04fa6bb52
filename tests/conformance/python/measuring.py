"""What calls take: time by the clock, and of the processor."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from conformance.v1 import driver_pb2


async def measured(wish: driver_pb2.Measure, call: Callable[[], Awaitable[int]]) -> driver_pb2.Measured:
    """Make calls, some at the same time; `call` makes one and returns the bytes that it received."""
    await call()
    left = iter(range(wish.calls))
    received = 0

    async def worker() -> None:
        nonlocal received
        for _ in left:
            size = await call()
            received += size

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(wish.parallel)))
    return driver_pb2.Measured(
        wall_seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu, bytes=received
    )
