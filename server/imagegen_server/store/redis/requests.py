"""What became of each request_id, in Redis."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken
from imagegen_server.generation.store import RequestRecord

from .codec import decode, encode
from .room import CLAIM, FREE, READOPT, REQUEST_BYTES, SETTLE
from .worker import Worker

_BUSY_RETRY_SECONDS = 5.0


def pair(caller: str, name: str) -> str:
    """Name what belongs to a caller; no two pairs have the same name."""
    return f"{len(caller)}:{caller}:{name}"


def busy() -> ImageError:
    """Make the error of a store that is full of what must be kept."""
    return ImageError(
        Reason.SERVER_BUSY,
        "the store is full of images that nobody has read yet, uploads and request ids; "
        "read the images, or ask again later",
        retry_after=_BUSY_RETRY_SECONDS,
    )


class RedisRequests:
    """Request ids by caller. See RequestIndex in generation/store.py.

    Those that this process has claimed and not let go of yet are known here, too: a Redis that forgot them is told
    again.
    """

    def __init__(self, worker: Worker) -> None:
        """Know none."""
        self._worker = worker
        self._running: dict[str, RequestRecord] = {}
        worker.on_return.append(self._claim_again)

    async def claim(self, caller: str, request_id: str, record: RequestRecord) -> RequestRecord | None:
        """Take a request_id, or learn who has it."""
        name = pair(caller, request_id)
        found = await self._claim(name, record)
        if found is None:
            self._running[name] = record
        return found

    async def find(self, caller: str, request_id: str) -> RequestRecord | None:
        """Tell what a request_id stands for."""
        if self._worker.owes:
            await self._worker.pay()
        key = f"{self._worker.connection.prefix}r:{pair(caller, request_id)}"
        return _record(await self._worker.connection.ask("HMGET", key, "id", "record", "ended", "failure"))

    async def settle(self, caller: str, request_id: str, failure: Broken | None) -> None:
        """Note that the generation has ended; if Redis is away, as soon as it is back."""
        name = pair(caller, request_id)
        if (record := self._running.pop(name, None)) is None:
            return
        told = encode(failure) if failure is not None else ""
        written = encode(record)
        size = REQUEST_BYTES + len(name) + len(written) + len(told)
        self._worker.owe(name, SETTLE, name, self._worker.name, record.generation_id, written, size, told)
        await self._worker.try_to_pay()

    async def free(self, caller: str, request_id: str) -> None:
        """Forget a request_id; if Redis is away, as soon as it is back."""
        name = pair(caller, request_id)
        record = self._running.pop(name, None)
        self._worker.owe(name, FREE, name, self._worker.name, record.generation_id if record else "")
        await self._worker.try_to_pay()

    async def _claim(self, name: str, record: RequestRecord) -> RequestRecord | None:
        try:
            found = await self._worker.run(CLAIM, *self._claiming(name, record))
        except BaseException:
            # It may be taken all the same.
            self._worker.owe(name, FREE, name, self._worker.name, record.generation_id)
            raise
        if found == b"busy":
            raise busy()
        return _record(cast("Sequence[bytes | None]", found)) if found else None

    async def _claim_again(self) -> None:
        """Let Redis know what runs here, which it took for gone or has lost."""
        running = list(self._running.items())
        if running:
            await self._worker.step(READOPT, self._worker.name, *(name for name, _ in running))
        for name, record in running:
            if name in self._running:
                await self._worker.step(CLAIM, *self._claiming(name, record))

    def _claiming(self, name: str, record: RequestRecord) -> tuple[str | int, ...]:
        written = encode(record)
        return name, self._worker.name, record.generation_id, written, REQUEST_BYTES + len(name) + len(written)


def _record(found: Sequence[bytes | None]) -> RequestRecord | None:
    _, record, ended, failure = found
    if record is None:
        return None
    known: RequestRecord = decode(record)
    return replace(known, ended=bool(ended), failure=decode(failure) if failure else None)
