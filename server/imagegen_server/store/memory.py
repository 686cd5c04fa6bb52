"""Images, uploads and request ids in this process's memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import StoredImage
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import RequestRecord, Reservation, StoreSettings, Upload

from .expiry import ExpiryQueue
from .partial_uploads import UPLOAD_BYTES, PartialUploads, UploadKey, require_size
from .requests import MemoryRequests
from .room import Room

_JSON_VALUE_BYTES = 64
"""What a name or a value takes beside its characters."""


@dataclass(slots=True)
class _Kept:
    caller: str
    image: StoredImage
    data: bytes
    size: int
    """With all that is kept beside the data."""
    upload: UploadKey | None = None
    delivered: bool = False


class _MemoryReservation:
    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self._left = size

    def use(self, size: int) -> None:
        used = min(size, self._left)
        self._left -= used
        self._room.reserved -= used

    def release(self) -> None:
        self.use(self._left)


class MemoryStore:
    """The store of a server that runs as one process. See the contract in generation/store.py."""

    def __init__(self, settings: StoreSettings, ids: Ids) -> None:
        """Start empty."""
        self._ttl = settings.ttl
        self._ids = ids
        self._kept: dict[str, _Kept] = {}
        self._delivered: dict[str, None] = {}
        """Those that may go when room is short, the first to go first."""
        self._finished: dict[UploadKey, str] = {}
        """Image ids of the uploads that are finished."""
        self._expiry: ExpiryQueue[str] = ExpiryQueue(settings.ttl, self._drop)
        self._room = Room(settings.max_bytes, lambda: self._drop(next(iter(self._delivered))))
        self._partials = PartialUploads(self._room, settings.ttl)
        self._requests = MemoryRequests(self._room, settings.request_ttl)
        self.undelivered = 0

    @property
    def kept_bytes(self) -> int:
        """What images and uploads take; pieces that are still to come count."""
        return self._room.kept + self._room.spare - self._requests.bytes

    @property
    def request_bytes(self) -> int:
        """What request ids take."""
        return self._requests.bytes

    @property
    def reserved_bytes(self) -> int:
        """What is set aside for images that are still to come."""
        return self._room.reserved

    async def reserve(self, size: int) -> Reservation:
        """Keep room for `size` bytes, letting delivered images go for it."""
        self._room.require(size)
        size = min(size, self._room.most)
        self._room.reserved += size
        self._room.make()
        return _MemoryReservation(self._room, size)

    async def put(
        self,
        caller: str,
        data: bytes,
        facts: ImageFacts,
        sha256: str,
        reservation: Reservation,
        *,
        metadata: Mapping[str, JsonObject] | None = None,
    ) -> StoredImage:
        """Keep an image for `ttl`."""
        if isinstance(reservation, _MemoryReservation):
            reservation.use(len(data))
        metadata = metadata or {}
        image = self._stored(facts, len(data), sha256, metadata)
        self.undelivered += 1
        size = len(data) + _json_bytes(metadata)
        self._keep(_Kept(caller, image, data, size))
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
        if kept is None or kept.delivered or kept.upload:
            return
        kept.delivered = True
        self.undelivered -= 1
        self._room.kept -= kept.size
        self._room.spare += kept.size
        self._delivered[image_id] = None
        self._room.make()

    async def add_piece(self, caller: str, sha256: str, size_bytes: int, offset: int, data: bytes) -> Upload:
        """Append a piece of an upload, or tell what is there."""
        key = (caller, sha256)
        if image_id := self._finished.get(key):
            kept = self._kept[image_id]
            require_size(kept.image.size_bytes, size_bytes)
            kept.image = replace(kept.image, expire_time=self._expire_time())
            self._expiry.renew(image_id)
            return Upload(size_bytes, image=kept.image)
        return self._partials.add(key, size_bytes, offset, data)

    async def finish_upload(self, caller: str, sha256: str, facts: ImageFacts) -> StoredImage:
        """Make an image of a whole upload."""
        key = (caller, sha256)
        if image_id := self._finished.get(key):
            return self._kept[image_id].image
        if (data := self._partials.take(key)) is None:
            raise ImageError(Reason.IMAGE_NOT_FOUND, "there is no such upload, or not all of it; it may have expired")
        image = self._stored(facts, len(data), sha256, {})
        self._finished[key] = image.image_id
        self._keep(_Kept(caller, image, data, len(data) + UPLOAD_BYTES, upload=key))
        return image

    async def drop_upload(self, caller: str, sha256: str) -> None:
        """Forget an upload that is not finished."""
        self._partials.drop((caller, sha256))

    async def claim(self, caller: str, request_id: str, record: RequestRecord) -> RequestRecord | None:
        """Take a request_id, or learn who has it."""
        return self._requests.claim(caller, request_id, record)

    async def find(self, caller: str, request_id: str) -> RequestRecord | None:
        """Tell what a request_id stands for."""
        return self._requests.find(caller, request_id)

    async def settle(self, caller: str, request_id: str, failure: Broken | None) -> None:
        """Note that the generation has ended."""
        self._requests.settle(caller, request_id, failure)

    async def free(self, caller: str, request_id: str) -> None:
        """Forget a request_id."""
        self._requests.free(caller, request_id)

    async def close(self) -> None:
        """Let go of everything."""
        self._expiry.close()
        for image_id in list(self._kept):
            self._drop(image_id)
        self._partials.close()
        self._requests.close()

    def _expire_time(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ttl)

    def _stored(
        self, facts: ImageFacts, size_bytes: int, sha256: str, metadata: Mapping[str, JsonObject]
    ) -> StoredImage:
        return StoredImage(
            image_id=self._ids.new("img"),
            expire_time=self._expire_time(),
            facts=facts,
            size_bytes=size_bytes,
            sha256=sha256,
            metadata=metadata,
        )

    def _keep(self, kept: _Kept) -> None:
        self._kept[kept.image.image_id] = kept
        self._expiry.renew(kept.image.image_id)
        self._room.kept += kept.size
        self._room.make()

    def _drop(self, image_id: str) -> None:
        kept = self._kept.pop(image_id)
        self._expiry.discard(image_id)
        if kept.delivered:
            del self._delivered[image_id]
            self._room.spare -= kept.size
            return
        self._room.kept -= kept.size
        if kept.upload:
            del self._finished[kept.upload]
        else:
            self.undelivered -= 1


def _json_bytes(value: object) -> int:
    """Estimate what a JSON value takes in memory. An empty object takes nothing: most images have no more."""
    if isinstance(value, Mapping):
        return sum(2 * _JSON_VALUE_BYTES + len(key) + _json_bytes(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(_JSON_VALUE_BYTES + _json_bytes(item) for item in value)
    return len(value) if isinstance(value, str) else 0
