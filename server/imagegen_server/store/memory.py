"""Images in this process's memory."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.result import StoredImage
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import Reservation, StoreSettings

_BUSY_RETRY_SECONDS = 5.0


@dataclass(slots=True)
class _Kept:
    caller: str
    image: StoredImage
    data: bytes
    expiry: float
    """On the event loop's clock."""
    delivered: bool = False


class _MemoryReservation:
    def __init__(self, store: "MemoryStore", size: int) -> None:
        self._store = store
        self._left = size

    def use(self, size: int) -> None:
        used = min(size, self._left)
        self._left -= used
        self._store.reserved_bytes -= used

    def release(self) -> None:
        self.use(self._left)


class MemoryStore:
    """The image store of a server that runs as one process. See the contract in generation/store.py."""

    def __init__(self, settings: StoreSettings, ids: Ids) -> None:
        """Start empty."""
        self._settings = settings
        self._ids = ids
        self._kept: dict[str, _Kept] = {}
        """Oldest first, which is also the order in which they expire."""
        self._delivered: dict[str, None] = {}
        """Those that may go when room is short, the first to go first."""
        self._timer: asyncio.TimerHandle | None = None
        self.kept_bytes = 0
        self.reserved_bytes = 0
        self.undelivered = 0
        self._undelivered_bytes = 0

    async def reserve(self, size: int) -> Reservation:
        """Keep room for `size` bytes, letting delivered images go for it."""
        # What is more than the whole store is taken when it is empty: a wait would be for ever.
        size = min(size, self._settings.max_bytes)
        if self._undelivered_bytes + self.reserved_bytes + size > self._settings.max_bytes:
            raise ImageError(
                Reason.SERVER_BUSY,
                "the store is full of images that nobody has read yet; read them, or ask again later",
                retry_after=_BUSY_RETRY_SECONDS,
            )
        self.reserved_bytes += size
        self._make_room()
        return _MemoryReservation(self, size)

    async def put(
        self, caller: str, data: bytes, facts: ImageFacts, sha256: str, reservation: Reservation
    ) -> StoredImage:
        """Keep an image for `ttl`."""
        if isinstance(reservation, _MemoryReservation):
            reservation.use(len(data))
        image = StoredImage(
            image_id=self._ids.new("img"),
            expire_time=datetime.now(UTC) + timedelta(seconds=self._settings.ttl),
            facts=facts,
            size_bytes=len(data),
            sha256=sha256,
        )
        expiry = asyncio.get_running_loop().time() + self._settings.ttl
        self._kept[image.image_id] = _Kept(caller, image, data, expiry)
        self._wait_for_expiry()
        self.kept_bytes += len(data)
        self.undelivered += 1
        self._undelivered_bytes += len(data)
        self._make_room()
        return image

    async def get(self, caller: str, image_id: str) -> tuple[StoredImage, bytes]:
        """Look an image up for the caller it belongs to."""
        self._ids.check(image_id, Reason.IMAGE_NOT_FOUND)
        kept = self._kept.get(image_id)
        if kept is None or kept.caller != caller:
            raise ImageError(Reason.IMAGE_NOT_FOUND, "there is no such image; it may have expired")
        return kept.image, kept.data

    def delivered(self, image_id: str) -> None:
        """Note that the image may go when room is short, which it may be already."""
        kept = self._kept.get(image_id)
        if kept is not None and not kept.delivered:
            self._count_as_delivered(kept)
            self._delivered[image_id] = None
            self._make_room()

    def _count_as_delivered(self, kept: _Kept) -> None:
        kept.delivered = True
        self.undelivered -= 1
        self._undelivered_bytes -= kept.image.size_bytes

    def _make_room(self) -> None:
        """Let delivered images go, those that were delivered first, until all fits."""
        while self._delivered and self.kept_bytes + self.reserved_bytes > self._settings.max_bytes:
            self._drop(next(iter(self._delivered)))

    def _wait_for_expiry(self) -> None:
        """Have one timer for all: there may be tens of thousands of small images."""
        if self._timer is None and self._kept:
            oldest = next(iter(self._kept.values()))
            self._timer = asyncio.get_running_loop().call_at(oldest.expiry, self._drop_expired)

    def _drop_expired(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        while self._kept and (oldest := next(iter(self._kept))) and self._kept[oldest].expiry <= now:
            self._drop(oldest)
        self._wait_for_expiry()

    def _drop(self, image_id: str) -> None:
        kept = self._kept.pop(image_id)
        self._delivered.pop(image_id, None)
        if not kept.delivered:
            self._count_as_delivered(kept)
        self.kept_bytes -= kept.image.size_bytes

    def close(self) -> None:
        """Let go of everything."""
        for image_id in list(self._kept):
            self._drop(image_id)
        if self._timer is not None:
            self._timer.cancel()
