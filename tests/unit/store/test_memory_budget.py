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
from imagegen_server.generation.store import RequestRecord, Reservation, StoreSettings
from imagegen_server.store.memory import MemoryStore
from imagegen_server.store.partial_uploads import UPLOAD_BYTES

from tests.support.values import PNG

T = TypeVar("T")
ROOM = 10_000
sizes = st.integers(0, 6000)
names = st.sampled_from("abc")


class Budget(RuleBasedStateMachine):
    """Reserves, keeps, uploads, claims, delivers and forgets, and knows itself what must be there."""

    def __init__(self) -> None:
        """Start with an empty store."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = MemoryStore(StoreSettings(900.0, ROOM), Ids())
        self.open: dict[Reservation, int] = {}
        self.unread: dict[str, int] = {}
        self.read: dict[str, int] = {}
        self.begun: dict[str, tuple[int, int]] = {}
        """Size and what is there."""
        self.uploaded: dict[str, tuple[str, int]] = {}
        self.claimed: dict[str, int] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the store."""
        return self.loop.run_until_complete(work)

    @property
    def must_be_kept(self) -> int:
        """What no new work may take."""
        uploads = [there for _, there in self.begun.values()] + [size for _, size in self.uploaded.values()]
        kept = [*self.unread.values(), *self.open.values(), *self.claimed.values()]
        return sum(kept) + sum(uploads) + UPLOAD_BYTES * len(uploads)

    @rule(size=sizes)
    def reserve(self, size: int) -> None:
        """Refused exactly if what must be kept leaves no room."""
        if self.must_be_kept + size <= ROOM:
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

    @rule(name=names, size=st.integers(1, 6000), part=st.floats(0, 1))
    def send(self, name: str, size: int, part: float) -> None:
        """Begins an upload, or sends more of it; refused exactly if what comes finds no room."""
        size, there = self.begun.get(name, (size, 0))
        data = bytes(max(1, int((size - there) * part))) if there < size else b""
        beside = 0 if name in self.begun else UPLOAD_BYTES
        if name in self.uploaded:
            image_id, size = self.uploaded[name]
            again = self.run(self.store.add_piece("me", name, size, 0, b"")).image
            assert again is not None
            assert again.image_id == image_id
        elif data and self.must_be_kept + len(data) + beside > ROOM:
            with pytest.raises(ImageError):
                self.run(self.store.add_piece("me", name, size, there, data))
        else:
            answer = self.run(self.store.add_piece("me", name, size, there, data))
            self.begun[name] = size, answer.committed_bytes
            assert answer.committed_bytes == there + len(data)
            assert (answer.data is not None) is (answer.committed_bytes == size)

    @rule(name=names, good=st.booleans())
    def finish(self, name: str, good: bool) -> None:
        """A whole upload becomes an image, or is dropped; a part can only be dropped."""
        size, there = self.begun.get(name, (0, -1))
        if not good:
            self.run(self.store.drop_upload("me", name))
            self.begun.pop(name, None)
        elif size == there:
            image = self.run(self.store.finish_upload("me", name, PNG))
            self.uploaded[name] = image.image_id, self.begun.pop(name)[0]

    @rule(name=names)
    def claim(self, name: str) -> None:
        """Takes room once; refused only if there is too little."""
        before = self.store.request_bytes
        try:
            found = self.run(self.store.claim("me", name, RequestRecord("gen", frozenset())))
        except ImageError:
            assert name not in self.claimed
            assert self.must_be_kept > ROOM - 2000
        else:
            assert (found is not None) is (name in self.claimed)
            self.claimed.setdefault(name, self.store.request_bytes - before)

    @rule(name=names)
    def free(self, name: str) -> None:
        """Gives the room back."""
        self.run(self.store.free("me", name))
        self.claimed.pop(name, None)

    @rule(unread=st.booleans())
    def expire(self, unread: bool) -> None:
        """The time of an image has come."""
        images = self.unread if unread else self.read
        if image_id := next((image_id for image_id in images if image_id in self.store._kept), None):
            self.store._drop(image_id)
            del images[image_id]

    @rule(name=names)
    def expire_upload(self, name: str) -> None:
        """The time of an upload has come."""
        if name in self.uploaded:
            self.store._drop(self.uploaded.pop(name)[0])

    @invariant()
    def counts_are_true(self) -> None:
        """What is counted is what is held, and never negative; nothing that must be kept is lost."""
        kept = {image_id: len(item.data) for image_id, item in self.store._kept.items()}
        spare = sum(kept[image_id] for image_id in self.read if image_id in kept)
        assert self.store.kept_bytes + self.store.request_bytes + self.store.reserved_bytes == self.must_be_kept + spare
        assert self.store.reserved_bytes == sum(self.open.values())
        assert self.store.request_bytes == sum(self.claimed.values())
        assert self.store.undelivered == len(self.unread)
        assert self.unread.items() <= kept.items()
        assert dict(self.uploaded.values()).items() <= kept.items()

    @invariant()
    def room_is_kept(self) -> None:
        """More than the limit is held only by what must be kept."""
        held = self.store.kept_bytes + self.store.request_bytes + self.store.reserved_bytes
        if held > ROOM:
            assert not any(size for image_id, size in self.read.items() if image_id in self.store._kept)

    def teardown(self) -> None:
        """Close the store and the loop."""
        self.run(self.store.close())
        for reservation in self.open:
            reservation.release()
        assert (self.store.kept_bytes, self.store.request_bytes, self.store.reserved_bytes) == (0, 0, 0)
        assert self.store.undelivered == 0
        self.loop.close()


TestBudget = Budget.TestCase
TestBudget.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
