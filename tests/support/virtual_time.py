"""An event loop whose time passes when nothing is left to do, so that minutes take no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Selector(selectors.DefaultSelector):
    """Lets the time pass that it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that will not come"
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _Selector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def keep_busy(seconds: float) -> None:
    """Let the time pass as if the running loop had been at work so long, too late for what was planned meanwhile."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    loop.clock.now += seconds


def run_in_virtual_time(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that uses no thread and no socket; all clocks of its loop are virtual."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
