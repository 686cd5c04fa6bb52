"""One reader of a generation."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from .admission import Ticket
from .generation import Generation, do_nothing


async def _nothing_to_give_up() -> None:
    return


class Reading:
    """The right to read a generation until it is closed. It keeps a generation alive that nobody else reads."""

    def __init__(
        self,
        generation: Generation,
        deadline: float | None,
        *,
        ticket: Ticket | None = None,
        give_up: Callable[[], Awaitable[None]] = _nothing_to_give_up,
    ) -> None:
        """Begin to read.

        `deadline` is the reader's own, on the event loop's clock. `ticket` is what the reader counts for beside the
        generation. `give_up` is awaited if the generation has not been launched by the end.
        """
        self.generation = generation
        self._ticket = ticket
        self.release_caller: Callable[[], None] = do_nothing
        """Ends what the reader counts for as a call of its caller."""
        self._give_up = give_up
        self._place = generation.reading(deadline)
        self._place.__enter__()
        self._closed = False

    async def __aenter__(self) -> Self:
        """Read for the length of a block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        await self.close()

    async def close(self) -> None:
        """Leave. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._place.__exit__(None, None, None)
        self.release_caller()
        if self._ticket is not None:
            self._ticket.release()
        if not self.generation.launched:
            await self._give_up()
