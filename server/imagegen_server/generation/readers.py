"""Who reads: generations that run or rest, and images by their ids; and what that counts for."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import StoredImage

from .admission import Admission, Ticket
from .caller_limits import CallerLimits
from .generation import Generation
from .generations import Generations
from .opening import Terms
from .reading import Reading
from .store import Store

ANSWER_SECONDS = 0.25
"""So long before the caller's deadline a generation ends, so that what is finished still reaches the caller."""


class Readers:
    """Lets callers read, as far as there is room for another reader."""

    def __init__(self, store: Store, admission: Admission, limits: CallerLimits, generations: Generations) -> None:
        """Be wired by the app."""
        self._store = store
        self._admission = admission
        self._limits = limits
        self._generations = generations

    @asynccontextmanager
    async def counted(self, caller: Caller, size: int = 0) -> AsyncIterator[Ticket]:
        """Count a call that makes no generation among those in hand, with its bytes beside those of the store.

        :raises ImageError: SERVER_BUSY, CALLER_LIMIT_EXCEEDED
        """
        ticket = self._admission.admit(size)
        try:
            release_caller = await self._limits.admit(caller)
            try:
                yield ticket
            finally:
                release_caller()
        finally:
            ticket.release()

    async def image(self, caller: Caller, image_id: str) -> tuple[StoredImage, bytes]:
        """Look up a finished image or an upload.

        :raises ImageError: IMAGE_NOT_FOUND, WRONG_INSTANCE
        """
        return await self._store.get(caller.name, image_id)

    def delivered(self, image_id: str, generation: Generation | None = None) -> None:
        """Note that the caller has received the whole image; `generation` is what it was read from, if from one."""
        self._store.delivered(image_id)
        self._generations.delivered(image_id, generation)

    def told(self, generation_id: str) -> None:
        """Note that a reader has come to the end of a generation."""
        self._generations.told(generation_id)

    async def read(
        self, generation: Generation, caller: Caller, terms: Terms, *, after: int = 0, size: int = 0
    ) -> Reading:
        """Read along with whoever else does, from behind sequence `after`. `size` bytes are held by the call itself.

        Who reads what nobody else does is the call that the generation counts for already.

        :raises ImageError: SERVER_BUSY, CALLER_LIMIT_EXCEEDED, RESULT_EXPIRED
        """
        place = self._admission.hold(size) if _has_a_place(generation) else None
        ticket = self._admission.admit(size) if place is None else place
        reading = Reading(generation, answer_by(terms.deadline), ticket=ticket)
        try:
            if place is None:
                # It reads already: whoever else does may leave meanwhile.
                reading.release_caller = await self._limits.admit(caller)
            if terms.with_bytes and (forgotten := generation.log.without_bytes(after)):
                await self._wake(generation, forgotten)
        except BaseException:
            await reading.close()
            raise
        return reading

    async def _wake(self, generation: Generation, image_ids: Sequence[str]) -> None:
        """Take images back from the store that a resting generation has let go of.

        :raises ImageError: RESULT_EXPIRED, SERVER_BUSY
        """
        images = {}
        for image_id in image_ids:
            try:
                _, images[image_id] = await self._store.get(generation.caller, image_id)
            except ImageError as error:
                if error.reason is not Reason.IMAGE_NOT_FOUND:
                    raise
        if len(images) < len(image_ids):
            raise expired(generation.id, generation.request_id, some_left=bool(images))
        size = sum(len(data) for data in images.values())
        if generation.ticket.released:
            # Its readers are calls already.
            generation.ticket = self._admission.hold(size)
        else:
            generation.ticket.grow(size)
        generation.ticket.add(generation.log.give_back(images) - size)


def _has_a_place(generation: Generation) -> bool:
    here = generation.launched and not generation.elsewhere
    return here and not generation.readers and not generation.log.ended


def answer_by(deadline: float | None) -> float | None:
    """Tell when a generation must end for a reader who waits until `deadline`; None = never."""
    return None if deadline is None else deadline - ANSWER_SECONDS


def deadline_in(time_left: float | None) -> float | None:
    """Tell when a caller waits no longer, who has so many seconds left; None = as long as it takes."""
    return None if time_left is None else time.monotonic() + time_left


def expired(generation_id: str, request_id: str, *, some_left: bool = False) -> ImageError:
    """Make the error of a generation whose images are not there any more, or not all of them."""
    whole = "this was served before, and its images are gone by now; use a new request_id to buy it again"
    part = "some of its images are gone by now; ask again with delivery by reference, and read the others by their ids"
    return ImageError(
        Reason.RESULT_EXPIRED,
        part if some_left else whole,
        metadata={"generation_id": generation_id, "request_id": request_id},
    )
