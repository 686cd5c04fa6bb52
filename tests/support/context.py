"""What grpc hands to a servicer, without a server."""

from collections.abc import Callable, Mapping, Sequence
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
    given_metadata: Sequence[tuple[str, str]] = ()
    """What the client sent with its call."""
    peer_facts: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    """What the transport knows of the client, as its certificate tells."""

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        """Tell what the client sent with its call."""
        return self.given_metadata

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """Tell what the client's certificate says."""
        return self.peer_facts

    def peer(self) -> str:
        """Tell the client's address."""
        return "ipv4:192.0.2.1:7"

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
