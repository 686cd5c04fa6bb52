"""What became of each request_id, in this process's memory."""

from dataclasses import dataclass, replace

from imagegen_server.domain.errors import Failure
from imagegen_server.domain.events import Broken
from imagegen_server.generation.store import RequestRecord

from .expiry import ExpiryQueue
from .room import Room

_RECORD_BYTES = 768
"""One record with its key and its place in the queue, without its texts."""

_TEXT_BYTES = 64
"""What one text takes beside its characters."""

_FAILURE_BYTES = 1024
"""One failure or attempt, without the failure's message."""


@dataclass(slots=True)
class _Entry:
    record: RequestRecord
    size: int


class MemoryRequests:
    """Request ids by caller. See RequestIndex in generation/store.py."""

    def __init__(self, room: Room, request_ttl: float) -> None:
        """Start empty."""
        self._room = room
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._expiry: ExpiryQueue[tuple[str, str]] = ExpiryQueue(request_ttl, self._drop)
        self.bytes = 0

    def claim(self, caller: str, request_id: str, record: RequestRecord) -> RequestRecord | None:
        """Take a request_id, or learn who has it."""
        key = (caller, request_id)
        if entry := self._entries.get(key):
            return entry.record
        size = _record_bytes(key, record)
        self._room.require(size, lasting=True)
        self._entries[key] = _Entry(record, size)
        self._count(size)
        return None

    def find(self, caller: str, request_id: str) -> RequestRecord | None:
        """Tell what a request_id stands for."""
        entry = self._entries.get((caller, request_id))
        return entry.record if entry else None

    def settle(self, caller: str, request_id: str, failure: Broken | None) -> None:
        """Note that the generation has ended."""
        key = (caller, request_id)
        if entry := self._entries.get(key):
            entry.record = replace(entry.record, ended=True, failure=failure and _without_frames(failure))
            size = _record_bytes(key, entry.record)
            self._count(size - entry.size)
            entry.size = size
            self._expiry.renew(key)

    def free(self, caller: str, request_id: str) -> None:
        """Forget a request_id."""
        key = (caller, request_id)
        if key in self._entries:
            self._expiry.discard(key)
            self._drop(key)

    def close(self) -> None:
        """Let go of everything."""
        self._expiry.close()
        for key in list(self._entries):
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        self._count(-self._entries.pop(key).size)

    def _count(self, size: int) -> None:
        self.bytes += size
        self._room.kept += size
        self._room.lasting += size
        self._room.make()


def _record_bytes(key: tuple[str, str], record: RequestRecord) -> int:
    """Count what a record takes in memory, rather too much than too little."""
    size = _RECORD_BYTES + sum(_TEXT_BYTES + len(text) for text in (*key, record.generation_id, *record.fingerprints))
    if record.failure is not None:
        told, failed = record.failure.error, record.failure.failure
        errors = [told, *(failure.error for failure in failed.failures)]
        size += _FAILURE_BYTES * (len(errors) + len(failed.attempts))
        size += sum(len(error.message) + sum(len(item.description) for item in error.violations) for error in errors)
    return size


def _without_frames(broken: Broken) -> Broken:
    """Copy the errors: as they were raised they hold the frames they came through, with requests and pictures."""
    failure = broken.failure
    failures = tuple(Failure(item.index, item.error.with_billed(item.error.billed)) for item in failure.failures)
    return Broken(replace(failure, failures=failures), broken.error.with_billed(broken.error.billed))
