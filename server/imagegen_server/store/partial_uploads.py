"""Uploads that are not finished, in this process's memory."""

import io
from dataclasses import dataclass, field

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.generation.store import Upload

from .expiry import ExpiryQueue
from .room import Room

UPLOAD_BYTES = 1024
"""What an upload takes beside its data; there may be a great many small ones."""

UploadKey = tuple[str, str]
"""Caller and SHA-256."""


@dataclass(slots=True)
class _Partial:
    size_bytes: int
    pieces: io.BytesIO = field(default_factory=io.BytesIO)
    """Grows with what comes. Hands out its bytes uncopied."""
    whole: bytes | None = None

    @property
    def committed(self) -> int:
        return self.size_bytes if self.whole is not None else self.pieces.tell()

    def append(self, data: bytes, start: int) -> None:
        if len(data) == self.size_bytes and not self.committed:
            self.whole = data
            return
        self.pieces.write(memoryview(data)[start:])
        if self.committed == self.size_bytes:
            self.whole = self.pieces.getvalue()


class PartialUploads:
    """Pieces of uploads, until all are there and found to be right."""

    def __init__(self, room: Room, ttl: float) -> None:
        """Start empty. `ttl` in seconds, from the last piece that added something."""
        self._room = room
        self._partials: dict[UploadKey, _Partial] = {}
        self._expiry: ExpiryQueue[UploadKey] = ExpiryQueue(ttl, self._drop)

    def add(self, key: UploadKey, size_bytes: int, offset: int, data: bytes) -> Upload:
        """Append a piece, or tell what is there. See ImageStore.add_piece."""
        partial = self._partials.get(key)
        if partial is None:
            if not data or offset:
                return Upload(0)
            self._room.require(UPLOAD_BYTES + len(data))
            partial = self._begin(key, size_bytes)
        require_size(partial.size_bytes, size_bytes)
        committed = partial.committed
        if offset <= committed < offset + len(data):
            self._count(offset + len(data) - committed)
            partial.append(data, committed - offset)
            committed = offset + len(data)
            self._expiry.renew(key)
        return Upload(committed, partial.whole)

    def take(self, key: UploadKey) -> bytes | None:
        """Remove a whole upload; None = it is not there, or not whole."""
        partial = self._partials.get(key)
        if partial is None or partial.whole is None:
            return None
        self.drop(key)
        return partial.whole

    def drop(self, key: UploadKey) -> None:
        """Forget an upload, if it is there."""
        if key in self._partials:
            self._expiry.discard(key)
            self._drop(key)

    def close(self) -> None:
        """Let go of everything."""
        self._expiry.close()
        for key in list(self._partials):
            self._drop(key)

    def _begin(self, key: UploadKey, size_bytes: int) -> _Partial:
        self._count(UPLOAD_BYTES)
        partial = self._partials[key] = _Partial(size_bytes)
        self._expiry.renew(key)
        return partial

    def _count(self, size: int) -> None:
        """Take room for what has come: a size that is only declared keeps nobody out."""
        self._room.require(size)
        self._room.kept += size
        self._room.make()

    def _drop(self, key: UploadKey) -> None:
        self._room.kept -= self._partials.pop(key).committed + UPLOAD_BYTES


def require_size(begun: int, given: int) -> None:
    """See that the same size is meant as when the upload was begun.

    :raises ImageError: INVALID_REQUEST naming size_bytes
    """
    if begun != given:
        problem = f"is {given}, but the upload of this SHA-256 was begun with {begun}"
        raise ImageError(
            Reason.INVALID_REQUEST, f"size_bytes: {problem}", violations=[Violation("size_bytes", problem)]
        )
