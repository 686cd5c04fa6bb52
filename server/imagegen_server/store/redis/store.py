"""Images, uploads and request ids in Redis, for every server process that shares it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import structlog

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import StoredImage
from imagegen_server.generation.ids import Ids
from imagegen_server.generation.store import RequestRecord, Reservation, StoreSettings, Upload
from imagegen_server.store.bytes import BytesStore
from imagegen_server.store.partial_uploads import require_size

from .clock import RedisClock
from .codec import decode, encode
from .connection import Connection, RedisBytes
from .leftovers import Leftovers
from .limits import RedisCallerLimits
from .peers import RedisPeers
from .requests import RedisRequests, busy, pair
from .room import (
    ADD_PIECE,
    DELIVERED,
    DROP_UPLOAD,
    FINISH,
    FORGET,
    GIVE_BACK,
    IMAGE_BYTES,
    KEPT_ELSEWHERE,
    PUT,
    RESERVE,
)
from .settings import BYTES_SECONDS, RedisSettings
from .worker import MICROSECONDS, Worker

_BYTES_SLACK_SECONDS = 60.0
"""So much longer bytes live than what tells of them, which is written after them."""

_SHORTEST_SECONDS = 0.001

_logger = structlog.get_logger("imagegen.store")


class _Reserved:
    def __init__(self, worker: Worker, name: str, size: int) -> None:
        self.name = name
        self._worker = worker
        self.left = size

    def use(self, size: int) -> int:
        self.left = max(0, self.left - size)
        return self.left

    def release(self) -> None:
        if self.left:
            self.left = 0
            self._worker.owe(self.name, GIVE_BACK, self._worker.name, self.name, 0)


class RedisStore:
    """The store of servers that are several processes. See the contract in generation/store.py.

    `undelivered` counts what Redis has refused and this process therefore holds itself: all else outlives it.
    """

    def __init__(
        self, settings: StoreSettings, connection: Connection, ids: Ids, image_bytes: BytesStore | None = None
    ) -> None:
        """Nothing is sent yet. `image_bytes` None = images lie in Redis, too."""
        self.worker = Worker(connection, ids.tag, settings.max_bytes, settings.request_ttl)
        self.peers = RedisPeers(self.worker, settings.ttl)
        self.limits = RedisCallerLimits(self.worker)
        self._connection = connection
        self._ids = ids
        self._ttl = settings.ttl
        self._bytes = image_bytes or RedisBytes(connection)
        self._requests = RedisRequests(self.worker)
        self._leftovers = Leftovers(settings.ttl)
        self._moving: asyncio.Task[None] | None = None
        self._clock = RedisClock(connection)
        self.worker.on_beat.append(self._clock.look)
        self.worker.on_beat.append(self._move_soon)
        self.worker.on_return.append(self._tell_all_kept)

    async def start(self) -> None:
        """See that Redis is there and fit for this, and let it know of this process.

        :raises OSError: it is not
        """
        await self._connection.check()
        try:
            await self.worker.start()
        except ImageError as error:
            raise ConnectionError(f"store.url: {error.message}") from None

    @property
    def undelivered(self) -> int:
        """Images that are in this process alone, and that nobody has received."""
        return self._leftovers.undelivered

    async def reserve(self, size: int) -> Reservation:
        """Keep room for `size` bytes, letting delivered images go for it."""
        if self._leftovers.some() is not None:
            # What is bought now would not be taken either, and would fill this process' memory.
            raise ImageError(
                Reason.STORE_UNAVAILABLE,
                "the server's store has not taken the last images yet, and they lie in this process; "
                "nothing new is bought until it has",
            )
        name = self._ids.new("room")
        try:
            taken = await self.worker.run(RESERVE, self.worker.name, name, size)
        except BaseException:
            self.worker.owe(name, GIVE_BACK, self.worker.name, name, 0)
            raise
        if taken == b"busy":
            raise busy()
        return _Reserved(self.worker, name, int(cast("bytes", taken)))

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
        """Keep an image for `ttl`. If Redis does not take it, this process keeps it and serves it by itself."""
        metadata = metadata or {}
        image_id = self._ids.new("img")
        image = StoredImage(image_id, self._clock.now(), facts, len(data), sha256, metadata)
        name, left = "", 0
        if isinstance(reservation, _Reserved):
            name, left = reservation.name, reservation.use(len(data))
        try:
            return await self._put(caller, image, data, self._ttl, (name, left))
        except ImageError as error:
            _logger.error("image kept in this process", image_id=image_id, problem=error.message)  # noqa: TRY400
            if name:
                self.worker.owe(name, GIVE_BACK, self.worker.name, name, left)
            self._tell_kept(caller, image_id)
            image = replace(image, expire_time=self._clock.now() + timedelta(seconds=self._ttl))
            self._leftovers.keep(caller, image, data)
            return image

    def _tell_kept(self, caller: str, image_id: str) -> None:
        """Let others know, as soon as Redis takes that much, that an image is here and not gone."""
        ttl = max(1, round(self._ttl * 1000))
        self.worker.owe(("kept", image_id), KEPT_ELSEWHERE, image_id, caller, ttl)

    async def _tell_all_kept(self) -> None:
        for caller, image_id in self._leftovers.names:
            self._tell_kept(caller, image_id)

    async def _put(
        self, caller: str, image: StoredImage, data: bytes, ttl: float, reservation: tuple[str, int]
    ) -> StoredImage:
        """`reservation`: its name, and what is left of it; "" = there is none."""
        said = encode(image)
        size = IMAGE_BYTES + len(data) + (len(json.dumps(image.metadata, default=dict)) if image.metadata else 0)
        await self._bytes.put(image.image_id, data, ttl + _BYTES_SLACK_SECONDS)
        expiry = await self.worker.run(
            *(PUT, image.image_id, caller, said, size, round(ttl * MICROSECONDS)), self.worker.name, *reservation
        )
        return _with_expiry(image, expiry)

    async def _move_soon(self) -> None:
        """Begin to move a leftover; a sign of life does not wait for an image."""
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._move_leftovers())

    async def _move_leftovers(self) -> None:
        """Give Redis the images that it did not take before, so that other processes have them, too."""
        while (some := self._leftovers.some()) is not None:
            caller, image, data = some
            left = max(self._leftovers.seconds_left(image.image_id), _SHORTEST_SECONDS)
            try:
                await self._put(caller, image, data, left, ("", 0))
            except ImageError:
                return
            unread = self._leftovers.is_undelivered(image.image_id)
            self._leftovers.let_go(image.image_id)
            if not unread:
                self.delivered(image.image_id)
            _logger.info("image shared after all", image_id=image.image_id)

    async def get(self, caller: str, image_id: str) -> tuple[StoredImage, bytes]:
        """Look an image up for the caller it belongs to."""
        self._ids.check(image_id, Reason.IMAGE_NOT_FOUND)
        if (left := self._leftovers.get(caller, image_id)) is not None:
            return left
        prefix = self._connection.prefix
        whose, said, expiry, uploaded = await self._connection.ask(
            "HMGET", f"{prefix}i:{image_id}", "caller", "said", "expiry", "upload"
        )
        data = await self._bytes.get(image_id) if whose == caller.encode() else None
        if whose is None and await self._connection.ask("GET", f"{prefix}k:{image_id}") == caller.encode():
            raise ImageError(
                Reason.STORE_UNAVAILABLE,
                "the store has not taken this image yet; another server process holds it, and will hand it over",
            )
        if data is None:
            if whose == caller.encode() and uploaded is not None:
                # A bucket's rule was faster. Its next upload shall bring the bytes, and not be told that they are here.
                await self.worker.run(FORGET, image_id)
            raise ImageError(Reason.IMAGE_NOT_FOUND, "there is no such image; it may have expired")
        return _with_expiry(decode(said), expiry), data

    def delivered(self, image_id: str) -> None:
        """Note that the image may go when room is short."""
        if not self._leftovers.delivered(image_id):
            self.worker.owe(("delivered", image_id), DELIVERED, image_id)

    async def add_piece(self, caller: str, sha256: str, size_bytes: int, offset: int, data: bytes) -> Upload:
        """Append a piece of an upload, or tell what is there."""
        name = pair(caller, sha256)
        ttl = round(self._ttl * MICROSECONDS)
        while True:
            found = await self.worker.run(ADD_PIECE, name, size_bytes, offset, data, ttl, seconds=BYTES_SECONDS)
            word, *rest = cast("Sequence[bytes]", found)
            if word == b"busy":
                raise busy()
            if word == b"size":
                require_size(int(rest[0]), size_bytes)
            if word == b"image":
                return Upload(size_bytes, image=_with_expiry(decode(rest[1]), rest[2]))
            committed = int(rest[0])
            if committed < size_bytes:
                return Upload(committed)
            if (whole := await self._whole(name, size_bytes)) is not None:
                return Upload(committed, whole)
            data = b""  # somebody else has finished or dropped it meanwhile

    async def finish_upload(self, caller: str, sha256: str, facts: ImageFacts) -> StoredImage:
        """Make an image of a whole upload."""
        name, image_id = pair(caller, sha256), self._ids.new("img")
        data = await self._whole(name)
        ttl = round(self._ttl * MICROSECONDS)
        said, size = "", 0
        if data is None:
            image_id = ""  # it may be finished already
        else:
            size = len(data)
            said = encode(StoredImage(image_id, self._clock.now(), facts, size, sha256, {}))
            await self._bytes.put(image_id, data, self._ttl + _BYTES_SLACK_SECONDS)
        made = await self.worker.run(FINISH, name, image_id, caller, said, size, ttl)
        if not made:
            raise ImageError(Reason.IMAGE_NOT_FOUND, "there is no such upload, or not all of it; it may have expired")
        _, said_then, expiry = cast("Sequence[bytes]", made)
        return _with_expiry(decode(said_then), expiry)

    async def drop_upload(self, caller: str, sha256: str) -> None:
        """Forget an upload that is not finished."""
        await self.worker.run(DROP_UPLOAD, pair(caller, sha256))

    async def claim(self, caller: str, request_id: str, record: RequestRecord) -> RequestRecord | None:
        """Take a request_id, or learn who has it."""
        return await self._requests.claim(caller, request_id, record)

    async def find(self, caller: str, request_id: str) -> RequestRecord | None:
        """Tell what a request_id stands for."""
        return await self._requests.find(caller, request_id)

    async def settle(self, caller: str, request_id: str, failure: Broken | None) -> None:
        """Note that the generation has ended."""
        await self._requests.settle(caller, request_id, failure)

    async def free(self, caller: str, request_id: str) -> None:
        """Forget a request_id."""
        await self._requests.free(caller, request_id)

    async def close(self) -> None:
        """Let go of what this process holds, and hang up. May be called twice."""
        await self.worker.close()
        if self._moving is not None:
            await self._moving
        self._leftovers.close()
        await self._connection.close()

    async def _whole(self, name: str, size: int | None = None) -> bytes | None:
        """Read an upload that is not finished; None = it is not there, or not whole."""
        prefix = self._connection.prefix
        declared, data = await self._connection.ask(
            "MGET", f"{prefix}u:{name}", f"{prefix}d:{name}", seconds=BYTES_SECONDS
        )
        if declared is None or data is None or len(data) != int(declared) or size not in {None, len(data)}:
            return None
        return cast("bytes", data)


def open_store(
    settings: StoreSettings, reached: RedisSettings, ids: Ids, image_bytes: BytesStore | None = None
) -> RedisStore:
    """Make the store of one process. `image_bytes` None = images lie in Redis, too."""
    return RedisStore(settings, Connection(reached), ids, image_bytes)


def _with_expiry(image: StoredImage, expiry: object) -> StoredImage:
    """Set the time, which is that of Redis' clock, in microseconds."""
    microseconds = int(cast("bytes", expiry))
    seconds, rest = divmod(microseconds, MICROSECONDS)
    time = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    return StoredImage(image.image_id, time, image.facts, image.size_bytes, image.sha256, image.metadata)
