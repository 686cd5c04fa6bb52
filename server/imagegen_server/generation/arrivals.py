"""What a provider yields for one request, taken in and written into the log as it comes."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeAlias

from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason
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
from imagegen_server.domain.result import GeneratedImage
from imagegen_server.domain.task import Task
from imagegen_server.images.facts import is_truncated, read_facts

from .admission import estimate_image_bytes
from .attempt import AttemptRecord
from .digest import sha256_of
from .intake import clean_metadata, clean_report, clean_text, clean_whole
from .plan import Candidate
from .run import Run

_Event: TypeAlias = Progress | Preview | Complete | Failed


class Arrivals:
    """The images of one provider request, as they come. Indices given to it count the images of its task."""

    def __init__(self, run: Run, candidate: Candidate, first_index: int, task: Task) -> None:
        """Expect the images from `first_index` on."""
        self._run = run
        self._generation = run.generation
        self._candidate = candidate
        self._first_index = first_index
        self._task = task
        self._outstanding = set(range(task.count))
        self._previews: dict[int, int] = {}
        self._closed = False
        self.shown = False
        """Something of it is in the log that nobody can take back."""
        self.arriving = 0
        """Finished images that have come and are not in the log yet."""
        self.images: list[GeneratedImage] = []
        self.failures: list[Failure] = []
        self.report = Report()
        self.billed_before = Billed.NO
        """The worst that is told of the attempts before the one that runs."""
        self.worst: ImageError | None = None
        """Of those that failed, the one that may have cost most, without what was spent before."""

    @property
    def complete(self) -> bool:
        """Every image has come, or has failed."""
        return not self._outstanding

    def close(self) -> None:
        """Take nothing more in."""
        self._closed = True

    def billed_in_all(self, error: ImageError) -> ImageError:
        """Correct what an error says of the bill: a free refusal does not make the attempts before it free."""
        before = self.billed_before
        return error.with_billed(before) if before.value > error.billed.value else error

    def fail_rest(self, error: ImageError) -> None:
        """Let every image fail that has not come."""
        for index in sorted(self._outstanding):
            self._fail(index, error)

    def progress(self, progress: Progress) -> None:
        """Tell where the whole request stands."""
        if not self._closed:
            self._generation.last_progress = progress
            self._generation.log.append(progress)

    async def take(self, event: ProviderEvent, record: AttemptRecord) -> None:
        """Take an event of an attempt in, as the middleware leaves it.

        :raises ImageError: INVALID_RESPONSE for an image that nobody expects
        """
        if self._closed:
            return
        if isinstance(event, Report):
            self.report = clean_report(event)
        elif isinstance(event, Complete):
            self.arriving += 1
            try:
                await _finish_although_cancelled(self._pass_on(event, record))
            finally:
                self.arriving -= 1
        else:
            await self._pass_on(event, record)

    async def _pass_on(self, event: _Event, record: AttemptRecord) -> None:
        middleware = self._run.tools.middleware
        if not middleware.sees_events:
            await self._keep(event, record)
            return
        if isinstance(event, Complete):
            # Whatever the middleware does, the picture is there and paid for.
            record.deliver()
        elif isinstance(event, Preview):
            record.accept()
        for changed in await middleware.event(self._run.context, _moved(event, self._first_index)):
            await self._keep(_moved(changed, -self._first_index), record)

    async def _keep(self, event: _Event, record: AttemptRecord) -> None:
        match event:
            case Progress():
                self._provider_progress(event)
            case Preview():
                self._preview(event, record)
            case Complete():
                await self._complete(event, record)
            case Failed(index, error):
                self._fail(self._expected(index), record.judge(error))

    def _expected(self, index: int) -> int:
        if index not in self._outstanding:
            raise ImageError(Reason.INVALID_RESPONSE, f"the provider sent image {index} twice or unasked")
        return index

    def _provider_progress(self, progress: Progress) -> None:
        if progress.index is not None:
            if progress.index not in range(self._task.count):
                return
            progress = replace(progress, index=self._first_index + progress.index)
        self.progress(progress)

    def _preview(self, preview: Preview, record: AttemptRecord) -> None:
        record.accept()
        if self._closed or preview.index not in self._outstanding or not 0 < len(preview.data) <= MAX_IMAGE_BYTES:
            return
        number = self._previews.get(preview.index, 0) + 1
        if number > self._task.preview_count:
            return
        self._previews[preview.index] = number
        self.shown = True
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

    async def _complete(self, complete: Complete, record: AttemptRecord) -> None:
        index, data = self._expected(complete.index), complete.data
        record.accept()
        facts = _facts(data)
        if wrong := _why_unusable(data, facts):
            if not self._closed:
                self._fail(index, ImageError(Reason.INVALID_RESPONSE, wrong))
            return
        record.deliver()
        metadata = self._named(complete.metadata)
        stored = await self._run.tools.store.put(
            self._generation.caller, data, facts, await sha256_of(data), self._run.reservation, metadata=metadata
        )
        if self._closed or index not in self._outstanding:
            # The generation has ended without it, because the store took longer than anybody waits.
            return
        self._generation.ticket.add(len(data) - estimate_image_bytes(self._task))
        generated = GeneratedImage(
            index=self._first_index + index,
            image=stored,
            revised_prompt=clean_text(complete.revised_prompt),
            seed=clean_whole(complete.seed),
            metadata=metadata,
        )
        self.shown = True
        self._outstanding.discard(index)
        self.images.append(generated)
        self._generation.undelivered.add(stored.image_id)
        self._generation.log.append(ImageFinished(generated, data))

    def _fail(self, index: int, error: ImageError) -> None:
        self.shown = True
        self._outstanding.discard(index)
        self._generation.ticket.add(-estimate_image_bytes(self._task))
        if self.worst is None or error.billed.value > self.worst.billed.value:
            self.worst = error
        named = {"provider": self._candidate.entry.name, "model": self._candidate.model} | error.metadata
        failure = Failure(self._first_index + index, self.billed_in_all(error).with_metadata(named))
        self.failures.append(failure)
        self._generation.log.append(ImageFailed(failure))

    def _named(self, metadata: JsonObject) -> dict[str, JsonObject]:
        cleaned = clean_metadata(metadata)
        return {self._candidate.entry.name: cleaned} if cleaned else {}


def _moved(event: _Event, by: int) -> _Event:
    """Count its image from another start."""
    return event if not by or event.index is None else replace(event, index=event.index + by)


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
