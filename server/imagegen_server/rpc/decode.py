"""From protobuf requests to wishes: every violation and every unknown field, by its path in the request."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from google.protobuf import struct_pb2
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from imagegen.v1 import image_pb2, image_service_pb2

from imagegen_server.domain.errors import Violation
from imagegen_server.domain.image import MAX_IMAGE_BYTES, UNREADABLE, InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import (
    MAX_COMPRESSION,
    MAX_PREVIEWS,
    MAX_SIDE,
    ImageReference,
    Operation,
    Options,
    PixelSize,
    RetryWish,
    Wish,
)
from imagegen_server.generation.inputs import read_input

MAX_PROMPT_BYTES = 131_072
MAX_INPUT_IMAGES = 16
MAX_WORD_LENGTH = 32
MAX_URL_BYTES = 8192
MAX_IMAGE_ID_LENGTH = 128
MAX_REQUEST_ID = 128
MAX_FALLBACKS = 8
FIRST_INEXACT_INTEGER = 2**53
"""From here on a double skips integers, so one that arrives may not be the one that was meant."""

_MOST_UNKNOWN = 1000
"""Unknown fields of one message that are looked at."""

_MOST_FINDINGS = 100
"""Findings of one kind that are kept; a request of 65 MB could hold millions."""

_PACKAGE = "imagegen.v1."
_WORDS = ("aspect_ratio", "resolution", "quality", "background", "format")

Request = image_service_pb2.GenerateRequest | image_service_pb2.EditRequest


@dataclass(slots=True)
class Decoded:
    """A wish, and what reading it has found."""

    wish: Wish
    violations: list[Violation] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)


def decode(request: Request, *, preview_default: int) -> Decoded:
    """Read a request of Generate, Edit or their stream forms. Raises nothing: what is wrong is in the result."""
    wrong: list[Violation] = []
    wish = Wish(
        operation=Operation.EDIT if isinstance(request, image_service_pb2.EditRequest) else Operation.GENERATE,
        model=request.model,
        prompt=request.input.prompt,
        options=_options(request.options, wrong),
        params={key: _json_object(struct, f"params.{key}", wrong) for key, struct in request.params.items()},
        strict=request.strict,
        preview_default=preview_default,
        retry=_retry(request.retry, wrong),
    )
    if not request.model:
        wrong.append(Violation("model", "is required: provider/model or an alias"))
    if isinstance(request, image_service_pb2.EditRequest):
        wish = _with_images(wish, request.input, wrong)
    elif not request.input.prompt:
        wrong.append(Violation("input.prompt", "is required"))
    if len(request.input.prompt.encode()) > MAX_PROMPT_BYTES:
        wrong.append(Violation("input.prompt", f"is longer than {MAX_PROMPT_BYTES} bytes"))
    _terms(request, wrong)
    warnings = [
        Warning(path, WarningReason.UNKNOWN_FIELD, "this server is older than your client and does not know this field")
        for path in _first_distinct(_unknown_fields(request, ""))
    ]
    return Decoded(wish, wrong, warnings)


def _retry(policy: image_pb2.RetryPolicy, wrong: list[Violation]) -> RetryWish:
    if len(policy.fallback_models) > MAX_FALLBACKS:
        wrong.append(Violation("retry.fallback_models", f"at most {MAX_FALLBACKS} models"))
    wrong += [
        Violation(f"retry.fallback_models[{position}]", "is empty: provider/model or an alias")
        for position, name in enumerate(policy.fallback_models[:MAX_FALLBACKS])
        if not name
    ]
    return RetryWish(
        fallback_models=tuple(name for name in policy.fallback_models[:MAX_FALLBACKS] if name),
        retry_ambiguous=policy.retry_ambiguous,
        fallback_on_content_filtered=policy.fallback_on_content_filtered,
    )


def _terms(request: Request, wrong: list[Violation]) -> None:
    """Check how the caller wants it to be held and delivered."""
    if problem := why_no_request_id(request.request_id):
        wrong.append(Violation("request_id", problem))
    if request.on_disconnect not in image_pb2.OnDisconnect.values():
        wrong.append(Violation("on_disconnect", f"has no value {request.on_disconnect}"))
    if request.delivery.mode not in image_pb2.DeliveryMode.values():
        wrong.append(Violation("delivery.mode", f"has no value {request.delivery.mode}"))


def why_no_request_id(text: str) -> str:
    """Tell what is wrong with a caller's own id; "" = nothing."""
    if len(text) > MAX_REQUEST_ID:
        return f"is longer than {MAX_REQUEST_ID} characters"
    if not all("!" <= character <= "~" for character in text):
        return "has characters that are not visible ASCII"
    return ""


def _options(options: image_pb2.ImageOptions, wrong: list[Violation]) -> Options:
    path = "options."
    if options.HasField("count") and options.count < 1:
        wrong.append(Violation(path + "count", "must be at least 1"))
    if options.HasField("compression") and options.compression > MAX_COMPRESSION:
        wrong.append(Violation(path + "compression", f"must be at most {MAX_COMPRESSION}"))
    if options.HasField("preview_count") and options.preview_count > MAX_PREVIEWS:
        wrong.append(Violation(path + "preview_count", f"must be at most {MAX_PREVIEWS}"))
    if len(options.negative_prompt.encode()) > MAX_PROMPT_BYTES:
        wrong.append(Violation(path + "negative_prompt", f"is longer than {MAX_PROMPT_BYTES} bytes"))
    wrong += [
        Violation(path + word, f"is longer than {MAX_WORD_LENGTH} characters")
        for word in _WORDS
        if len(getattr(options, word)) > MAX_WORD_LENGTH
    ]
    size = None
    if options.HasField("size"):
        size = PixelSize(options.size.width, options.size.height)
        if not (1 <= size.width <= MAX_SIDE and 1 <= size.height <= MAX_SIDE):
            wrong.append(Violation(path + "size", f"width and height must be 1 to {MAX_SIDE} pixels"))
        wrong += [
            Violation(path + other, "cannot stand beside options.size; give one of them")
            for other in ("aspect_ratio", "resolution")
            if getattr(options, other)
        ]
    return Options(
        count=options.count if options.HasField("count") else None,
        size=size,
        aspect_ratio=options.aspect_ratio or None,
        resolution=options.resolution or None,
        quality=options.quality or None,
        background=options.background or None,
        format=options.format or None,
        compression=options.compression if options.HasField("compression") else None,
        seed=options.seed if options.HasField("seed") else None,
        negative_prompt=options.negative_prompt or None,
        preview_count=options.preview_count if options.HasField("preview_count") else None,
    )


def _with_images(wish: Wish, edit: image_pb2.ImageEditInput, wrong: list[Violation]) -> Wish:
    if not edit.images:
        wrong.append(Violation("input.images", "at least one image is required"))
    if len(edit.images) > MAX_INPUT_IMAGES:
        wrong.append(Violation("input.images", f"at most {MAX_INPUT_IMAGES} images"))
    references: list[ImageReference] = []
    images = tuple(
        _image(source, ImageReference(f"input.images[{position}]", position), references, wrong)
        for position, source in enumerate(edit.images[:MAX_INPUT_IMAGES])
    )
    mask = None
    if edit.HasField("mask"):
        mask = _image(edit.mask, ImageReference("input.mask", None), references, wrong)
    return replace(wish, images=images, mask=mask, references=tuple(references))


def _image(
    source: image_pb2.ImageSource, place: ImageReference, references: list[ImageReference], wrong: list[Violation]
) -> InputImage:
    """Read an image that came along, or add to `references` where it is."""
    path, kind = place.field, source.WhichOneof("source")
    if problem := _why_no_source(source, kind):
        wrong.append(Violation(f"{path}.{kind}" if kind else path, problem))
        return UNREADABLE
    metadata = {key: _json_object(struct, f"{path}.metadata.{key}", wrong) for key, struct in source.metadata.items()}
    if kind == "data":
        return read_input(source.data, f"{path}.data", wrong, metadata)
    references.append(replace(place, url=source.url, image_id=source.image_id, metadata=metadata))
    return UNREADABLE


def _why_no_source(source: image_pb2.ImageSource, kind: str | None) -> str:
    """Tell what is wrong with a source, without looking at the image; "" = nothing."""
    if kind is None:
        return "has no source: give data, a url or an image_id"
    if not getattr(source, kind) and kind != "data":
        return "is empty: give an http or https URL" if kind == "url" else "is empty: give the id of an upload or image"
    if len(source.url.encode()) > MAX_URL_BYTES:
        return f"is longer than {MAX_URL_BYTES} bytes"
    if len(source.image_id) > MAX_IMAGE_ID_LENGTH:
        return f"is longer than {MAX_IMAGE_ID_LENGTH} characters"
    if len(source.data) > MAX_IMAGE_BYTES:
        return f"is {len(source.data)} bytes; at most {MAX_IMAGE_BYTES}"
    return ""


def _json_object(struct: struct_pb2.Struct, path: str, wrong: list[Violation]) -> JsonObject:
    return {key: _json(value, f"{path}.{key}", wrong) for key, value in struct.fields.items()}


def _json(value: struct_pb2.Value, path: str, wrong: list[Violation]) -> JsonValue:
    match value.WhichOneof("kind"):
        case "number_value":
            return _number(value.number_value, path, wrong)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return dict(_json_object(value.struct_value, path, wrong))
        case "list_value":
            return [_json(item, f"{path}[{at}]", wrong) for at, item in enumerate(value.list_value.values)]
        case None:
            _find(wrong, path, "has no value; leave it out, or say null")
    return None


def _number(number: float, path: str, wrong: list[Violation]) -> int | float:
    if not math.isfinite(number):
        _find(wrong, path, "is no finite number, and JSON has no other")
        return 0
    if abs(number) >= FIRST_INEXACT_INTEGER:
        _find(wrong, path, "is 2^53 or more in magnitude, which a double cannot hold exactly; give a string")
        return 0
    return int(number) if number.is_integer() else number


def _find(wrong: list[Violation], path: str, description: str) -> None:
    if len(wrong) < _MOST_FINDINGS:
        wrong.append(Violation(path, description))


def _first_distinct(paths: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for path in paths:
        if path not in seen:
            yield path
            seen.add(path)
        if len(seen) == _MOST_FINDINGS:
            return


def _unknown_fields(message: Message, path: str) -> Iterator[str]:
    unknown = UnknownFieldSet(message)
    for position in range(min(len(unknown), _MOST_UNKNOWN)):
        yield f"{path}#{unknown[position].field_number}"
    for descriptor, value in message.ListFields():
        kind = descriptor.message_type
        if kind is None or not kind.full_name.startswith(_PACKAGE) or isinstance(value, Mapping):
            continue
        if isinstance(value, Message):
            yield from _unknown_fields(value, f"{path}{descriptor.name}.")
        elif isinstance(value, Sequence):
            for position, item in enumerate(value[:MAX_INPUT_IMAGES]):
                yield from _unknown_fields(item, f"{path}{descriptor.name}[{position}].")
