"""One provider request of a generation: what comes of it, written into the log as it comes."""

import asyncio
import hashlib
import math
import time
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import structlog

from imagegen_server.domain.errors import Failure, ImageError, Reason
from imagegen_server.domain.events import (
    Complete,
    Failed,
    ImageFailed,
    ImageFinished,
    Preview,
    PreviewShown,
    Progress,
    ProviderEvent,
    Report,
)
from imagegen_server.domain.image import MAX_IMAGE_BYTES, UNRECOGNISED, ImageFacts
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import Attempt, GeneratedImage
from imagegen_server.domain.task import Task
from imagegen_server.images.facts import is_truncated, read_facts
from imagegen_server.providers.base import Call

from .admission import estimate_image_bytes
from .attempt import AttemptRecord
from .faults import describe_fault, forget_frames
from .generation import Generation
from .intake import clean_metadata, clean_report, clean_text, clean_whole
from .store import ImageStore

_HASH_OFF_LOOP_BYTES = 4 * 1024 * 1024

_logger = structlog.get_logger("imagegen.generation")


class Batch:
    """One provider request and what came of it. `run` raises nothing, so that every image gets its end."""

    def __init__(self, generation: Generation, first_index: int, task: Task, store: ImageStore) -> None:
        """Prepare the request for the images from `first_index` on."""
        self._generation = generation
        self._first_index = first_index
        self._task = task
        self._store = store
        self._entry = generation.plan.entry
        self._outstanding = set(range(task.count))
        self._previews: dict[int, int] = {}
        self._record = AttemptRecord(self._entry.name, generation.plan.model)
        self._called = False
        self._ended = False
        self.images: list[GeneratedImage] = []
        self.failures: list[Failure] = []
        self.attempts: list[Attempt] = []
        self.report = Report()

    async def run(self) -> None:
        """Call the provider and take in what it yields."""
        self._called = True
        error: ImageError | None = None
        limit = asyncio.timeout(self._entry.timeout)
        try:
            async with limit, aclosing(self._entry.provider.run(self._task, self._call())) as events:
                async for event in events:
                    await self._take(event)
            if self._outstanding:
                error = ImageError(Reason.INVALID_RESPONSE, "the provider ended without the image")
        except (asyncio.CancelledError, Exception) as raised:  # noqa: BLE001 - a bug in an adapter must not take the server along
            error = self._failure(raised, late=limit.expired())
            forget_frames(raised)
        self._end(error)

    def break_off(self) -> None:
        """Give every image that has none its end, although the request runs on. Nothing is taken in after this."""
        if not self._ended:
            self._end(self._generation.stop_error or ImageError(Reason.INTERNAL_ERROR, "the generation broke off"))

    def _failure(self, raised: BaseException, *, late: bool) -> ImageError:
        """Tell what ended the request. `late`: the server's own limit did."""
        name = self._entry.name
        if isinstance(raised, ImageError):
            return raised
        if isinstance(raised, asyncio.CancelledError):
            stopped = self._generation.stop_error
            return stopped or ImageError(Reason.INTERNAL_ERROR, f"the adapter of {name} cancelled itself")
        if isinstance(raised, TimeoutError) and late:
            return ImageError(Reason.TIMEOUT, f"the provider took longer than {self._entry.timeout:g} s")
        # Without the exception's text, which may hold a prompt.
        _logger.error("adapter fault", provider=name, generation_id=self._generation.id, **describe_fault(raised))
        return ImageError(Reason.INTERNAL_ERROR, f"the adapter of {name} has a fault; see the log")

    def _call(self) -> Call:
        return Call(
            deadline=min(time.monotonic() + self._entry.timeout, self._generation.deadline or math.inf),
            log=structlog.get_logger(
                "imagegen.generation", provider=self._entry.name, generation_id=self._generation.id
            ),
            accepted=self._record.accept,
            http=self._entry.http,
            key=self._entry.key,
        )

    def _end(self, error: ImageError | None) -> None:
        """Give every image that has none its end, which is `error`; None = all have theirs."""
        if self._ended:
            return
        self._ended = True
        reported = None
        if error is not None and self._outstanding:
            reported = self._record.judge(error)
            for index in sorted(self._outstanding):
                self._fail(index, reported)
        elif self.failures and not self.images:
            reported = self.failures[0].error
        if self._called:
            self.attempts.append(self._record.end(reported))

    def forget_report(self) -> None:
        """Do without what the provider said of the whole answer."""
        self.report = Report()

    async def _take(self, event: ProviderEvent) -> None:
        if self._ended:
            return
        match event:
            case Progress():
                self._progress(event)
            case Preview():
                self._preview(event)
            case Complete():
                await _finish_although_cancelled(self._complete(event))
            case Failed(index, error):
                self._fail(self._expected(index), self._record.judge(error))
            case Report():
                self.report = clean_report(event)

    def _expected(self, index: int) -> int:
        if index not in self._outstanding:
            raise ImageError(Reason.INVALID_RESPONSE, f"the provider sent image {index} twice or unasked")
        return index

    def _progress(self, progress: Progress) -> None:
        if progress.index is not None:
            if progress.index not in range(self._task.count):
                return
            progress = replace(progress, index=self._first_index + progress.index)
        self._generation.last_progress = progress
        self._generation.log.append(progress)

    def _preview(self, preview: Preview) -> None:
        self._record.accept()
        if preview.index not in self._outstanding or not 0 < len(preview.data) <= MAX_IMAGE_BYTES:
            return
        number = self._previews.get(preview.index, 0) + 1
        if number > self._task.preview_count:
            return
        self._previews[preview.index] = number
        self._generation.ticket.add(len(preview.data))
        self._generation.log.append(
            PreviewShown(
                self._first_index + preview.index,
                number,
                _facts(preview.data),
                preview.data,
                self._named(preview.metadata),
            )
        )

    async def _complete(self, complete: Complete) -> None:
        index, data = self._expected(complete.index), complete.data
        self._record.accept()
        facts = _facts(data)
        if wrong := _why_unusable(data, facts):
            self._fail(index, ImageError(Reason.INVALID_RESPONSE, wrong))
            return
        self._record.deliver()
        stored = await self._store.put(
            self._generation.caller, data, facts, await _sha256(data), self._generation.reservation
        )
        if index not in self._outstanding:
            # The generation has ended without it, because the store took longer than anybody waits.
            return
        self._generation.ticket.add(len(data) - estimate_image_bytes(self._task))
        generated = GeneratedImage(
            index=self._first_index + index,
            image=stored,
            revised_prompt=clean_text(complete.revised_prompt),
            seed=clean_whole(complete.seed),
            metadata=self._named(complete.metadata),
        )
        self._outstanding.discard(index)
        self.images.append(generated)
        self._generation.log.append(ImageFinished(generated, data))

    def _fail(self, index: int, error: ImageError) -> None:
        self._outstanding.discard(index)
        self._generation.ticket.add(-estimate_image_bytes(self._task))
        named = {"provider": self._entry.name, "model": self._generation.plan.model} | error.metadata
        failure = Failure(self._first_index + index, error.with_metadata(named))
        self.failures.append(failure)
        self._generation.log.append(ImageFailed(failure))

    def _named(self, metadata: JsonObject) -> dict[str, JsonObject]:
        cleaned = clean_metadata(metadata)
        return {self._entry.name: cleaned} if cleaned else {}


async def _finish_although_cancelled(work: Coroutine[Any, Any, None]) -> None:
    """Do the work to its end also when cancelled meanwhile: an image that has come is not lost."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as again:
            cancelled = again
    if cancelled is not None:
        raise cancelled
    task.result()


def _facts(data: bytes) -> ImageFacts:
    return read_facts(data) or ImageFacts(UNRECOGNISED, None, None, alpha=False)


def _why_unusable(data: bytes, facts: ImageFacts) -> str:
    if not data:
        return "the provider sent an image without bytes"
    if len(data) > MAX_IMAGE_BYTES:
        return f"the provider sent an image of {len(data)} bytes; the limit is {MAX_IMAGE_BYTES}"
    if facts.media_type == UNRECOGNISED:
        return "the provider sent bytes that are no image"
    if is_truncated(data, facts.media_type):
        return f"the provider sent a {facts.media_type} that is cut short after {len(data)} bytes"
    return ""


async def _sha256(data: bytes) -> str:
    if len(data) < _HASH_OFF_LOOP_BYTES:
        return hashlib.sha256(data).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
