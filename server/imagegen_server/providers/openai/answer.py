"""From the vendor's answers to events: ImagesResponse, ImageGenStreamEvent and ImageEditStreamEvent."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, Preview, ProviderEvent
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.json import JsonValue
from imagegen_server.http.client import Answer
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import EncodedImage, ImageJson, parse_image_json
from imagegen_server.http.image_place import IMAGE_KEYS, decoded, images_of, place_of
from imagegen_server.http.raw_image import picture_in
from imagegen_server.http.sse import ServerSentEvent, read_events

from .dialect import OPENAI, Dialect
from .errors import error_in_success

_RESOLVED = ("size", "quality", "background", "output_format")
"""What the vendor decided where "auto" was asked for."""

_END = b"[DONE]"
_MOST_BESIDE_IMAGES = 1024 * 1024
"""Bytes of an answer that are no image."""

_MOST_SEED = 2**63
_LONGEST_WORD = 100
"""Characters of what the vendor decided."""


class AnswerReader:
    """Reads one answer whose status is success. `count` images are expected; `fetch` gets those that are elsewhere."""

    def __init__(
        self,
        context: ErrorContext,
        count: int,
        fetch: Callable[[str], Awaitable[bytes]],
        dialect: Dialect = OPENAI,
    ) -> None:
        """Begin with nothing read."""
        self._dialect = dialect
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
        """Read JSON, or a picture itself. `fault` is what ended it early, which does not matter if all is there."""
        if media_type.startswith("image/") and (picture := picture_in(body, media_type, self._context, fault)):
            yield self._dialect.report({}, 1)
            yield Complete(0, picture)
            return
        try:
            payload = parse_image_json(body, IMAGE_KEYS)
        except ImageError as problem:
            raise fault or self._context.invalid(
                f"{media_type or 'something'} that cannot be read as JSON"
            ) from problem
        error = error_in_success(self._context, payload, self._dialect)
        data = payload.get("data") if isinstance(payload, Mapping) else None
        if not isinstance(payload, Mapping) or not isinstance(data, list):
            raise error or self._context.invalid("JSON without a list of images")
        if data or not error:
            yield self._dialect.report(payload, len(data))
        wanted = dict(enumerate(data[: self._count]))
        async with aclosing(images_of(wanted, self._context, self._fetch)) as images:
            async for index, image in images:
                if isinstance(image, bytes):
                    yield self._complete(index, image, wanted[index], payload)
                elif error is None:
                    yield Failed(index, self._failure(image, wanted[index]))
        if error:
            # Of the images that did not come. Those that did are paid for.
            raise error
        if not data:
            raise self._context.invalid("no image")

    def _complete(self, index: int, image: bytes, item: ImageJson, payload: Mapping[str, ImageJson]) -> Complete:
        said = item if isinstance(item, Mapping) else {}
        revised = said.get("revised_prompt")
        told = _resolved(payload) | dict(self._dialect.image_facts(said))
        return Complete(index, image, revised if isinstance(revised, str) else None, _seed(said), told)

    def _failure(self, problem: ImageError, item: ImageJson) -> ImageError:
        if not isinstance(item, Mapping) or place_of(item) is not None or not self._dialect.withheld(item):
            return problem
        message = f"{self._context.provider}: moderation kept the picture back after it was drawn"
        return ImageError(
            Reason.CONTENT_FILTERED,
            message,
            stage="output",
            http_status=self._context.status,
            provider_request_id=self._context.request_id,
        )

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
            payload = parse_image_json(sent.data, IMAGE_KEYS)
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
        if not finished and (error := error_in_success(self._context, payload, self._dialect)):
            raise error
        if not isinstance(payload, Mapping) or not isinstance(encoded, EncodedImage):
            return
        if finished:
            yield self._dialect.report(payload, 1)
            yield self._complete(0, decoded(encoded, self._context), payload, payload)
        elif str(kind).endswith(".partial_image"):
            yield from self._preview(encoded, payload)

    def _preview(self, encoded: EncodedImage, payload: Mapping[str, object]) -> Iterator[Preview]:
        try:
            yield Preview(0, encoded.decode(), _resolved(payload))
        except ImageError as problem:
            self._malformed = self._context.invalid(f"a preview that cannot be read: {problem.message}")


def _seed(item: Mapping[str, object]) -> int | None:
    """Read the seed of an image, which some servers tell."""
    seed = item.get("seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) and abs(seed) < _MOST_SEED else None


def _resolved(payload: Mapping[str, object]) -> dict[str, JsonValue]:
    return {
        key: value for key in _RESOLVED if isinstance(value := payload.get(key), str) and len(value) <= _LONGEST_WORD
    }
