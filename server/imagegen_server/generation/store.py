"""The contract of the store: finished images and uploads until their time, and what became of each request_id.

tests/unit/store/contract.py is this contract as tests, for every store there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from imagegen_server.domain.events import Broken
from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import StoredImage


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How long and how much is kept.

    `ttl` in seconds: how long an image or an upload is kept. `max_bytes`: how much is kept in all. `request_ttl` in
    seconds: how long a request_id is remembered after its generation has ended.
    """

    ttl: float = 15 * 60
    max_bytes: int = 512 * 1024 * 1024
    request_ttl: float = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Upload:
    """What is there of an upload.

    `committed_bytes` is the offset of the next piece. `data` is the whole upload, if every piece is there and nobody
    has finished it yet. `image` is set once it is finished.
    """

    committed_bytes: int
    data: bytes | None = field(default=None, repr=False)
    image: StoredImage | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What a request_id stands for.

    `fingerprints` are those of the requests that mean this generation. `ended`: it runs no more. `failure` is how it
    ended, if the same failure is to be told again.
    """

    generation_id: str
    fingerprints: frozenset[str]
    ended: bool = False
    failure: Broken | None = None


class Reservation(Protocol):
    """Room in the store for images that are still to come."""

    def release(self) -> None:
        """Give back what was not used. May be called twice."""


class ImageStore(Protocol):
    """Holds images by id, each for the caller it belongs to and nobody else.

    When room is short, images that reached their caller whole go first, in the order in which they did. What nobody
    has received, and uploads, are kept until their time; only when that fills the store is new work refused.
    """

    async def reserve(self, size: int) -> Reservation:
        """Keep room for `size` bytes.

        :raises ImageError: SERVER_BUSY if what must be kept leaves no room
        """

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
        """Keep an image, drawing on the reservation. Never refuses: the image is paid for."""

    async def get(self, caller: str, image_id: str) -> tuple[StoredImage, bytes]:
        """Look an image or a finished upload up. That alone does not count as delivered.

        :raises ImageError: IMAGE_NOT_FOUND; WRONG_INSTANCE if it may be in the memory of another process
        """

    def delivered(self, image_id: str) -> None:
        """Note that the caller has received the whole image; it may go when room is short. An upload stays."""

    @property
    def undelivered(self) -> int:
        """Images that nobody has received yet, and that would end with this process.

        Uploads are none: their caller has the bytes.
        """

    async def add_piece(self, caller: str, sha256: str, size_bytes: int, offset: int, data: bytes) -> Upload:
        """Append a piece to the caller's upload of this SHA-256, or ask with no data how much of it is there.

        The piece lies within `size_bytes`. What is there already is skipped, unread. A piece that begins behind what
        is there is left alone, which the answer shows. Room is taken as pieces come. An unfinished upload
        is forgotten `ttl` after the last piece that added something; asking for a finished one gives it a new `ttl`
        under the same id.

        :raises ImageError: INVALID_REQUEST naming size_bytes if the upload was begun with another; SERVER_BUSY
        """

    async def finish_upload(self, caller: str, sha256: str, facts: ImageFacts) -> StoredImage:
        """Make an image of a whole upload whose SHA-256 was found to be true. Finished twice, it is still one image.

        :raises ImageError: IMAGE_NOT_FOUND if no whole upload is there
        """

    async def drop_upload(self, caller: str, sha256: str) -> None:
        """Forget an upload that is not finished, if it is there."""


class RequestIndex(Protocol):
    """Remembers, for each caller, what a request_id stands for, so that nothing is bought twice."""

    async def claim(self, caller: str, request_id: str, record: RequestRecord) -> RequestRecord | None:
        """Take a request_id, or learn who has it. None = it is taken now, by this record.

        Of several at once exactly one gets None. A claim holds until it is settled or freed. It is never let go to
        make room.

        :raises ImageError: SERVER_BUSY if what must be kept leaves no room
        """

    async def find(self, caller: str, request_id: str) -> RequestRecord | None:
        """Tell what a request_id stands for; None = nothing that is remembered."""

    async def settle(self, caller: str, request_id: str, failure: Broken | None) -> None:
        """Note that the generation has ended, and remember that for `request_ttl` from now. Never refused."""

    async def free(self, caller: str, request_id: str) -> None:
        """Forget a request_id: whoever comes next may claim it."""


class Store(ImageStore, RequestIndex, Protocol):
    """All that a server keeps."""

    async def close(self) -> None:
        """Let go of what this process holds."""
