"""One generation: its identity, its log, and who still reads it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, Progress

from .admission import Ticket
from .log import Log
from .plan import Plan
from .store import Reservation


def do_nothing() -> None:
    """Stand for what stops a generation while there is nothing to stop."""


@dataclass(slots=True, eq=False)
class Generation:
    """A wish on its way to its images. Times on the event loop's clock, in seconds; deadline None = none."""

    id: str
    request_id: str
    caller: str
    plan: Plan
    log: Log
    ticket: Ticket
    reservation: Reservation
    start_time: float
    deadline: float | None
    last_progress: Progress = field(default_factory=Progress)
    stop_error: ImageError | None = None
    on_stop: Callable[[], None] = do_nothing
    """What stops the requests that run, if any do."""
    readers: int = 0

    @contextmanager
    def reading(self) -> Iterator[Log]:
        """Read the log. When the last reader leaves before the end, the generation is stopped."""
        self.readers += 1
        try:
            yield self.log
        finally:
            self.readers -= 1
            if self.readers == 0:
                if self.log.ended:
                    self.ticket.release()
                else:
                    self.stop(ImageError(Reason.CANCELLED, "every reader has left"))

    def stop(self, error: ImageError) -> None:
        """End it now, for the reason given. Images that are finished are kept."""
        if self.stop_error is None and not self.log.ended:
            self.stop_error = error
            self.on_stop()

    def end(self, outcome: Finished | Broken) -> None:
        """Write the last entry and give back what was held for images that did not come."""
        self.reservation.release()
        self.log.append(outcome)
        if self.readers == 0:
            self.ticket.release()
