"""What may be in hand at once, in calls and in bytes. What does not fit is refused at once."""

from dataclasses import dataclass

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.task import Task

_RETRY_SECONDS = 1.0
_UNKNOWN_IMAGE_BYTES = 16 * 1024 * 1024
_SMALLEST_ESTIMATE = 64 * 1024
_BYTES_PER_PIXEL = {"png": 3, None: 3, "jpeg": 1, "jpg": 1, "webp": 1}


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """The most calls, and bytes of images, that may be in hand at once."""

    max_calls: int = 1000
    max_bytes_in_flight: int = 1024 * 1024 * 1024


class Ticket:
    """The right of one call, or of its bytes alone, to be in hand. The bytes follow what the call really holds."""

    def __init__(self, admission: "Admission", size: int, *, calls: int) -> None:
        """Made by Admission only."""
        self._admission = admission
        self._size = size
        self._calls = calls
        self._released = False

    @property
    def released(self) -> bool:
        """The call counts no more."""
        return self._released

    def grow(self, size: int) -> None:
        """Count `size` more bytes that are still to come.

        :raises ImageError: SERVER_BUSY with a wait
        """
        self._admission.require_room(size, held=self._size)
        self.add(size)

    def add(self, size: int) -> None:
        """Count `size` more bytes, or less when negative. Never refused: they are here already."""
        if not self._released:
            self._size += size
            self._admission.bytes_in_flight += size

    def release(self) -> None:
        """End the call. May be called twice."""
        if not self._released:
            self._admission.bytes_in_flight -= self._size
            self._admission.calls -= self._calls
            self._released = True


class Admission:
    """Counts what is in hand."""

    def __init__(self, settings: AdmissionSettings) -> None:
        """Start with nothing in hand."""
        self._settings = settings
        self.calls = 0
        self.bytes_in_flight = 0

    def admit(self, size: int) -> Ticket:
        """Take a call of `size` bytes in hand.

        :raises ImageError: SERVER_BUSY with a wait
        """
        if self.calls >= self._settings.max_calls:
            raise ImageError(
                Reason.SERVER_BUSY,
                f"{self.calls} calls are in hand, as many as this server takes",
                retry_after=_RETRY_SECONDS,
            )
        self.require_room(size, held=0)
        self.calls += 1
        self.bytes_in_flight += size
        return Ticket(self, size, calls=1)

    def hold(self, size: int) -> Ticket:
        """Take `size` bytes in hand that belong to a call which is counted already.

        :raises ImageError: SERVER_BUSY with a wait
        """
        self.require_room(size, held=0)
        self.bytes_in_flight += size
        return Ticket(self, size, calls=0)

    def require_room(self, size: int, *, held: int) -> None:
        """See that `size` more bytes fit, for a call that holds `held` already.

        A call alone always fits: refusing it with a wait would refuse it for ever.

        :raises ImageError: SERVER_BUSY with a wait
        """
        alone = self.bytes_in_flight == held
        if not alone and self.bytes_in_flight + size > self._settings.max_bytes_in_flight:
            raise ImageError(
                Reason.SERVER_BUSY,
                f"{self.bytes_in_flight} bytes of images are in flight and this call may need {size} more; "
                f"this server holds at most {self._settings.max_bytes_in_flight}",
                retry_after=_RETRY_SECONDS,
            )


def estimate_image_bytes(task: Task) -> int:
    """Guess the bytes of one finished image, generously: PNG 3 and lossy formats 1 byte a pixel."""
    size, per_pixel = task.options.size or task.usual_size, _BYTES_PER_PIXEL.get(task.options.format)
    if size is None or per_pixel is None:
        return _UNKNOWN_IMAGE_BYTES
    return min(MAX_IMAGE_BYTES, max(_SMALLEST_ESTIMATE, size.width * size.height * per_pixel))
