"""From the vendor's answers to events: GenerateContentResponse, whole or in pieces."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Phase, Preview, Progress, ProviderEvent, Report
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import TokenKinds, Usage
from imagegen_server.http.client import Answer
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import EncodedImage, ImageJson, parse_image_json
from imagegen_server.http.sse import read_events

from .errors import error_in_success

_IMAGE_KEYS = frozenset({"data"})
_MODERATED = frozenset(
    {
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "MODEL_ARMOR",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)
"""Values of finishReason that say that something must not be shown. Any other says that there is no image."""

_MOST_BYTES = 3 * (MAX_IMAGE_BYTES * 4 // 3) + 1024 * 1024
"""Of one answer: an image with two interim ones before it, and what stands around them."""

_MOST_TOKENS = 2**53
_LONGEST_SIGNATURE = 512 * 1024
"""Characters. A longer one would not fit into a message of the API beside everything else."""

_TAIL = 64 * 1024
"""Bytes at the end of a stream in which an error may stand that is no event."""


class AnswerReader:
    """Reads one answer whose status is success: at most one image, and at most `previews` interim ones before it."""

    def __init__(self, context: ErrorContext, previews: int, prompt: str) -> None:
        """Begin with nothing read. `prompt` is kept beside the signature of what it made, for an edit of that."""
        self._context = context
        self._previews = previews
        self._prompt = prompt
        self._begun = self._finished = False
        self._malformed: ImageError | None = None
        self._left_out = 0
        self._thought: Mapping[str, object] | None = None
        self._texts: list[str] = []
        self._reason = self._message = self._blocked = ""
        self._facts: dict[str, JsonValue] = {}
        self._usage: Mapping[str, object] = {}
        self.response_id = ""
        """The vendor's own id of the answer; "" = not told yet."""

    async def events(self, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
        """Yield what the answer holds; what was asked for does not matter, the answer's own type does.

        :raises ImageError: the error that it holds, or why there is no image
        """
        if answer.media_type == "text/event-stream":
            async with aclosing(self._stream(answer)) as events:
                async for event in events:
                    yield event
        else:
            body, fault = await answer.read_on(_MOST_BYTES)
            try:
                payload = parse_image_json(body, _IMAGE_KEYS)
            except ImageError as problem:
                what = f"{answer.media_type or 'something'} that cannot be read as JSON"
                raise fault or self._context.invalid(what) from problem
            for event in self._take(payload):
                yield event
        for event in self._end():
            yield event

    async def _stream(self, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
        tail = bytearray()
        fault: ImageError | None = None

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in answer.chunks():
                tail.extend(chunk[-_TAIL:])
                del tail[:-_TAIL]
                yield chunk

        try:
            async with aclosing(read_events(chunks())) as stream:
                async for sent in stream:
                    for event in self._take(self._parsed(sent.data)):
                        yield event
        except ImageError as problem:
            fault = problem
        # What breaks behind the image costs only what would have been said of tokens.
        if not self._finished and (fault := fault or self._bare_error(bytes(tail))) is not None:
            raise fault

    def _parsed(self, data: bytes) -> ImageJson:
        """Read an event. The image may still come behind one that is malformed; if it does not, this is why."""
        try:
            return parse_image_json(data, _IMAGE_KEYS)
        except ImageError as problem:
            self._malformed = self._context.invalid(f"a malformed event: {problem.message}")
            return {}

    def _bare_error(self, tail: bytes) -> ImageError | None:
        """Find an error that was written behind the events as bare JSON, over several lines."""
        start = tail.rfind(b"{", 0, max(tail.rfind(b'"error"'), 0))
        if start < 0:
            return None
        try:
            payload, _ = json.JSONDecoder().raw_decode(tail[start:].decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
        return error_in_success(self._context, payload)

    def _take(self, payload: ImageJson) -> Iterator[ProviderEvent]:
        """Take one GenerateContentResponse, or a list of them."""
        if isinstance(payload, list):
            for item in payload:
                yield from self._take(item)
            return
        if not isinstance(payload, Mapping):
            raise self._context.invalid("JSON that is no object")
        if not self._finished and (error := error_in_success(self._context, payload)):
            raise error
        self._note(payload)
        candidate = _first(payload.get("candidates"))
        if candidate and not self._begun:
            self._begun = True
            yield Progress(Phase.GENERATING)
        self._reason = _text(candidate.get("finishReason")) or self._reason
        self._message = _text(candidate.get("finishMessage")) or self._message
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, Mapping) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping):
                yield from self._part(part)

    def _note(self, payload: Mapping[str, object]) -> None:
        usage, feedback = payload.get("usageMetadata"), payload.get("promptFeedback")
        if isinstance(usage, Mapping):
            self._usage = usage
        if isinstance(feedback, Mapping):
            self._blocked = _text(feedback.get("blockReason")) or self._blocked
            self._message = _text(feedback.get("blockReasonMessage")) or self._message
        self.response_id = self._context.name(_text(payload.get("responseId"))) or self.response_id
        if version := _text(payload.get("modelVersion")):
            self._facts["model_version"] = self._context.name(version)

    def _part(self, part: Mapping[str, object]) -> Iterator[ProviderEvent]:
        inline = part.get("inlineData", part.get("inline_data"))
        encoded = inline.get("data") if isinstance(inline, Mapping) else None
        if not isinstance(encoded, EncodedImage):
            if not part.get("thought") and (text := part.get("text")) and isinstance(text, str):
                self._texts.append(text)
        elif part.get("thought"):
            self._thought = part
            if self._previews > 0 and not self._finished:
                yield from self._preview(encoded)
        elif self._finished:
            self._left_out += 1
        else:
            yield self._complete(encoded, part)

    def _preview(self, encoded: EncodedImage) -> Iterator[Preview]:
        try:
            yield Preview(0, self._decoded(encoded))
        except ImageError as problem:
            self._malformed = problem
        else:
            self._previews -= 1

    def _complete(self, encoded: EncodedImage, part: Mapping[str, object]) -> Complete:
        data = self._decoded(encoded)
        self._finished = True
        return Complete(0, data, metadata=self._metadata(part))

    def _metadata(self, part: Mapping[str, object]) -> JsonObject:
        """What a later edit of the image needs, and what was said beside it."""
        signature = _text(part.get("thoughtSignature", part.get("thought_signature")))
        told: dict[str, JsonValue] = {}
        if len(signature) > _LONGEST_SIGNATURE:
            told["thought_signature_left_out"] = f"it has {len(signature)} characters"
        elif signature and self._prompt:
            told |= {"thought_signature": signature, "prompt": self._prompt}
        if self._texts:
            told["text"] = "".join(self._texts)
        return told

    def _decoded(self, encoded: EncodedImage) -> bytes:
        try:
            return encoded.decode()
        except ImageError as problem:
            raise self._context.invalid(f"an image that cannot be read: {problem.message}") from problem

    def _end(self) -> Iterator[ProviderEvent]:
        """Tell of the whole, once nothing more comes.

        :raises ImageError: there was no image
        """
        if not self._finished and self._thought is not None and self._reason in ("STOP", ""):
            # Some answers mark the finished image as a thought, too.
            part, self._thought = self._thought, None
            inline = part.get("inlineData", part.get("inline_data"))
            assert isinstance(inline, Mapping)
            yield self._complete(inline["data"], part)
        if not self._finished:
            raise self._nothing()
        if self._left_out:
            self._facts["images_left_out"] = self._left_out
        yield Report(_usage(self._usage), self._facts)

    def _nothing(self) -> ImageError:
        """Tell why an answer of success has no image."""
        if self._malformed is not None:
            return self._malformed
        code = self._context.name(self._blocked or self._reason)
        said = self._context.clean(" ".join(part for part in (self._message, "".join(self._texts)) if part))
        why = f"{code}: {said}" if code and said else code or said or "no reason was given"
        moderated = bool(self._blocked) or self._reason in _MODERATED
        stage = ("input" if self._blocked else "output") if moderated else ""
        return ImageError(
            Reason.CONTENT_FILTERED if moderated else Reason.INVALID_RESPONSE,
            f"{self._context.provider}: {'refused' if moderated else 'no image'}: {why}",
            stage=stage,
            http_status=self._context.status,
            provider_code=code,
            provider_request_id=self.response_id,
        )


def _first(candidates: object) -> Mapping[str, object]:
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    return first if isinstance(first, Mapping) else {}


def _usage(said: Mapping[str, object]) -> Usage:
    """Read usageMetadata. Thoughts are paid for as output."""
    drawn, thought = _tokens(said.get("candidatesTokenCount")), _tokens(said.get("thoughtsTokenCount"))
    into, out = _by_modality(said.get("promptTokensDetails")), _by_modality(said.get("candidatesTokensDetails"))
    output = None if drawn is None else drawn + (thought or 0)
    image = out.get("IMAGE")
    return Usage(
        images_generated=1,
        input_tokens=_tokens(said.get("promptTokenCount")),
        output_tokens=output,
        kinds=TokenKinds(
            input_text=into.get("TEXT"),
            input_image=into.get("IMAGE"),
            output_text=None if image is None or output is None else output - image,
            output_image=image,
        ),
    )


def _by_modality(details: object) -> dict[str, int]:
    found = {}
    for item in details if isinstance(details, list) else ():
        if isinstance(item, Mapping) and (count := _tokens(item.get("tokenCount"))) is not None:
            found[_text(item.get("modality"))] = count
    return found


def _tokens(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
