"""The contract by which server processes that share a store read and stop each other's generations."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from imagegen_server.domain.events import LogEvent


@dataclass(frozen=True, slots=True)
class Card:
    """What is told of a generation beside its log."""

    generation_id: str
    request_id: str
    caller: str
    model: str
    count: int


@dataclass(frozen=True, slots=True)
class Copied:
    """An entry of a log. `elapsed` in seconds since the generation began: clocks of different processes differ.

    The bytes of pictures are not in `event`.
    """

    first: int
    last: int
    elapsed: float
    event: LogEvent


class Word(Enum):
    """What one process tells another of a generation that runs there."""

    CANCEL = "cancel"
    DETACH = "detach"
    READ = "read"
    """Somebody reads it here, at most for so many seconds; None = as long as it takes."""
    LEFT = "left"
    """Nobody reads it here any more."""


@dataclass(frozen=True, slots=True)
class Message:
    """What `sender` has to say. Processes are named by the tag of the ids that they make."""

    sender: str
    word: Word
    generation_id: str
    seconds: float | None = None


class Peers(Protocol):
    """The other processes, and what is shared with them of logs.

    Everything raises ImageError with STORE_UNAVAILABLE where the store does not answer, which it is given a time for.
    """

    async def write(self, card: Card, age: float, entries: Sequence[Copied], *, behind: int) -> bool:
        """Put entries into the shared copy of a log, and keep the copy `ttl` from now. What is there is left alone.

        `age`: so many seconds ago the generation began. `behind`: the first number of the entry that is there already,
        0 = none; False = it is not, because the store has forgotten it, and nothing was written.
        """

    async def write_preview(self, generation_id: str, first: int, data: bytes) -> None:
        """Keep the bytes of a preview, by its number."""

    async def supersede_preview(self, generation_id: str, first: int) -> None:
        """Let a preview go soon."""

    async def preview(self, generation_id: str, first: int) -> bytes | None:
        """Read the bytes of a preview; None = they are gone."""

    async def card(self, generation_id: str) -> tuple[Card, float] | None:
        """Tell what is known of a generation, and how many seconds ago it began; None = nothing is known."""

    async def find_request(self, caller: str, request_id: str) -> str:
        """Tell the id of the newest generation that has this request_id; "" = it is not known."""

    async def entries(self, generation_id: str, after: int, seconds: float = 0.0) -> Sequence[Copied]:
        """Read the copy of a log from behind sequence `after`; if there is nothing, wait at most so many seconds."""

    async def note_cancel(self, caller: str, request_id: str, seconds: float) -> None:
        """Remember for so many seconds that a caller has cancelled this request_id."""

    async def cancelled(self, caller: str, request_id: str) -> bool:
        """Tell whether that is remembered."""

    async def alive(self, name: str) -> bool:
        """Tell whether a process was heard of lately."""

    async def tell(self, name: str, message: Message) -> None:
        """Tell another process something."""

    def messages(self) -> AsyncGenerator[Message, None]:
        """Yield what is told to this process. Ends never; what cannot be read now is read later."""
