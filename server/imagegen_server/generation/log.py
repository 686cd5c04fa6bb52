"""The log of one generation. The runner appends; every RPC is a reader."""

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, ImageFinished, LogEvent, PreviewShown, Progress

CHUNK_BYTES = 196_608
"""Bytes of an image that one sequence number stands for: 3 * 2**16, fast, and base64 of it has no padding."""

SLOW_READER_SECONDS = 1.0
"""A preview superseded for longer is not shown any more to a reader that has not come to it."""

_NOTHING_FOLLOWS = asyncio.Event()
"""What logs that have ended share. Nobody waits for it; one for each would be most of what a resting log takes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with the sequence numbers that it takes, first to last. `time` on the event loop's clock."""

    first: int
    last: int
    time: float
    event: LogEvent

    @property
    def terminal(self) -> bool:
        """Nothing follows."""
        return isinstance(self.event, Finished | Broken)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened for a while. `sequence` is the last one that the reader has passed."""

    sequence: int


def _image_bytes(event: LogEvent) -> int:
    if isinstance(event, PreviewShown):
        return len(event.data)
    if isinstance(event, ImageFinished):
        return event.generated.image.size_bytes
    return 0


def opened_index(event: LogEvent) -> int | None:
    """Tell of which image an event begins another picture; None = it begins none."""
    if isinstance(event, PreviewShown):
        return event.index
    if isinstance(event, ImageFinished):
        return event.generated.index
    return None


def _nobody_counts(_size: int) -> None:
    """Stand for what hears of dropped previews while nobody does."""


class Log:
    """Events in order, numbered from 1. An image takes 1 + ceil(size / CHUNK_BYTES) numbers."""

    def __init__(self, on_preview_dropped: Callable[[int], None] = _nobody_counts) -> None:
        """Start empty. `on_preview_dropped` hears the bytes of each preview that is let go."""
        self._entries: list[Entry] = []
        self._newest_opening: dict[int, Entry] = {}
        self._superseded_at: dict[int, float] = {}
        """By the first number of a preview: when a newer picture of its index came."""
        self._broken_off: ImageError | None = None
        self._grown = asyncio.Event()
        self._on_preview_dropped = on_preview_dropped

    @property
    def sequence(self) -> int:
        """The last number given out; 0 = none."""
        return self._entries[-1].last if self._entries else 0

    @property
    def ended(self) -> bool:
        """The last entry is there."""
        return bool(self._entries) and self._entries[-1].terminal

    @property
    def events(self) -> list[LogEvent]:
        """All that is still there, oldest first."""
        return [entry.event for entry in self._entries]

    def append(self, event: LogEvent) -> Entry:
        """Add an event and wake the readers."""
        if self.ended:
            raise RuntimeError("the log has ended")
        first = self.sequence + 1
        chunks = -(-_image_bytes(event) // CHUNK_BYTES)
        entry = Entry(first, first + chunks, time.monotonic(), event)
        self.take(entry)
        return entry

    def take(self, entry: Entry) -> None:
        """Add an entry with the numbers that it has in another log, of which this one is a copy."""
        event = entry.event
        self._entries.append(entry)
        if (index := opened_index(event)) is not None:
            if (older := self._newest_opening.get(index)) is not None:
                self._superseded_at[older.first] = entry.time
            self._newest_opening[index] = entry
            self._drop_superseded()
        self._wake(_NOTHING_FOLLOWS if entry.terminal else asyncio.Event())

    def break_off(self, error: ImageError) -> None:
        """Let whoever reads a copy hear that no more of it can be had, after what is there."""
        self._broken_off = error
        self._wake(asyncio.Event())

    def _wake(self, grown: asyncio.Event) -> None:
        self._grown, old = grown, self._grown
        old.set()

    def behind(self, after: int) -> list[Entry]:
        """All entries whose last number is above `after`."""
        return self._entries[bisect_right(self._entries, after, key=lambda entry: entry.last) :]

    async def reach(self, sequence: int, seconds: float) -> None:
        """Wait until the log has come to `sequence`, or has ended, or until so many seconds have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.sequence < sequence and not self.ended and self._broken_off is None:
                    await self._grown.wait()

    def rest(self) -> None:
        """Forget the bytes of images, and what nobody will ask for once it has ended: progress and previews."""
        self._superseded_at.clear()
        self._newest_opening.clear()
        self._on_preview_dropped = _nobody_counts
        self._entries = [
            Entry(entry.first, entry.last, entry.time, ImageFinished(entry.event.generated, b""))
            if isinstance(entry.event, ImageFinished)
            else entry
            for entry in self._entries
            if not isinstance(entry.event, Progress | PreviewShown)
        ]

    def without_bytes(self, after: int) -> list[str]:
        """Name the images that a reader who has seen everything up to `after` needs, and whose bytes were forgotten."""
        return [
            entry.event.generated.image.image_id
            for entry in self._entries
            if isinstance(entry.event, ImageFinished) and not entry.event.data and entry.last > after
        ]

    def give_back(self, images: Mapping[str, bytes]) -> int:
        """Take the bytes of forgotten images back in, by their ids; tells how many bytes were missing."""
        missing = 0
        for position, entry in enumerate(self._entries):
            event = entry.event
            if isinstance(event, ImageFinished) and not event.data and event.generated.image.image_id in images:
                data = images[event.generated.image.image_id]
                self._entries[position] = replace(entry, event=replace(event, data=data))
                missing += len(data)
        return missing

    def superseded(self, entry: Entry) -> bool:
        """Tell whether a preview is too old to be worth sending: a newer picture of it has been there for a while."""
        if not isinstance(entry.event, PreviewShown) or entry.first not in self._superseded_at:
            return False
        return time.monotonic() - self._superseded_at[entry.first] > SLOW_READER_SECONDS

    async def end(self) -> LogEvent:
        """Wait for the last entry.

        :raises ImageError: it is a copy, of which no more can be had
        """
        while not self.ended:
            if self._broken_off is not None:
                raise self._broken_off
            await self._grown.wait()
        return self._entries[-1].event

    async def read(self, after: int, heartbeat: float) -> AsyncGenerator[Entry | Heartbeat, None]:
        """Yield the entries whose last number is above `after`, then what comes, up to the terminal one.

        Yields a Heartbeat whenever nothing came for `heartbeat` seconds. The terminal entry always comes, also to a
        reader who has seen it.

        :raises ImageError: it is a copy, of which no more can be had
        """
        seen = after
        while True:
            entry = self._next(seen) or (self._entries[-1] if self.ended else None)
            if entry is None:
                if self._broken_off is not None:
                    raise self._broken_off
                grown = self._grown
                try:
                    async with asyncio.timeout(heartbeat):
                        await grown.wait()
                except TimeoutError:
                    yield Heartbeat(seen)
                continue
            seen = entry.last
            if not self.superseded(entry):
                yield entry
            if entry.terminal:
                return

    def _next(self, after: int) -> Entry | None:
        position = bisect_right(self._entries, after, key=lambda entry: entry.last)
        return self._entries[position] if position < len(self._entries) else None

    def _drop_superseded(self) -> None:
        kept = []
        for entry in self._entries:
            if isinstance(entry.event, PreviewShown) and self.superseded(entry):
                self._on_preview_dropped(len(entry.event.data))
            else:
                kept.append(entry)
        self._entries = kept
