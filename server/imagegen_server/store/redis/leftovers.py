"""Finished images that Redis did not take: they are paid for, so this process keeps them."""

from imagegen_server.domain.result import StoredImage
from imagegen_server.store.expiry import ExpiryQueue


class Leftovers:
    """Images in this process's memory for their whole time. Only this process can serve them."""

    def __init__(self, ttl: float) -> None:
        """Hold none."""
        self._kept: dict[str, tuple[str, StoredImage, bytes]] = {}
        self._undelivered: set[str] = set()
        self._expiry: ExpiryQueue[str] = ExpiryQueue(ttl, self._drop)

    @property
    def undelivered(self) -> int:
        """Those that nobody has received."""
        return len(self._undelivered)

    def keep(self, caller: str, image: StoredImage, data: bytes) -> None:
        """Hold an image on."""
        self._kept[image.image_id] = caller, image, data
        self._undelivered.add(image.image_id)
        self._expiry.renew(image.image_id)

    def get(self, caller: str, image_id: str) -> tuple[StoredImage, bytes] | None:
        """Look one up; None = it is not here."""
        whose, image, data = self._kept.get(image_id, ("", None, b""))
        return (image, data) if image is not None and whose == caller else None

    def delivered(self, image_id: str) -> bool:
        """Note that somebody has it; tells whether it is one of these."""
        self._undelivered.discard(image_id)
        return image_id in self._kept

    @property
    def names(self) -> list[tuple[str, str]]:
        """Callers and ids of all of them."""
        return [(caller, image_id) for image_id, (caller, _, _) in self._kept.items()]

    def some(self) -> tuple[str, StoredImage, bytes] | None:
        """Give one of them with its caller, the oldest; None = there are none."""
        return next(iter(self._kept.values()), None)

    def seconds_left(self, image_id: str) -> float:
        """Tell how long one of them is held on, whatever has become of the clock on the wall."""
        return self._expiry.seconds_left(image_id)

    def let_go(self, image_id: str) -> None:
        """Hold one no more: others have it."""
        self._expiry.discard(image_id)
        if image_id in self._kept:
            self._drop(image_id)

    def is_undelivered(self, image_id: str) -> bool:
        """Tell whether nobody has received one."""
        return image_id in self._undelivered

    def close(self) -> None:
        """Let go of everything."""
        self._expiry.close()
        self._kept.clear()
        self._undelivered.clear()

    def _drop(self, image_id: str) -> None:
        del self._kept[image_id]
        self._undelivered.discard(image_id)
