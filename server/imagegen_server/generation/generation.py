"""One generation: its identity, its log, who reads it, and what stops it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, Progress
from imagegen_server.domain.result import GenerationFailure

from .admission import Ticket
from .log import Log
from .middleware import Context
from .plan import Plan
from .store import Reservation


class BrokenGeneration(Exception):
    """A generation ended without any image."""

    def __init__(self, error: ImageError, failure: GenerationFailure) -> None:
        """Carry both to whoever reads it."""
        super().__init__(error.message)
        self.error = error
        self.failure = failure


def do_nothing() -> None:
    """Stand for what hears of a change while nobody does."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done. Held until it is done, for it has the bytes of all input images."""

    plan: Plan
    context: Context
    reservation: Reservation


@dataclass(slots=True, eq=False)
class Generation:
    """A wish on its way to its images. Times on the event loop's clock, in seconds.

    `detached`: it goes on when nobody reads it. `ticket` counts what it holds in memory: all of it while it runs or is
    read, nothing while it rests.
    """

    id: str
    request_id: str
    caller: str
    model: str
    count: int
    log: Log
    ticket: Ticket
    start_time: float
    detached: bool
    work: Work | None
    release_caller: Callable[[], None] = do_nothing
    """Ends what this generation counts for in the limits of its caller."""
    launched: bool = False
    elsewhere: bool = False
    """It runs in another process, and `log` is a copy."""
    told: bool = False
    """Somebody has heard of its end."""
    undelivered: set[str] = field(default_factory=set)
    """Ids of its images that nobody has received whole."""
    last_progress: Progress = field(default_factory=Progress)
    stop_error: ImageError | None = None
    on_stop: Callable[[], None] = do_nothing
    """What stops the requests that run, if any do."""
    on_deadline: Callable[[], None] = do_nothing
    """What hears that the deadline has moved."""
    _deadlines: dict[object, float | None] = field(default_factory=dict)
    """Of those who read; None = as long as it takes."""

    @property
    def readers(self) -> int:
        """How many read."""
        return len(self._deadlines)

    @property
    def deadline(self) -> float | None:
        """When it ends at the latest, as far as its readers say: the last of their deadlines; None = never."""
        if self.detached or not self._deadlines:
            return None
        latest = None
        for deadline in self._deadlines.values():
            if deadline is None:
                return None
            latest = deadline if latest is None else max(latest, deadline)
        return latest

    @contextmanager
    def reading(self, deadline: float | None = None) -> Iterator[Log]:
        """Read the log. When the last reader leaves before the end, it is stopped unless it is detached."""
        reader = object()
        self._deadlines[reader] = deadline
        self.on_deadline()
        try:
            yield self.log
        finally:
            del self._deadlines[reader]
            if self._deadlines:
                self.on_deadline()
            elif self.log.ended:
                self.rest()
            elif self.launched and not self.detached:
                self.stop(ImageError(Reason.CANCELLED, "every reader has left"))

    def detach(self) -> None:
        """Let it go on from now on when nobody reads it."""
        if not self.detached:
            self.detached = True
            self.on_deadline()

    def stop(self, error: ImageError) -> None:
        """End it now, for the reason given. Images that are finished are kept."""
        if self.stop_error is None and not self.log.ended:
            self.stop_error = error
            self.on_stop()

    def end(self, outcome: Finished | Broken) -> None:
        """Write the last entry and let go of all that only a running one needs."""
        if self.work is not None:
            self.work.reservation.release()
            self.work = None
        self.release_caller()
        self.log.append(outcome)
        self.stop_error = None  # the outcome has it
        if not self._deadlines:
            self.rest()

    def rest(self) -> None:
        """Hold no bytes until somebody reads it again; the store has the images."""
        self.log.rest()
        self.ticket.release()
        self._deadlines = {}  # one that was filled keeps its room
