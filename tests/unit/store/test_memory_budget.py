"""The budget of the memory store under any order of use."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from imagegen_server.domain.errors import ImageError
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import Reservation, StoreSettings
from imagegen_server.store.memory import MemoryStore

from tests.support.values import PNG

T = TypeVar("T")
ROOM = 100
sizes = st.integers(0, 60)


class Budget(RuleBasedStateMachine):
    """Reserves, keeps, delivers and forgets images, and knows itself what must be there."""

    def __init__(self) -> None:
        """Start with an empty store."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MemoryStore(StoreSettings(900.0, ROOM), Ids())
        self.open: dict[Reservation, int] = {}
        self.unread: dict[str, int] = {}
        self.read: dict[str, int] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the store."""
        return self.loop.run_until_complete(work)

    @rule(size=sizes)
    def reserve(self, size: int) -> None:
        """Refused exactly if what must be kept leaves no room."""
        needed = sum(self.unread.values()) + sum(self.open.values()) + size
        if needed <= ROOM:
            self.open[self.run(self.store.reserve(size))] = size
        else:
            with pytest.raises(ImageError):
                self.run(self.store.reserve(size))

    @rule(size=sizes)
    def put(self, size: int) -> None:
        """Draws on the oldest reservation; never refused."""
        if self.open:
            reservation = next(iter(self.open))
            image = self.run(self.store.put("me", bytes(size), PNG, "", reservation))
            self.open[reservation] = max(0, self.open[reservation] - size)
            self.unread[image.image_id] = size

    @rule()
    def release(self) -> None:
        """Gives back what is left."""
        if self.open:
            reservation = next(iter(self.open))
            reservation.release()
            del self.open[reservation]

    @rule()
    def deliver(self) -> None:
        """The oldest unread image has been read."""
        if self.unread:
            image_id = next(iter(self.unread))
            self.store.delivered(image_id)
            self.read[image_id] = self.unread.pop(image_id)

    @rule(unread=st.booleans())
    def expire(self, unread: bool) -> None:
        """The time of an image has come."""
        images = self.unread if unread else self.read
        if image_id := next((image_id for image_id in images if image_id in self.store._kept), None):
            self.store._drop(image_id)
            del images[image_id]

    @invariant()
    def counts_are_true(self) -> None:
        """What is counted is what is held, and never negative; nothing unread is lost."""
        kept = {image_id: len(item.data) for image_id, item in self.store._kept.items()}
        assert self.store.kept_bytes == sum(kept.values())
        assert self.store.reserved_bytes == sum(self.open.values())
        assert self.store.undelivered == len(self.unread)
        assert self.store._undelivered_bytes == sum(self.unread.values())
        assert self.unread.items() <= kept.items()

    @invariant()
    def room_is_kept(self) -> None:
        """More than the limit is held only by what must be kept."""
        if self.store.kept_bytes + self.store.reserved_bytes > ROOM:
            assert not self.read.keys() & self.store._kept.keys()

    def teardown(self) -> None:
        """Close the store and the loop."""
        self.store.close()
        assert (self.store.kept_bytes, self.store.undelivered, self.store._undelivered_bytes) == (0, 0, 0)
        self.loop.close()


TestBudget = Budget.TestCase
TestBudget.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
