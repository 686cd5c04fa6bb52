"""Generations that run in other processes, as far as somebody reads them here."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from weakref import WeakValueDictionary

import structlog

from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, ImageFailed, ImageFinished, PreviewShown, Progress, Started
from imagegen_server.domain.result import GenerationFailure, ImageResult

from .admission import Admission
from .faults import describe_fault
from .generation import Generation
from .ids import maker_of
from .log import Entry, Log
from .peers import Card, Copied, Message, Peers, Word
from .readers import expired
from .store import RequestRecord, Store

WAIT_SECONDS = 1.0
"""How long the store is asked for news at a time."""

GONE_SECONDS = 3.0
"""So long a process must not have been heard of, beyond its lease, before what it was doing is lost."""

OPENING_SECONDS = 120.0
"""So long a request_id may be claimed before its generation runs: inputs are fetched meanwhile."""

_FOLLOWS_SECONDS = 1.0
"""So long a log may come after the news that its generation has ended."""

AWAY_SECONDS = 30.0
"""So long readers wait for a store that does not answer."""

_RETRY_SECONDS = 0.25

_logger = structlog.get_logger("imagegen.store")

_LOST_GAP = 1 << 20
"""Numbers between the last known entry of a lost log and its end: the process may have shown more to its own readers
than it has written down, and no reader may see a number fall."""


class Elsewhere:
    """Copies of logs, each as long as it is read, and the way to those who write them."""

    def __init__(self, peers: Peers, store: Store, admission: Admission, name: str) -> None:
        """Know none. `name` is that of this process."""
        self._peers = peers
        self._store = store
        self._admission = admission
        self._name = name
        self._copies: dict[str, Generation] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._pinned: dict[Generation, int] = {}
        """How many have found a copy, and do not read it yet."""
        self._told: dict[Generation, tuple[float | None]] = {}
        """Until when it is read here, as its process knows."""
        self._silent: dict[str, tuple[float, float]] = {}
        """By process: since when it has not been heard of, and when that was looked at last."""
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._telling: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    async def find(self, caller: str, generation_id: str) -> Generation | None:
        """Copy the log of a generation by its id; None = there is none, or it is another caller's.

        Whoever gets a copy gives it back to `let_go`, once they read it or have decided not to.

        :raises ImageError: STORE_UNAVAILABLE, SERVER_BUSY
        """
        async with self._making.setdefault(generation_id, asyncio.Lock()):
            generation = self._copies.get(generation_id)
            if generation is None:
                if (told := await self._peers.card(generation_id)) is None or told[0].caller != caller:
                    return None
                generation = await self._copy(*told, await self._peers.entries(generation_id, 0))
        if generation.caller != caller:
            return None
        self._pinned[generation] = self._pinned.get(generation, 0) + 1
        return generation

    async def find_request(self, caller: str, request_id: str) -> Generation | None:
        """Copy the log of a generation by a request_id that nobody has claimed, because the server made it."""
        generation_id = await self._peers.find_request(caller, request_id)
        return await self.find(caller, generation_id) if generation_id else None

    async def join(self, caller: str, request_id: str, taken: RequestRecord) -> Generation | None:
        """Copy the log of the generation that a request_id stands for, once there is one.

        None = there will be none: the request_id is free again, or only `taken` is left of it.

        :raises ImageError: STORE_UNAVAILABLE, SERVER_BUSY
        """
        owner = maker_of(taken.generation_id)
        patience = time.monotonic() + OPENING_SECONDS
        while time.monotonic() < patience:
            if (found := await self.find(caller, taken.generation_id)) is not None:
                return found
            record = await self._store.find(caller, request_id)
            if record is None or record.generation_id != taken.generation_id or owner == self._name:
                return None
            if record.ended:
                # If the store was away meanwhile the log follows in a moment.
                patience = min(patience, time.monotonic() + _FOLLOWS_SECONDS)
                if not await self._peers.alive(owner):
                    return None
            if await self._gone(owner):
                return self._never_written(caller, request_id, taken)
            await self._peers.entries(taken.generation_id, 0, WAIT_SECONDS)
        return None

    def let_go(self, generation: Generation) -> None:
        """Forget a copy, unless somebody reads it or is about to."""
        self._pinned[generation] -= 1
        if not self._pinned[generation]:
            del self._pinned[generation]
            if not generation.readers:
                self._forget(generation)

    async def tell_reading(self, generation: Generation) -> None:
        """Let the process that runs a generation know whether it is read here, and until when.

        :raises ImageError: STORE_UNAVAILABLE
        """
        async with self._telling.setdefault(generation.id, asyncio.Lock()):
            if generation.log.ended:
                return
            if not generation.readers:
                if self._told.pop(generation, None) is not None:
                    await self._tell(generation, Word.LEFT)
                return
            deadline = generation.deadline
            if self._told.get(generation) != (deadline,):
                await self._tell(generation, Word.READ, None if deadline is None else deadline - time.monotonic())
                self._told[generation] = (deadline,)

    async def detach(self, generation: Generation) -> None:
        """Let a generation go on from now on when nobody reads it."""
        await self._tell(generation, Word.DETACH)

    async def cancel(self, generation: Generation) -> None:
        """Have a generation stopped."""
        await self._tell(generation, Word.CANCEL)

    async def close(self) -> None:
        """Follow nothing any more."""
        for task in (*self._followers.values(), *self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._followers.clear()
        self._copies.clear()

    async def _tell(self, generation: Generation, word: Word, seconds: float | None = None) -> None:
        await self._peers.tell(maker_of(generation.id), Message(self._name, word, generation.id, seconds))

    async def _copy(self, card: Card, age: float, entries: Sequence[Copied]) -> Generation:
        generation = self._begin(card, time.monotonic() - age)
        self._copies[generation.id] = generation
        newest = {entry.event.index: entry.first for entry in entries if isinstance(entry.event, PreviewShown)}
        try:
            for entry in entries:
                if not isinstance(entry.event, PreviewShown) or newest[entry.event.index] == entry.first:
                    await self._take(generation, entry, with_images=False)
        except BaseException:
            self._forget(generation)
            raise
        if generation.log.ended:
            del self._copies[generation.id]
            return generation
        generation.on_deadline = lambda: self._soon(generation)
        generation.on_stop = lambda: self._left(generation)
        self._followers[generation.id] = asyncio.create_task(self._follow(generation))
        return generation

    def _begin(self, card: Card, start_time: float) -> Generation:
        ticket = self._admission.hold(0)
        return Generation(
            id=card.generation_id,
            request_id=card.request_id,
            caller=card.caller,
            model=card.model,
            count=card.count,
            log=Log(on_preview_dropped=lambda size: ticket.add(-size)),
            ticket=ticket,
            start_time=start_time,
            detached=False,
            work=None,
            launched=True,
            elsewhere=True,
        )

    def _left(self, generation: Generation) -> None:
        """Nobody reads it here any more; whether that ends it is not decided here."""
        generation.stop_error = None
        self._soon(generation)
        if generation not in self._pinned:
            self._forget(generation)

    def _forget(self, generation: Generation) -> None:
        if self._copies.get(generation.id) is generation:
            del self._copies[generation.id]
        if (follower := self._followers.pop(generation.id, None)) is not None:
            follower.cancel()
        generation.ticket.release()

    def _soon(self, generation: Generation) -> None:
        async def tell() -> None:
            with suppress(ImageError):
                await self.tell_reading(generation)

        task = asyncio.create_task(tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, generation: Generation) -> None:
        log = generation.log
        try:
            await self._follow_to_the_end(generation)
        except ImageError as error:
            log.break_off(error.with_billed(Billed.UNKNOWN))
        except Exception as fault:  # noqa: BLE001 - whoever reads it must hear of an end
            _logger.error("fault in a copied log", generation_id=generation.id, **describe_fault(fault))  # noqa: TRY400
            log.break_off(ImageError(Reason.INTERNAL_ERROR, "a fault of this server; its log has the details"))
        if self._copies.get(generation.id) is generation:
            del self._copies[generation.id]
        self._followers.pop(generation.id, None)
        self._told.pop(generation, None)

    async def _follow_to_the_end(self, generation: Generation) -> None:
        """Take what comes.

        :raises ImageError: STORE_UNAVAILABLE after a while; RESULT_EXPIRED
        """
        owner, log = maker_of(generation.id), generation.log
        away_since: float | None = None
        while not log.ended:
            try:
                entries = await self._peers.entries(generation.id, log.sequence, WAIT_SECONDS)
                for entry in entries:
                    await self._take(generation, entry, with_images=True)
                gone = not entries and await self._gone(owner)
            except ImageError as error:
                away_since = away_since or time.monotonic()
                if error.reason is not Reason.STORE_UNAVAILABLE or time.monotonic() - away_since > AWAY_SECONDS:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            away_since = None
            if gone:
                log.take(_lost(generation))

    async def _gone(self, name: str) -> bool:
        """Tell whether a process has not been heard of for so long that it will not come back."""
        now = time.monotonic()
        if await self._peers.alive(name):
            self._silent.pop(name, None)
            return False
        since, looked = self._silent.get(name, (now, now))
        if now - looked > 2 * GONE_SECONDS + WAIT_SECONDS:
            since = now  # it may have been back meanwhile
        self._silent[name] = since, now
        return now - since >= GONE_SECONDS

    async def _take(self, generation: Generation, copied: Copied, *, with_images: bool) -> None:
        """Take an entry into the copy; a picture with its bytes, unless it was there before its readers.

        :raises ImageError: RESULT_EXPIRED if a finished image is gone; STORE_UNAVAILABLE
        """
        event = copied.event
        if isinstance(event, PreviewShown):
            data = await self._peers.preview(generation.id, copied.first)
            if data is None:
                return
            event = replace(event, data=data)
            generation.ticket.add(len(data))
        elif isinstance(event, ImageFinished) and with_images:
            event = replace(event, data=await self._image(generation, event.generated.image.image_id))
            generation.ticket.add(len(event.data))
        elif isinstance(event, Progress):
            generation.last_progress = event
        if copied.first > generation.log.sequence:
            generation.log.take(Entry(copied.first, copied.last, generation.start_time + copied.elapsed, event))

    async def _image(self, generation: Generation, image_id: str) -> bytes:
        try:
            return (await self._store.get(generation.caller, image_id))[1]
        except ImageError as error:
            if error.reason is not Reason.IMAGE_NOT_FOUND:
                raise
        raise expired(generation.id, generation.request_id, some_left=True)

    def _never_written(self, caller: str, request_id: str, taken: RequestRecord) -> Generation:
        generation = self._begin(Card(taken.generation_id, request_id, caller, "", 1), time.monotonic())
        self._pinned[generation] = 1
        generation.log.take(Entry(1, 1, time.monotonic(), Started(generation.id, request_id, "", ())))
        generation.log.take(_lost(generation))
        return generation


def _lost(generation: Generation) -> Entry:
    """Make the end of a log whose process is gone: what is finished is there, and the rest is not known."""
    error = ImageError(
        Reason.INTERNAL_ERROR,
        "the server process that was at work on it is gone; whether the provider bills it is not known",
        billed=Billed.UNKNOWN,
        metadata={"model": generation.model} if generation.model else {},
    )
    images, failures = [], []
    for event in generation.log.events:
        if isinstance(event, ImageFinished):
            images.append(event.generated)
        elif isinstance(event, ImageFailed):
            failures.append(event.failure)
    settled = {image.index for image in images} | {failure.index for failure in failures}
    failures += [Failure(index, error) for index in range(generation.count) if index not in settled]
    failures.sort(key=lambda failure: failure.index)
    ids = generation.id, generation.request_id
    outcome: Finished | Broken
    if images:
        images.sort(key=lambda image: image.index)
        outcome = Finished(ImageResult(*ids, generation.model, tuple(images), tuple(failures), None, (), (), {}))
    else:
        outcome = Broken(GenerationFailure(*ids, tuple(failures), (), None), error)
    number = generation.log.sequence + _LOST_GAP
    return Entry(number, number, time.monotonic(), outcome)
