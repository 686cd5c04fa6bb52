"""Input images: the checks of their bytes, and fetching those that are at a URL or in the store."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import MAX_IMAGE_BYTES, UNREADABLE, InputImage
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.task import ImageReference, Wish
from imagegen_server.http.guarded_fetch import GuardedFetcher, NotFetched
from imagegen_server.images.facts import is_truncated, read_facts

from .admission import Ticket
from .store import ImageStore

_INPUT_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})


def read_input(data: bytes, field: str, wrong: list[Violation], metadata: Mapping[str, JsonObject]) -> InputImage:
    """Check an input image. What is none is appended to `wrong` under `field`, and UNREADABLE stands in its place."""
    facts, problem = read_facts(data), ""
    if facts is None or facts.media_type not in _INPUT_TYPES:
        problem = f"is {facts.media_type if facts else 'no image'}; give a PNG, JPEG, WebP or GIF"
    elif facts.width is None:
        problem = f"is {facts.media_type}, but cut short in its header"
    elif is_truncated(data, facts.media_type):
        problem = f"is {facts.media_type}, but cut short"
    if facts is None or problem:
        wrong.append(Violation(field, problem))
        return UNREADABLE
    return InputImage(data, facts, metadata)


class Inputs:
    """Brings the bytes of what a wish refers to."""

    def __init__(self, store: ImageStore, fetcher: GuardedFetcher) -> None:
        """Be wired by the app."""
        self._store = store
        self._fetcher = fetcher

    async def resolve(self, wish: Wish, caller: str, ticket: Ticket, wrong: list[Violation]) -> Wish:
        """Put the images that a wish refers to into their places, all fetched side by side.

        `ticket` counts their bytes as they come: a URL may give nothing for half a minute, and what it might give at
        most would keep everybody else out meanwhile. What no image can be made of is appended to `wrong`, and if
        `wrong` holds anything in the end, what could not be fetched is too.

        :raises ImageError: SERVER_BUSY; or, unless something is wrong: INPUT_NOT_FETCHED, IMAGE_NOT_FOUND or
            WRONG_INSTANCE, whichever comes first in the request, naming every input that is not there
        """
        if not wish.references:
            return wish
        # Those in the store first: nothing is fetched for a call that they make too large.
        stored = [await self._stored(reference, caller, ticket) for reference in wish.references if reference.image_id]
        urls = [reference for reference in wish.references if reference.url]
        async with asyncio.TaskGroup() as group:
            fetches = [group.create_task(self._fetched(reference, ticket)) for reference in urls]
        found = [*stored, *(fetch.result() for fetch in fetches)]
        for one in found:
            if one.error is not None and one.error.reason is Reason.SERVER_BUSY:
                raise one.error
        return _placed(wish, {one.reference.field: one for one in found}, wrong)

    async def _stored(self, reference: ImageReference, caller: str, ticket: Ticket) -> "_Found":
        field = f"{reference.field}.image_id"
        try:
            image, data = await self._store.get(caller, reference.image_id)
        except ImageError as error:
            if error.reason not in {Reason.IMAGE_NOT_FOUND, Reason.WRONG_INSTANCE}:
                raise
            return _Found(reference, field, error=error)
        ticket.grow(len(data))
        return _Found(reference, field, data, {**image.metadata, **reference.metadata})

    async def _fetched(self, reference: ImageReference, ticket: Ticket) -> "_Found":
        field, counted = f"{reference.field}.url", 0
        no_room: ImageError | None = None

        def count(size: int) -> None:
            nonlocal counted, no_room
            try:
                ticket.grow(size)
            except ImageError as busy:
                no_room = busy.with_traceback(None)
                raise NotFetched("there is no room for it") from None
            counted += size

        try:
            data = await self._fetcher.fetch(reference.url, max_bytes=MAX_IMAGE_BYTES, on_bytes=count)
        except NotFetched as fault:
            ticket.add(-counted)
            reason = Reason.INVALID_REQUEST if fault.malformed else Reason.INPUT_NOT_FETCHED
            return _Found(reference, field, error=no_room or ImageError(reason, fault.message))
        return _Found(reference, field, data, reference.metadata)


class _Found:
    def __init__(
        self,
        reference: ImageReference,
        field: str,
        data: bytes = b"",
        metadata: Mapping[str, JsonObject] | None = None,
        *,
        error: ImageError | None = None,
    ) -> None:
        self.reference = reference
        self.field = field
        self.data = data
        self.metadata = metadata or {}
        self.error = error


def _placed(wish: Wish, found: Mapping[str, _Found], wrong: list[Violation]) -> Wish:
    images, mask = list(wish.images), wish.mask
    missing: list[tuple[ImageError, Violation]] = []
    for reference in wish.references:
        one = found[reference.field]
        if one.error is None:
            image = read_input(one.data, one.field, wrong, one.metadata)
        else:
            image = UNREADABLE
            violation = Violation(one.field, one.error.message)
            if one.error.reason is Reason.INVALID_REQUEST:
                wrong.append(violation)
            else:
                missing.append((one.error, violation))
        if reference.position is None:
            mask = image
        else:
            images[reference.position] = image
    if missing and not wrong:
        raise _missing(missing)
    wrong += [violation for _, violation in missing]
    return replace(wish, images=tuple(images), mask=mask, references=())


def _missing(missing: Sequence[tuple[ImageError, Violation]]) -> ImageError:
    first, violation = missing[0]
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return ImageError(
        first.reason,
        f"{violation.field}: {violation.description}{more}",
        violations=[violation for _, violation in missing],
    )
