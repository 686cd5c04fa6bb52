"""Where a shared store keeps the bytes of images: in Redis, or wherever these two methods lead."""

from typing import Protocol


class BytesStore(Protocol):
    """Holds bytes by name for a time. What stands beside them, and whether they still count, is kept elsewhere.

    So nothing is ever taken out by name: bytes that nothing names any more wait for their time.
    """

    async def put(self, name: str, data: bytes, ttl: float) -> None:
        """Keep bytes under a new name for at least `ttl` seconds.

        :raises ImageError: STORE_UNAVAILABLE if they cannot be kept
        """

    async def get(self, name: str) -> bytes | None:
        """Read the bytes of a name; None = they are not there.

        :raises ImageError: STORE_UNAVAILABLE if nobody can tell
        """
