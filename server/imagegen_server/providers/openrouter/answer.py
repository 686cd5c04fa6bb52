"""From the vendor's answers to events: ImageGenerationResponse and the events of ImageStreamingResponse.

In a stream the fields of an event stand at the top of its JSON; the `data` of the OpenAPI document is the field of
server-sent events. A model that does not stream answers JSON although a stream was asked for.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, Phase, Preview, Progress, ProviderEvent
from imagegen_server.http.client import Answer
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import EncodedImage, ImageJson, parse_image_json
from imagegen_server.http.image_place import IMAGE_KEYS, decoded, images_of
from imagegen_server.http.sse import ServerSentEvent, read_events
from imagegen_server.http.whole_answer import read_images

from .errors import error_in_success
from .usage import billed_by, report_of

_END = b"[DONE]"


class AnswerReader:
    """Reads one answer whose status is success. `count` images are expected; `fetch` gets those that are elsewhere."""

    def __init__(self, context: ErrorContext, count: int, fetch: Callable[[str], Awaitable[bytes]]) -> None:
        """Begin with nothing read."""
        self._context = context
        self._count = count
        self._fetch = fetch
        self._finished = 0
        self._phase = ""
        self._malformed: ImageError | None = None

    async def events(self, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
        """Yield what the answer holds; what was asked for does not matter, the answer's own type does.

        :raises ImageError: the error that it holds, or INVALID_RESPONSE
        """
        streams = answer.media_type == "text/event-stream"
        async with aclosing(self._stream(answer) if streams else self._whole(answer)) as events:
            async for event in events:
                yield event

    async def _whole(self, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
        """Read a JSON answer. What ended it early does not matter if the JSON is whole."""
        payload = await read_images(answer, self._context, IMAGE_KEYS, self._count)
        data = payload.get("data")
        items = [item if isinstance(item, Mapping) else {} for item in data] if isinstance(data, list) else []
        billed = None if items else billed_by(payload)
        error = error_in_success(self._context, payload, billed)
        if items or not error:
            yield report_of(payload, len(items))
        wanted = dict(enumerate(items[: self._count]))
        async with aclosing(images_of(wanted, self._context, self._fetch)) as images:
            async for index, image in images:
                if isinstance(image, ImageError):
                    yield Failed(index, image)
                else:
                    yield Complete(index, image, _revised(wanted[index]))
        if len(items) < self._count:
            raise error or self._missing(billed, none_came=not items)

    def _missing(self, billed: Billed | None, *, none_came: bool) -> ImageError:
        what = "no image and no reason" if none_came else "fewer images than were asked for"
        return ImageError(
            Reason.INVALID_RESPONSE,
            f"{self._context.host} sent {what}",
            billed=billed,
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
                if self._finished == self._count:
                    # Nothing but the end comes behind it; whoever waits for that waits for nothing.
                    return
        raise self._malformed or self._context.invalid("a stream that ended before the finished image")

    def _events_of(self, sent: ServerSentEvent) -> Iterator[ProviderEvent]:
        try:
            payload = parse_image_json(sent.data, IMAGE_KEYS)
        except ImageError as problem:
            # The finished image may still come. If it does not, this is why.
            self._malformed = self._context.invalid(f"a malformed event: {problem.message}")
            return
        if not isinstance(payload, Mapping):
            return
        encoded, kind = payload.get("b64_json"), str(payload.get("type"))
        finished = isinstance(encoded, EncodedImage) and kind.endswith(".completed")
        # An image that came is paid for, whatever is said beside it.
        if not finished and (error := error_in_success(self._context, payload, billed_by(payload))):
            raise error
        if isinstance(encoded, EncodedImage):
            yield from self._image_of(encoded, kind, payload)
        elif kind.endswith(".text_chunk"):
            yield from self._progress(payload)

    def _image_of(self, encoded: EncodedImage, kind: str, payload: Mapping[str, ImageJson]) -> Iterator[ProviderEvent]:
        if kind.endswith(".completed"):
            yield report_of(payload, self._finished + 1)
            yield Complete(self._finished, decoded(encoded, self._context), _revised(payload))
            self._finished += 1
        elif kind.endswith(".partial_image"):
            try:
                yield Preview(self._finished, encoded.decode())
            except ImageError as problem:
                self._malformed = self._context.invalid(f"a preview that cannot be read: {problem.message}")

    def _progress(self, payload: Mapping[str, ImageJson]) -> Iterator[Progress]:
        """Tell that the text of an SVG is being written, once for each phase: the pieces are many."""
        phase = payload.get("phase")
        if isinstance(phase, str) and phase != self._phase:
            self._phase = phase
            yield Progress(Phase.GENERATING, self._finished, message=self._context.name(phase))


def _revised(item: Mapping[str, ImageJson]) -> str | None:
    revised = item.get("revised_prompt")
    return revised if isinstance(revised, str) and revised else None
