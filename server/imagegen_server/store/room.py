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
        self.lasting = 0
        """Of what is kept: what stays for a day. It takes no more than half, so that images always find room."""
        self.reserved = 0
        self.spare = 0

    @property
    def most(self) -> int:
        """The most that can be had at once: a wait for more would be for ever."""
        return self.max_bytes - self.lasting

    def require(self, size: int, *, lasting: bool = False) -> None:
        """See that `size` more bytes that must be kept fit. What is more than `most` fits when nothing else is there.

        :raises ImageError: SERVER_BUSY with a wait
        """
        full = self.kept + self.reserved + min(size, self.most) > self.max_bytes
        if full or (lasting and self.lasting + size > self.max_bytes // 2):
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
