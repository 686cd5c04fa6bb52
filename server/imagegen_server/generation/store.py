"""The contract of the store that holds finished images until their time."""

from dataclasses import dataclass
from typing import Protocol

from imagegen_server.domain.image import ImageFacts
from imagegen_server.domain.result import StoredImage


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """`ttl` in seconds: how long an image is kept. `max_bytes`: how much is kept in all."""

    ttl: float = 15 * 60
    max_bytes: int = 512 * 1024 * 1024


class Reservation(Protocol):
    """Room in the store for images that are still to come."""

    def release(self) -> None:
        """Give back what was not used. May be called twice."""


class ImageStore(Protocol):
    """Holds images by id, each for the caller it belongs to and nobody else.

    When room is short, images that reached their caller whole go first, in the order in which they did. What nobody
    has received is kept until its time; only when that fills the store is new work refused.
    """

    async def reserve(self, size: int) -> Reservation:
        """Keep room for `size` bytes.

        :raises ImageError: SERVER_BUSY if what must be kept leaves no room
        """

    async def put(
        self, caller: str, data: bytes, facts: ImageFacts, sha256: str, reservation: Reservation
    ) -> StoredImage:
        """Keep an image, drawing on the reservation. Never refuses: the image is paid for."""

    async def get(self, caller: str, image_id: str) -> tuple[StoredImage, bytes]:
        """Look an image up.

        :raises ImageError: IMAGE_NOT_FOUND, WRONG_INSTANCE
        """

    def delivered(self, image_id: str) -> None:
        """Note that the caller has received the whole image; it may go when room is short."""

    @property
    def undelivered(self) -> int:
        """Images that nobody has received yet."""
