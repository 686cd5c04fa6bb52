"""What grpc hands to a servicer, without a server."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc


class Aborted(Exception):
    """The call was ended with a status."""

    def __init__(self, code: grpc.StatusCode, message: str, trailers: Any) -> None:
        """Keep it for the test."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.trailers = dict(trailers)


@dataclass
class FakeContext:
    """Records what a servicer does to its call."""

    time_left: float | None = None
    metadata: list[tuple[str, str]] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    callbacks: list[Callable[[Any], None]] = field(default_factory=list)
    broken: BaseException | None = None
    """Raised when something is sent."""

    def time_remaining(self) -> float | None:
        """Tell what the deadline leaves."""
        return self.time_left

    async def send_initial_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        """Commit the call."""
        if self.broken:
            raise self.broken
        self.metadata += metadata

    async def write(self, message: bytes) -> None:
        """Send a message of a stream."""
        if self.broken:
            raise self.broken
        self.written.append(message)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Hear of the end of the call."""
        self.callbacks.append(callback)

    async def abort(self, code: grpc.StatusCode, message: str = "", trailers: Any = ()) -> NoReturn:
        """End the call."""
        raise Aborted(code, message, trailers)

    def end(self, *, cancelled: bool = False) -> None:
        """Let the call be over."""
        self.cancelled_by_client = cancelled
        for callback in self.callbacks:
            callback(self)

    def cancelled(self) -> bool:
        """Tell, as the finished call, whether it was cancelled."""
        return self.cancelled_by_client
