"""Cancels that came before the wish that they were for, as they may over two connections or through a proxy."""

import asyncio

REMEMBERED_SECONDS = 5.0
"""How long a Cancel that has met nothing is remembered."""

HELD_UP_SECONDS = 0.25
"""How long a wish is held up that such a Cancel may have been for."""


class EarlyCancels:
    """Holds a wish up for a moment if its request_id was cancelled just before.

    Whoever aborts also leaves the call, in the same moment, which ends it while it is held up: nothing is spent.
    Whoever takes the request_id anew in good faith does not leave, and goes on after that moment.
    """

    def __init__(self) -> None:
        """Know none."""
        self._noted: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def note(self, caller: str, request_id: str) -> None:
        """Note that a caller has cancelled a request_id that stands for nothing."""
        self._forget(caller, request_id)
        loop = asyncio.get_running_loop()
        self._noted[caller, request_id] = loop.call_later(REMEMBERED_SECONDS, self._forget, caller, request_id)

    async def hold_up(self, caller: str, request_id: str) -> None:
        """Wait a moment if this request_id was cancelled just before."""
        if (caller, request_id) in self._noted:
            await asyncio.sleep(HELD_UP_SECONDS)

    def close(self) -> None:
        """Wait for nothing any more."""
        for caller, request_id in list(self._noted):
            self._forget(caller, request_id)

    def _forget(self, caller: str, request_id: str) -> None:
        if (timer := self._noted.pop((caller, request_id), None)) is not None:
            timer.cancel()
