"""The bytes that a store in memory may hold."""

from collections.abc import Callable

from imagegen_server.domain.errors import ImageError, Reason

_BUSY_RETRY_SECONDS = 5.0


class Room:
    """Counts what is held: what must be kept, what is reserved for more of that, and what may go."""

    def __init__(self, max_bytes: int, let_go: Callable[[], None]) -> None:
        """`let_go` lets one of those go that may, the first to go first."""
        self.max_bytes = max_bytes
        self._let_go = let_go
        self.kept = 0
        self.reserved = 0
        self.spare = 0

    def require(self, size: int) -> None:
        """See that `size` more bytes that must be kept fit.

        What is more than the whole store is taken when it is empty: a wait would be for ever.

        :raises ImageError: SERVER_BUSY with a wait
        """
        if self.kept + self.reserved + min(size, self.max_bytes) > self.max_bytes:
            raise ImageError(
                Reason.SERVER_BUSY,
                "the store is full of images that nobody has read yet, uploads and request ids; "
                "read the images, or ask again later",
                retry_after=_BUSY_RETRY_SECONDS,
            )

    def make(self) -> None:
        """Let go what may, until all fits."""
        while self.spare and self.kept + self.reserved + self.spare > self.max_bytes:
            self._let_go()
