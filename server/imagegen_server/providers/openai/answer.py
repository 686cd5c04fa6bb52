"""From the vendor's answers to events: ImagesResponse, ImageGenStreamEvent and ImageEditStreamEvent."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Complete, Failed, Preview, ProviderEvent, Report
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import TokenKinds, Usage
from imagegen_server.http.client import Answer
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import EncodedImage, ImageJson, parse_image_json
from imagegen_server.http.sse import ServerSentEvent, read_events

from .errors import error_in_success

_IMAGE_KEYS = frozenset({"b64_json", "url"})
_RESOLVED = ("size", "quality", "background", "output_format")
"""What the vendor decided where "auto" was asked for."""

_DATA_SCHEME = b"data:"
_END = b"[DONE]"
_MOST_BESIDE_IMAGES = 1024 * 1024
"""Bytes of an answer that are no image."""

_MOST_TOKENS = 2**53
"""From here on a number is no count, and none that a cost can be worked out from."""

_LONGEST_WORD = 100
"""Characters of what the vendor decided."""


class AnswerReader:
    """Reads one answer whose status is success. `count` images are expected; `fetch` gets those that are elsewhere."""

    def __init__(self, context: ErrorContext, count: int, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """Begin with nothing read."""
        self._context = context
        self._count = count
        self._fetch = fetch
        self._malformed: ImageError | None = None

    async def events(self, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
        """Yield what the answer holds; what was asked for does not matter, the answer's own type does.

        :raises ImageError: the error that it holds, or INVALID_RESPONSE
        """
        if answer.media_type == "text/event-stream":
            async with aclosing(self._stream(answer)) as events:
                async for event in events:
                    yield event
        else:
            body, fault = await answer.read_on(self._most_bytes())
            async with aclosing(self._whole(body, fault, answer.media_type)) as events:
                async for event in events:
                    yield event

    def _most_bytes(self) -> int:
        return self._count * (MAX_IMAGE_BYTES * 4 // 3) + _MOST_BESIDE_IMAGES

    async def _whole(
        self, body: bytes, fault: ImageError | None, media_type: str
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Read a JSON answer. `fault` is what ended it early, which does not matter if the JSON is whole."""
        try:
            payload = parse_image_json(body, _IMAGE_KEYS)
        except ImageError as problem:
            raise fault or self._context.invalid(
                f"{media_type or 'something'} that cannot be read as JSON"
            ) from problem
        error = error_in_success(self._context, payload)
        data = payload.get("data") if isinstance(payload, Mapping) else None
        if not isinstance(payload, Mapping) or not isinstance(data, list):
            raise error or self._context.invalid("JSON without a list of images")
        if data or not error:
            yield _report(payload, len(data))
        async with aclosing(self._images(data[: self._count], _resolved(payload))) as images:
            async for image in images:
                if error is None or isinstance(image, Complete):
                    yield image
        if error:
            # Of the images that did not come. Those that did are paid for.
            raise error
        if not data:
            raise self._context.invalid("no image")

    async def _images(self, data: Sequence[ImageJson], resolved: JsonObject) -> AsyncGenerator[Complete | Failed, None]:
        """Yield what the answer holds at once, and what is elsewhere as it comes."""
        items = [item if isinstance(item, Mapping) else {} for item in data]
        places = [_place_of(item) for item in items]
        fetches = [
            asyncio.ensure_future(self._fetched(index, place, items[index], resolved))
            for index, place in enumerate(places)
            if isinstance(place, str)
        ]
        try:
            for index, place in enumerate(places):
                if not isinstance(place, str):
                    yield self._image(index, place, items[index], resolved)
            for fetched in asyncio.as_completed(fetches):
                yield await fetched
        finally:
            for fetch in fetches:
                fetch.cancel()
            await asyncio.gather(*fetches, return_exceptions=True)

    def _image(
        self, index: int, encoded: EncodedImage | None, item: Mapping[str, ImageJson], resolved: JsonObject
    ) -> Complete | Failed:
        if encoded is None:
            return Failed(index, self._context.invalid("nothing instead of the bytes of an image"))
        try:
            data = encoded.decode()
        except ImageError as problem:
            return Failed(index, self._context.invalid(f"an image that cannot be read: {problem.message}"))
        return Complete(index, data, _revised(item), metadata=resolved)

    async def _fetched(
        self, index: int, url: str, item: Mapping[str, ImageJson], resolved: JsonObject
    ) -> Complete | Failed:
        try:
            return Complete(index, await self._fetch(url), _revised(item), metadata=resolved)
        except ImageError as problem:
            problem.provider_request_id = self._context.request_id
            return Failed(index, problem)

    async def _stream(self, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
        async with aclosing(read_events(answer.chunks())) as stream:
            async for sent in stream:
                if sent.data == _END:
                    break
                for event in self._events_of(sent):
                    yield event
                    if isinstance(event, Complete):
                        # The vendor closes the stream now; whoever waits for that waits for nothing.
                        return
        raise self._malformed or self._context.invalid("a stream that ended before the finished image")

    def _events_of(self, sent: ServerSentEvent) -> Iterator[ProviderEvent]:
        try:
            payload = parse_image_json(sent.data, _IMAGE_KEYS)
        except ImageError as problem:
            # The finished image may still come. If it does not, this is why.
            self._malformed = self._context.invalid(f"a malformed event: {problem.message}")
            return
        if sent.name == "error" and not (isinstance(payload, Mapping) and "error" in payload):
            payload = {"error": payload}
        encoded = payload.get("b64_json") if isinstance(payload, Mapping) else None
        kind = payload.get("type") if isinstance(payload, Mapping) else None
        finished = isinstance(encoded, EncodedImage) and str(kind).endswith(".completed")
        # An image that came is paid for, whatever is said beside it.
        if not finished and (error := error_in_success(self._context, payload)):
            raise error
        if not isinstance(payload, Mapping) or not isinstance(encoded, EncodedImage):
            return
        if finished:
            yield _report(payload, 1)
            yield self._finished(encoded, payload)
        elif str(kind).endswith(".partial_image"):
            yield from self._preview(encoded, payload)

    def _preview(self, encoded: EncodedImage, payload: Mapping[str, object]) -> Iterator[Preview]:
        try:
            yield Preview(0, encoded.decode(), _resolved(payload))
        except ImageError as problem:
            self._malformed = self._context.invalid(f"a preview that cannot be read: {problem.message}")

    def _finished(self, encoded: EncodedImage, payload: Mapping[str, object]) -> Complete:
        try:
            return Complete(0, encoded.decode(), metadata=_resolved(payload))
        except ImageError as problem:
            raise self._context.invalid(f"an image that cannot be read: {problem.message}") from problem


def _place_of(item: Mapping[str, ImageJson]) -> EncodedImage | str | None:
    """Tell where an image is: in the answer itself, which a data URL is too, or at a URL; None = nowhere."""
    encoded, url = item.get("b64_json"), item.get("url")
    here = encoded if isinstance(encoded, EncodedImage) else None
    if (here and here.encoded_length) or not isinstance(url, EncodedImage) or not url.encoded_length:
        return here
    holds_data = bytes(url.text[: len(_DATA_SCHEME)]).lower() == _DATA_SCHEME
    return url if holds_data else bytes(url.text).decode(errors="replace")


def _revised(item: Mapping[str, ImageJson]) -> str | None:
    revised = item.get("revised_prompt")
    return revised if isinstance(revised, str) else None


def _resolved(payload: Mapping[str, object]) -> JsonObject:
    return {
        key: value for key in _RESOLVED if isinstance(value := payload.get(key), str) and len(value) <= _LONGEST_WORD
    }


def _report(payload: Mapping[str, object], images: int) -> Report:
    said, authoring = payload.get("usage"), payload.get("svg_usage")
    if isinstance(authoring, Mapping):
        # Two models with prices of their own have worked, and one number of tokens cannot tell of both.
        told: JsonObject = {"usage": _plain(said), "svg_usage": _plain(authoring)}
        return Report(Usage(images_generated=images), told)
    if not isinstance(said, Mapping):
        return Report(Usage(images_generated=images))
    into, out = said.get("input_tokens_details"), said.get("output_tokens_details")
    usage = Usage(
        images_generated=images,
        input_tokens=_tokens(said, "input_tokens"),
        output_tokens=_tokens(said, "output_tokens"),
        kinds=TokenKinds(
            input_text=_tokens(into, "text_tokens"),
            input_image=_tokens(into, "image_tokens"),
            output_text=_tokens(out, "text_tokens"),
            output_image=_tokens(out, "image_tokens"),
        ),
    )
    return Report(usage)


def _plain(value: object) -> JsonValue:
    if not isinstance(value, Mapping):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, int | str)}


def _tokens(details: object, key: str) -> int | None:
    value = details.get(key) if isinstance(details, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None
