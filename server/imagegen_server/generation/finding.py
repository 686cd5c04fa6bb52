"""Which generation a caller means, and what can be done with it wherever it runs."""

from imagegen_server.domain.errors import ImageError, Reason

from .elsewhere import Elsewhere
from .generation import BrokenGeneration, Generation
from .generations import Generations
from .ids import Ids
from .readers import expired
from .store import RequestRecord, Store


class Finder:
    """Finds generations of this process and, with a shared store, of the others.

    Whoever gets one gives it back to `let_go`, once they read it or have decided not to.
    """

    def __init__(self, store: Store, ids: Ids, generations: Generations, elsewhere: Elsewhere | None) -> None:
        """Be wired by the app. `elsewhere` None = the store is not shared."""
        self._store = store
        self._ids = ids
        self._generations = generations
        self._elsewhere = elsewhere

    async def by_id(self, caller: str, generation_id: str) -> Generation:
        """Find one by its id.

        :raises ImageError: GENERATION_NOT_FOUND, WRONG_INSTANCE, STORE_UNAVAILABLE, SERVER_BUSY
        """
        self._ids.check(generation_id, Reason.GENERATION_NOT_FOUND)
        found = None
        if self._elsewhere is not None and self._generations.by_id(generation_id) is None:
            found = await self._elsewhere.find(caller, generation_id)
        return found or self._generations.find(caller, generation_id)

    async def by_request(self, caller: str, request_id: str) -> Generation:
        """Find the newest one that has this request_id.

        :raises ImageError: as `by_id`; RESULT_EXPIRED
        :raises BrokenGeneration: only its failure is left of it
        """
        if (generation := await self._by_request(caller, request_id)) is not None:
            return generation
        self._ids.check_tag(request_id)
        raise ImageError(
            Reason.GENERATION_NOT_FOUND,
            "no generation has this request_id; it may be too long ago",
            metadata={"request_id": request_id},
        )

    async def of_record(self, taken: RequestRecord, caller: str, request_id: str) -> Generation | None:
        """Find the one that a request_id stands for; None = it stands for nothing any more.

        :raises ImageError: RESULT_EXPIRED, STORE_UNAVAILABLE, SERVER_BUSY
        :raises BrokenGeneration: only its failure is left of it
        """
        generation = self._generations.find_request(caller, request_id)
        if generation is not None and generation.id == taken.generation_id:
            return generation
        if self._elsewhere is not None:
            if (generation := await self._elsewhere.join(caller, request_id, taken)) is not None:
                return generation
            now = await self._store.find(caller, request_id)
            if now is None or now.generation_id != taken.generation_id:
                return None
            taken = now
        if taken.failure is not None:
            raise BrokenGeneration(taken.failure.error, taken.failure.failure)
        raise expired(taken.generation_id, request_id)

    async def detach(self, generation: Generation) -> None:
        """Let it go on from now on when nobody reads it.

        :raises ImageError: STORE_UNAVAILABLE
        """
        if not generation.elsewhere:
            generation.detach()
        elif self._elsewhere is not None and not generation.log.ended:
            await self._elsewhere.detach(generation)

    async def stop(self, generation: Generation, error: ImageError) -> bool:
        """Stop it; tells whether it was running.

        :raises ImageError: STORE_UNAVAILABLE
        """
        running = not generation.log.ended and generation.stop_error is None
        if not generation.elsewhere:
            generation.stop(error)
        elif self._elsewhere is not None and running:
            await self._elsewhere.cancel(generation)
        return running

    async def tell_reading(self, generation: Generation) -> None:
        """Let the process that runs it know that it is read here.

        :raises ImageError: STORE_UNAVAILABLE
        """
        if self._elsewhere is not None and generation.elsewhere:
            await self._elsewhere.tell_reading(generation)

    def let_go(self, generation: Generation) -> None:
        """Hold it on for its readers only."""
        if self._elsewhere is not None and generation.elsewhere:
            self._elsewhere.let_go(generation)

    async def _by_request(self, caller: str, request_id: str) -> Generation | None:
        generation = self._generations.find_request(caller, request_id)
        if generation is not None and (self._elsewhere is None or not generation.log.ended):
            # What runs here is the newest there is.
            return generation
        if (taken := await self._store.find(caller, request_id)) is not None:
            return await self.of_record(taken, caller, request_id)
        if generation is None and self._elsewhere is not None:
            return await self._elsewhere.find_request(caller, request_id)
        return generation
