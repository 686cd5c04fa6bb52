"""The generations that can be asked for again: by their ids, and by their callers' own."""

import asyncio
import json

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, ImageFinished
from imagegen_server.domain.result import ImageResult

from .generation import Generation

MOST_RESTING_BYTES = 64 * 1024 * 1024
"""What the logs of ended generations may take in all, images aside, before those that nobody will miss go."""

_PLAIN_BYTES = 4096
"""A log with one image and no metadata, measured and rounded up."""


class Generations:
    """Those that run, and those that ended less than `ttl` seconds ago."""

    def __init__(self, ttl: float) -> None:
        """Know none."""
        self._ttl = ttl
        self._by_id: dict[str, Generation] = {}
        self._by_request: dict[tuple[str, str], Generation] = {}
        self._ended: dict[str, tuple[float, int]] = {}
        """By id, oldest first: when it expires, and its bytes."""
        self._spent: dict[str, None] = {}
        """Of the ended: those that may go when they take too much, in the order in which they were needed no more."""
        self._by_image: dict[str, Generation] = {}
        """Of the ended: whose images nobody has received yet."""
        self._timer: asyncio.TimerHandle | None = None
        self.resting_bytes = 0

    @property
    def running(self) -> list[Generation]:
        """Those that have not ended."""
        return [generation for generation in self._by_id.values() if not generation.log.ended]

    @property
    def readers(self) -> int:
        """How many read any of them."""
        return sum(generation.readers for generation in self._by_id.values())

    def add(self, generation: Generation) -> None:
        """Know one from now on; a request_id means the newest that has it."""
        self._by_id[generation.id] = generation
        self._by_request[generation.caller, generation.request_id] = generation

    def by_id(self, generation_id: str) -> Generation | None:
        """Find one by its id, whoever's it is; None = it is not known."""
        return self._by_id.get(generation_id)

    def find(self, caller: str, generation_id: str) -> Generation:
        """Find one by its id.

        :raises ImageError: GENERATION_NOT_FOUND
        """
        generation = self._by_id.get(generation_id)
        if generation is None or generation.caller != caller:
            raise ImageError(
                Reason.GENERATION_NOT_FOUND,
                "there is no such generation; it may be too long ago",
                metadata={"generation_id": generation_id},
            )
        return generation

    def find_request(self, caller: str, request_id: str) -> Generation | None:
        """Find the newest one that has this request_id; None = it is not known any more."""
        return self._by_request.get((caller, request_id))

    def ended(self, generation: Generation) -> None:
        """Let it go `ttl` seconds from now."""
        size = _PLAIN_BYTES + _size(generation)
        self._ended[generation.id] = (asyncio.get_running_loop().time() + self._ttl, size)
        self.resting_bytes += size
        for image_id in generation.undelivered:
            self._by_image[image_id] = generation
        self._look_at(generation)
        self._make_room()
        self._wait_for_expiry()

    def told(self, generation_id: str) -> None:
        """Note that somebody has heard of its end."""
        if (generation := self._by_id.get(generation_id)) is not None:
            generation.told = True
            self._look_at(generation)

    def delivered(self, image_id: str, generation: Generation | None) -> None:
        """Note that somebody has the whole image; `generation` is the one that made it, None = look it up."""
        made = self._by_image.pop(image_id, generation)
        if made is not None:
            made.undelivered.discard(image_id)
            self._look_at(made)

    def _look_at(self, generation: Generation) -> None:
        """Find out whether anybody may still need an ended one."""
        if generation.id in self._ended and (
            (generation.told and not generation.undelivered) or _nobody_comes_back(generation)
        ):
            self._spent.setdefault(generation.id)

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> None:
        while self._spent and self.resting_bytes > MOST_RESTING_BYTES:
            self._drop(next(iter(self._spent)))

    def _wait_for_expiry(self) -> None:
        """Have one timer for all: there may be tens of thousands."""
        if self._timer is None and self._ended:
            expiry, _ = next(iter(self._ended.values()))
            self._timer = asyncio.get_running_loop().call_at(expiry, self._drop_expired)

    def _drop_expired(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        while self._ended and self._ended[oldest := next(iter(self._ended))][0] <= now:
            self._drop(oldest)
        self._wait_for_expiry()

    def _drop(self, generation_id: str) -> None:
        generation = self._by_id.pop(generation_id)
        self.resting_bytes -= self._ended.pop(generation_id)[1]
        self._spent.pop(generation_id, None)
        for image_id in generation.undelivered:
            self._by_image.pop(image_id, None)
        key = (generation.caller, generation.request_id)
        if self._by_request.get(key) is generation:
            del self._by_request[key]


def _nobody_comes_back(generation: Generation) -> bool:
    """Tell whether there is no image to fetch, and whoever wanted it has left or cancelled it."""
    last = generation.log.events[-1]
    return isinstance(last, Broken) and (not generation.detached or last.error.reason is Reason.CANCELLED)


def _size(generation: Generation) -> int:
    """Estimate the texts that a log keeps."""
    size = 0
    for event in generation.log.events:
        if isinstance(event, ImageFinished):
            size += len(event.generated.revised_prompt or "") + _json_size(event.generated.metadata)
        elif isinstance(event, Finished):
            size += _result_size(event.result)
        elif isinstance(event, Broken):
            size += len(event.failure.failures) * _PLAIN_BYTES
    return size


def _result_size(result: ImageResult) -> int:
    said = sum(len(warning.message) for warning in result.warnings)
    return said + _json_size(result.metadata) + (len(result.images) + len(result.failures) - 1) * _PLAIN_BYTES


def _json_size(metadata: object) -> int:
    return len(json.dumps(metadata, default=dict)) if metadata else 0
