"""Cancels that came before the wish that they were for, as they may over two connections or through a proxy."""

import asyncio
from contextlib import suppress

from imagegen_server.domain.errors import ImageError

from .peers import Peers

REMEMBERED_SECONDS = 5.0
"""How long a Cancel that has met nothing is remembered."""

HELD_UP_SECONDS = 0.25
"""How long a wish is held up that such a Cancel may have been for."""


class EarlyCancels:
    """Holds a wish up for a moment if its request_id was cancelled just before.

    Whoever aborts also leaves the call, in the same moment, which ends it while it is held up: nothing is spent.
    Whoever takes the request_id anew in good faith does not leave, and goes on after that moment.
    """

    def __init__(self, peers: Peers | None = None) -> None:
        """Know none. `peers`: other processes, where the wish may come."""
        self._peers = peers
        self._noted: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def note(self, caller: str, request_id: str) -> None:
        """Note that a caller has cancelled a request_id that stands for nothing."""
        self._forget(caller, request_id)
        loop = asyncio.get_running_loop()
        self._noted[caller, request_id] = loop.call_later(REMEMBERED_SECONDS, self._forget, caller, request_id)

    async def tell_others(self, caller: str, request_id: str) -> None:
        """Let other processes know of a Cancel, before it is looked up what it is for.

        So either it finds what they have claimed, or whoever claims it there finds the Cancel.
        """
        if self._peers is not None:
            with suppress(ImageError):  # nothing is begun elsewhere without the store
                await self._peers.note_cancel(caller, request_id, REMEMBERED_SECONDS)

    async def hold_up_claimed(self, caller: str, request_id: str) -> None:
        """Wait a moment if a request_id that has just been claimed here was cancelled elsewhere just before.

        :raises ImageError: STORE_UNAVAILABLE
        """
        if self._peers is not None and await self._peers.cancelled(caller, request_id):
            await asyncio.sleep(HELD_UP_SECONDS)

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
