"""What this process shows of its generations to others, and what it lets them do."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import structlog

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import PreviewShown, Progress

from .faults import describe_fault
from .generation import Generation
from .generations import Generations
from .log import Entry, opened_index
from .peers import Card, Copied, Message, Peers, Word

_RETRY_SECONDS = 0.25
_CHECK_SECONDS = 5.0
"""How often the processes are looked after that read here."""

_LAST_WORDS_SECONDS = 2.0
"""So long a process that ends waits until all of its logs have been written."""

_NOTHING = Entry(0, 0, 0.0, Progress())
"""Stands before the first entry of a log."""

_logger = structlog.get_logger("imagegen.store")


@dataclass(slots=True)
class _Previews:
    """The previews of one log that have been written, by their first numbers."""

    newest: dict[int, int] = field(default_factory=dict)
    """By the index of their images."""
    superseded: set[int] = field(default_factory=set)
    _followed: int = 0

    def follow(self, entry: Entry) -> None:
        """Note what an entry makes of them: a newer picture takes the place of an older one, the end that of all."""
        if entry.first <= self._followed:
            return  # it is written once more
        self._followed = entry.first
        index = opened_index(entry.event)
        if index is not None and self.newest.get(index, entry.first) != entry.first:
            self.superseded.add(self.newest.pop(index))
        if isinstance(entry.event, PreviewShown):
            self.newest[entry.event.index] = entry.first
        if entry.terminal:
            self.superseded.update(self.newest.values())
            self.newest.clear()


class Publisher:
    """Copies the logs of this process's generations to where others can read them, and hears what others say.

    Nobody here waits for it. While the store is away the logs go on, and what is missing of the copies follows.
    """

    def __init__(self, peers: Peers, generations: Generations, ttl: float) -> None:
        """Hear nothing yet. `ttl`: so long after its end a generation can still be asked for."""
        self._peers = peers
        self._generations = generations
        self._ttl = ttl
        self._copying: set[asyncio.Task[None]] = set()
        self._places: dict[tuple[str, str], ExitStack] = {}
        """By generation and process: the place that all readers there have here."""
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to hear the others."""
        self._tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._look_after_readers())]

    def publish(self, generation: Generation) -> None:
        """Copy a log from now to its end."""
        task = asyncio.create_task(self._copy(generation))
        self._copying.add(task)
        task.add_done_callback(self._copying.discard)

    def ended(self, generation: Generation) -> None:
        """End the places of all who read a generation elsewhere: what is still to come they have from the copy."""
        for key in [key for key in self._places if key[0] == generation.id]:
            self._places.pop(key).close()

    async def close(self) -> None:
        """Give the copies a moment to be complete, and hear nothing more."""
        if self._copying:
            await asyncio.wait(list(self._copying), timeout=_LAST_WORDS_SECONDS)
        for task in (*self._tasks, *self._copying):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for place in list(self._places.values()):
            place.close()
        self._places.clear()

    async def _copy(self, generation: Generation) -> None:
        try:
            await self._copy_to_the_end(generation)
        except Exception as fault:  # noqa: BLE001 - nobody waits for it
            _logger.error("log not shared", generation_id=generation.id, **describe_fault(fault))  # noqa: TRY400

    async def _copy_to_the_end(self, generation: Generation) -> None:
        log, newest, tries_until = generation.log, _NOTHING, 0.0
        card = Card(generation.id, generation.request_id, generation.caller, generation.model, generation.count)
        previews = _Previews()
        while True:
            entries = log.behind(newest.last)
            try:
                whole = await self._write(card, generation.start_time, newest, entries, previews)
            except ImageError:
                tries_until = tries_until or time.monotonic() + self._ttl
                if log.ended and time.monotonic() > tries_until:
                    _logger.error("log not shared", generation_id=generation.id)  # noqa: TRY400
                    return
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            tries_until = 0.0
            if not whole:
                newest, previews = _NOTHING, _Previews()
                continue
            newest = entries[-1] if entries else newest
            if newest.terminal:
                return
            await log.reach(newest.last + 1, min(self._ttl / 3, _CHECK_SECONDS))

    async def _write(
        self, card: Card, start_time: float, newest: Entry, entries: Sequence[Entry], previews: "_Previews"
    ) -> bool:
        """Write what follows the newest that has been written; False = the store has forgotten that one."""
        for entry in entries:
            if isinstance(entry.event, PreviewShown):
                with suppress(ImageError):  # a full store: the picture is left out, what is told of it is not
                    await self._peers.write_preview(card.generation_id, entry.first, entry.event.data)
            previews.follow(entry)
        copies = [Copied(entry.first, entry.last, entry.time - start_time, entry.event) for entry in entries]
        whole = await self._peers.write(card, time.monotonic() - start_time, copies, behind=newest.first)
        while previews.superseded:
            with suppress(ImageError):
                await self._peers.supersede_preview(card.generation_id, previews.superseded.pop())
        return whole

    async def _hear(self) -> None:
        async for message in self._peers.messages():
            generation = self._generations.by_id(message.generation_id)
            if generation is None:
                continue
            try:
                self._obey(generation, message)
            except Exception as fault:  # noqa: BLE001 - the next message is none of its business
                _logger.error("fault in a message", word=message.word.value, **describe_fault(fault))  # noqa: TRY400

    def _obey(self, generation: Generation, message: Message) -> None:
        key = generation.id, message.sender
        match message.word:
            case Word.CANCEL:
                generation.stop(ImageError(Reason.CANCELLED, "the caller has cancelled it"))
            case Word.DETACH:
                generation.detach()
            case Word.READ if not generation.log.ended:
                deadline = None if message.seconds is None else time.monotonic() + message.seconds
                place, before = ExitStack(), self._places.pop(key, None)
                place.enter_context(generation.reading(deadline))
                self._places[key] = place
                if before is not None:
                    before.close()
            case Word.LEFT:
                if (left := self._places.pop(key, None)) is not None:
                    left.close()

    async def _look_after_readers(self) -> None:
        """Let those go who read in processes that are gone."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            for generation_id, name in list(self._places):
                with suppress(ImageError):
                    if await self._peers.alive(name):
                        continue
                    if (place := self._places.pop((generation_id, name), None)) is not None:
                        place.close()
