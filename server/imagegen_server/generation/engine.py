"""What an RPC can ask of this room."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from imagegen_server.domain.caller import Caller
from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Wish

from .admission import Admission
from .early_cancels import EarlyCancels
from .finding import Finder
from .fingerprint import fingerprints
from .generation import BrokenGeneration, Generation
from .generations import Generations
from .ids import Ids
from .opening import Opener, Order, Terms
from .peers import Peers
from .publishing import Publisher
from .readers import Readers, answer_by
from .reading import Reading
from .run import Tools
from .runner import run_generation
from .store import RequestRecord, Store

_DRAIN_POLL_SECONDS = 0.05

_BEHIND_SECONDS = 2.0
"""How far, at most, the copy of a log may lag behind what somebody has seen of it."""

_logger = structlog.get_logger("imagegen.server")


class Engine:
    """Opens generations, joins and resumes them, and stops them. What is read is the business of `readers`."""

    def __init__(
        self,
        *,
        store: Store,
        admission: Admission,
        ids: Ids,
        opener: Opener,
        tools: Tools,
        generations: Generations,
        readers: Readers,
        finder: Finder,
        publisher: Publisher | None = None,
        peers: Peers | None = None,
    ) -> None:
        """Be wired by the app. `publisher` and `peers` if the store is shared with other processes."""
        self.readers = readers
        self._store = store
        self._admission = admission
        self._ids = ids
        self._opener = opener
        self._tools = tools
        self._generations = generations
        self._publisher = publisher
        self._finder = finder
        self._early_cancels = EarlyCancels(peers)
        self._opening: dict[tuple[str, str], asyncio.Event] = {}
        """By caller and request_id: set when the one that is being opened runs, or does not come."""
        self._runs: set[asyncio.Task[None]] = set()
        self._draining = False
        self._stopped = False

    async def open(
        self,
        wish: Wish,
        caller: Caller,
        terms: Terms,
        violations: Sequence[Violation] = (),
        warnings: Sequence[Warning] = (),
    ) -> Reading:
        """Read the generation that a wish means: the one that its request_id names already, or a new one.

        A new one is admitted and planned. It stands in its log as started, and nothing is spent before `launch`.
        `violations` and `warnings` are what reading the request has found already.

        :raises ImageError: SHUTTING_DOWN, REQUEST_ID_REUSED, RESULT_EXPIRED, or as Opener.open
        :raises BrokenGeneration: the request_id stands for a failure
        """
        order = Order(wish, caller, terms, violations, warnings)
        if not terms.request_id or violations:
            return await self._new(self._ids.new("gen"), order)
        key = (caller.name, terms.request_id)
        await self._early_cancels.hold_up(*key)
        ticket = self._admission.admit(wish.input_bytes)
        try:
            marks = await fingerprints(wish, caller.name, self._store)
            while (other := self._opening.get(key)) is not None:
                await other.wait()
        finally:
            # Whoever opens or joins counts again, before anything else can.
            ticket.release()
        opening = self._opening[key] = asyncio.Event()
        claimed = False
        try:
            id_ = self._ids.new("gen")
            taken = await self._store.claim(*key, RequestRecord(id_, marks))
            claimed = taken is None
            if taken is None:
                await self._early_cancels.hold_up_claimed(*key)
                self._require_id_of_the_caller(*key)
                return await self._new(id_, order)
        except BaseException:
            await self._decided(key, opening, free=claimed)
            raise
        await self._decided(key, opening)
        joined = await self._join(taken, marks, order)
        # None: where it was to be begun it was not, and the request_id is free again.
        return joined or await self.open(wish, caller, terms, violations, warnings)

    def launch(self, generation: Generation) -> None:
        """Start spending. The generation runs by itself from here on; one that runs already is left alone."""
        if generation.launched:
            return
        generation.launched = True
        self._generations.add(generation)
        if self._publisher is not None:
            self._publisher.publish(generation)
        key = (generation.caller, generation.request_id)
        claimed = (opening := self._opening.pop(key, None)) is not None
        task = asyncio.create_task(self._run(generation, claimed=claimed))
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        if opening is not None:
            opening.set()
        if self._stopped:
            generation.stop(_stopping())

    async def resume(
        self, caller: Caller, terms: Terms, *, generation_id: str = "", request_id: str = "", after: int = 0
    ) -> Reading:
        """Read a generation on, from behind sequence `after`.

        :raises ImageError: GENERATION_NOT_FOUND, WRONG_INSTANCE, RESULT_EXPIRED, INVALID_REQUEST, SERVER_BUSY
        :raises BrokenGeneration: only its failure is left of it
        """
        generation = await self._find(caller.name, generation_id, request_id)
        try:
            if generation.elsewhere:
                # What its own readers were shown is written down a moment later.
                await generation.log.reach(after, _BEHIND_SECONDS)
            if after > generation.log.sequence:
                problem = f"is behind the end: the generation has come to {generation.log.sequence}"
                raise ImageError(
                    Reason.INVALID_REQUEST,
                    f"after_sequence: {problem}",
                    violations=[Violation("after_sequence", problem)],
                    metadata={"generation_id": generation.id},
                )
            return await self._read(generation, caller, terms, after=after)
        finally:
            self._finder.let_go(generation)

    async def cancel(self, caller: Caller, *, generation_id: str = "", request_id: str = "") -> tuple[str, bool]:
        """Stop a generation. Returns its id, and whether it was running.

        :raises ImageError: GENERATION_NOT_FOUND, WRONG_INSTANCE
        """
        if not generation_id and self._generations.find_request(caller.name, request_id) is None:
            await self._early_cancels.tell_others(caller.name, request_id)
        try:
            generation = await self._find(caller.name, generation_id, request_id)
        except BrokenGeneration as broken:
            return broken.failure.generation_id, False
        except ImageError as error:
            if error.reason is Reason.RESULT_EXPIRED:
                return error.metadata["generation_id"], False
            if error.reason is Reason.GENERATION_NOT_FOUND and request_id and not generation_id:
                self._early_cancels.note(caller.name, request_id)
            raise
        try:
            why = ImageError(Reason.CANCELLED, "the caller has cancelled it")
            return generation.id, await self._finder.stop(generation, why)
        finally:
            self._finder.let_go(generation)

    def require_serving(self) -> None:
        """See that new work is taken.

        :raises ImageError: SHUTTING_DOWN
        """
        if self._draining:
            raise ImageError(Reason.SHUTTING_DOWN, "this server is stopping and takes no new work")

    async def drain(self, seconds: float, last_readers: float = 60.0) -> None:
        """Take no new work; wait until what runs has ended and what is finished was read, at most `seconds`.

        What still runs then is stopped, and its readers are told; they get `last_readers` seconds more to take what
        they are being sent.
        """
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Three counters in three rooms, looked at only while stopping, are not worth three events.
                while self._runs or self._admission.calls or self._store.undelivered:  # noqa: ASYNC110
                    await asyncio.sleep(_DRAIN_POLL_SECONDS)
        self._stopped = True
        stopped = self._generations.running
        for generation in stopped:
            generation.stop(_stopping())
        if stopped:
            _logger.warning("generations stopped", count=len(stopped), ids=[generation.id for generation in stopped])
        if self._runs:
            await asyncio.wait(list(self._runs))
        with suppress(TimeoutError):
            async with asyncio.timeout(last_readers):
                while self._generations.readers:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._generations.close()
        self._early_cancels.close()

    @property
    def unread_images(self) -> int:
        """Finished images that nobody has received yet."""
        return self._store.undelivered

    @property
    def detached(self) -> int:
        """Generations that run although nobody reads them."""
        return sum(not generation.readers for generation in self._generations.running)

    def _require_id_of_the_caller(self, caller: str, request_id: str) -> None:
        """See that nobody buys again by an id that was made here: what it stood for is not remembered like a claim.

        :raises ImageError: REQUEST_ID_REUSED
        """
        if not self._ids.made(request_id):
            return
        known = self._generations.find_request(caller, request_id)
        raise ImageError(
            Reason.REQUEST_ID_REUSED,
            "the server made this request_id for an earlier call: Resume reads it; to buy anew take an id of your own",
            metadata={"request_id": request_id} | ({"generation_id": known.id} if known else {}),
        )

    async def _new(self, generation_id: str, order: Order) -> Reading:
        self.require_serving()
        request_id = order.terms.request_id or self._ids.new("req")
        generation = await self._opener.open(generation_id, request_id, order)
        key = (order.caller.name, request_id)
        opening = self._opening.get(key) if order.terms.request_id else None

        async def give_up() -> None:
            try:
                await self._opener.discard(generation)
            finally:
                if opening is not None:
                    await self._decided(key, opening, free=True)

        reading = Reading(generation, answer_by(order.terms.deadline), give_up=give_up)
        if self._draining:
            await reading.close()
            self.require_serving()
        return reading

    async def _decided(self, key: tuple[str, str], opening: asyncio.Event, *, free: bool = False) -> None:
        """Let those go on who wait for what becomes of a request_id. Only the first call for an opening counts."""
        if self._opening.get(key) is not opening:
            return
        try:
            if free:
                await self._store.free(*key)
        finally:
            del self._opening[key]
            opening.set()

    async def _join(self, taken: RequestRecord, marks: frozenset[str], order: Order) -> Reading | None:
        """Read what a request_id stands for; None = it stands for nothing any more."""
        caller, terms = order.caller, order.terms
        if not taken.fingerprints & marks:
            raise ImageError(
                Reason.REQUEST_ID_REUSED,
                "this request_id was used for another wish; take a new one",
                metadata={"request_id": terms.request_id, "generation_id": taken.generation_id},
            )
        # It may be on its way to begin elsewhere, and is waited for.
        ticket = self._admission.admit(order.wish.input_bytes)
        try:
            generation = await self._finder.of_record(taken, caller.name, terms.request_id)
        finally:
            ticket.release()
        if generation is None:
            return None
        try:
            if terms.detached:
                await self._finder.detach(generation)
            # The bytes of its inputs stay in memory as long as its call does.
            return await self._read(generation, caller, terms, size=order.wish.input_bytes)
        finally:
            self._finder.let_go(generation)

    async def _read(
        self, generation: Generation, caller: Caller, terms: Terms, *, after: int = 0, size: int = 0
    ) -> Reading:
        reading = await self.readers.read(generation, caller, terms, after=after, size=size)
        try:
            await self._finder.tell_reading(generation)
        except BaseException:
            await reading.close()
            raise
        return reading

    async def _find(self, caller: str, generation_id: str, request_id: str) -> Generation:
        if generation_id:
            return await self._finder.by_id(caller, generation_id)
        while (opening := self._opening.get((caller, request_id))) is not None:
            await opening.wait()
        return await self._finder.by_request(caller, request_id)

    async def _run(self, generation: Generation, *, claimed: bool) -> None:
        async def settle(outcome: Finished | Broken) -> None:
            """Decide what becomes of the request_id, before anybody hears of the end."""
            failure = outcome if isinstance(outcome, Broken) else None
            if claimed and failure is not None and failure.error.billed is Billed.NO:
                await self._store.free(generation.caller, generation.request_id)
            elif claimed:
                await self._store.settle(generation.caller, generation.request_id, failure)

        await run_generation(generation, self._tools, settle)
        if self._publisher is not None:
            self._publisher.ended(generation)
        self._generations.ended(generation)


def _stopping() -> ImageError:
    return ImageError(Reason.CANCELLED, "the server is stopping and could not wait any longer")
