"""From the vendor's answers to events: GeneratedImageResponse."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

from imagegen_server.domain.errors import Billed, ImageError
from imagegen_server.domain.events import Complete, Failed, ProviderEvent, Report
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Cost, Usage
from imagegen_server.http.client import Answer
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import ImageJson
from imagegen_server.http.image_place import IMAGE_KEYS, images_of
from imagegen_server.http.whole_answer import read_images

from .errors import billed_by, error_in_success, filtered, ticks_of

_TICKS_PER_DOLLAR = 10_000_000_000
_LONGEST_WORD = 100
"""Characters of the name of a model."""

_STORED = ("file_output", "storage_error")
"""What became of the copy that `storage_options` asks for."""


def report_of(payload: Mapping[str, object], images: int = 0) -> Report:
    """Tell what a request cost, to the tick, and which model served it: ended names are served by another."""
    ticks, model = ticks_of(payload), payload.get("model")
    cost = None if ticks is None else Cost(ticks / _TICKS_PER_DOLLAR, "USD")
    named: JsonObject = {"model": model} if isinstance(model, str) and 0 < len(model) <= _LONGEST_WORD else {}
    return Report(Usage(images_generated=images, cost=cost), named)


class AnswerReader:
    """Reads one answer whose status is success. `count` images are expected; `fetch` gets those that are elsewhere."""

    def __init__(self, context: ErrorContext, count: int, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """Begin with nothing read."""
        self._context = context
        self._count = count
        self._fetch = fetch

    async def events(self, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
        """Yield what the answer holds. What ended it early does not matter if the JSON is whole.

        :raises ImageError: the error that it holds, CONTENT_FILTERED, or INVALID_RESPONSE
        """
        payload = await read_images(answer, self._context, IMAGE_KEYS, self._count)
        data = payload.get("data")
        items = [item if isinstance(item, Mapping) else {} for item in data] if isinstance(data, list) else []
        shown = sum(item.get("respect_moderation") is not False for item in items)
        error = error_in_success(self._context, payload)
        if items or ticks_of(payload) or not error:
            # Of an error alone nothing shows that the vendor has taken the task on.
            yield report_of(payload, shown)
        # What several cost together does not tell of one among them.
        billed = billed_by(ticks_of(payload)) if not shown or len(items) == 1 else None
        wanted = dict(enumerate(items[: self._count]))
        for index, item in wanted.items():
            if item.get("respect_moderation") is False:
                # Whatever stands there is a placeholder.
                message = "moderation kept the picture back after it was drawn"
                yield Failed(index, filtered(self._context, message, stage="output", billed=billed))
        allowed = {index: item for index, item in wanted.items() if item.get("respect_moderation") is not False}
        async with aclosing(images_of(allowed, self._context, self._fetch)) as images:
            async for index, image in images:
                yield _event(index, image, allowed[index], billed)
        if len(items) < self._count:
            raise error or self._missing(payload, none_came=not items)

    def _missing(self, payload: Mapping[str, object], *, none_came: bool) -> ImageError:
        """Say why images are missing that were asked for."""
        billed = billed_by(ticks_of(payload)) if none_came else None
        if isinstance(why := payload.get("block_reason"), str) and why:
            message = f"moderation refused the request: {self._context.clean(why)}"
            return filtered(self._context, message, stage="input", billed=billed)
        if none_came and isinstance(payload.get("data"), list):
            message = "no image and no reason, which is how moderation shows when it refuses all of a request"
            return filtered(self._context, message, stage="", billed=billed)
        return self._context.invalid("fewer images than were asked for" if not none_came else "JSON without images")


def _event(
    index: int, image: bytes | ImageError, item: Mapping[str, ImageJson], billed: Billed | None
) -> ProviderEvent:
    if isinstance(image, ImageError):
        return Failed(index, image.with_billed(billed) if billed else image)
    revised = item.get("revised_prompt")
    return Complete(index, image, revised if isinstance(revised, str) and revised else None, metadata=_stored(item))


def _stored(item: Mapping[str, ImageJson]) -> JsonObject:
    """Keep what the vendor says of the copy that it has stored."""
    told: dict[str, JsonValue] = {}
    for name in _STORED:
        match item.get(name):
            case str() as text:
                told[name] = text
            case dict() as facts:
                told[name] = {key: value for key, value in facts.items() if isinstance(value, str | int | float)}
    return told
