"""The keys of the table of such a server."""

from dataclasses import dataclass

_SLOWEST = 60.0


@dataclass(frozen=True, slots=True)
class SdapiSettings:
    """How a server is asked, and with whom it is shared.

    `shared`: others may use it, too. False: whatever it does is ours, which must be said for servers that do not tell
    whose work they do, or they show no previews and are not interrupted.
    `poll_seconds`: seconds between two questions how far a picture is.
    `preview_steps`: after how many steps the server makes a new preview; 0 = as its own settings say.
    `batch_size`: pictures that one request makes at once, if no previews are wanted. Memory on the GPU limits it.

    :raises ValueError: a number that is out of its range
    """

    shared: bool = True
    poll_seconds: float = 0.5
    preview_steps: int = 1
    batch_size: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0.05 <= self.poll_seconds <= _SLOWEST:  # noqa: PLR2004 - that often nobody looks
            raise ValueError(f"poll_seconds: 0.05 to {_SLOWEST:.0f} seconds")
        if self.preview_steps < 0:
            raise ValueError("preview_steps: at least 0")
        if self.batch_size < 1:
            raise ValueError("batch_size: at least 1")
