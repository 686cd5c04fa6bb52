"""From the vendor's answers to events: a picture with its facts in headers, or in JSON, or the id of a generation."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Complete, ProviderEvent, Report
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.result import Usage
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import EncodedImage, ImageJson, parse_image_json
from imagegen_server.http.image_place import decoded
from imagegen_server.http.raw_image import picture_in

from .errors import error_in_success, error_of_finish

MOST_BYTES = MAX_IMAGE_BYTES * 4 // 3 + 1024 * 1024
"""Of an answer: a picture, as base64 if it comes so, and little beside it."""

_IMAGE_KEYS = frozenset({"image"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""What can be the id of a generation: they have 64 characters, and stand in an address that the key goes to."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that came. `finish` "" = the vendor did not say how it ended."""

    data: bytes
    seed: int | None
    finish: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A generation that the vendor has taken on, and works at."""

    generation_id: str


def read_answer(
    context: ErrorContext, media_type: str, body: bytes, fault: ImageError | None = None
) -> Picture | Pending:
    """Read an answer whose status is success. `fault` is what ended it too early.

    :raises ImageError: the error that it holds, or INVALID_RESPONSE. What ended the answer early does not matter if
        all of it is there
    """
    if data := picture_in(body, media_type, context, fault):
        return Picture(data, _seed(context.headers.get("seed")), context.headers.get("finish-reason", "").strip())
    try:
        payload = parse_image_json(body, _IMAGE_KEYS)
    except ImageError as problem:
        raise fault or context.invalid(
            f"{context.name(media_type) or 'something'} that is neither picture nor JSON"
        ) from problem
    if not isinstance(payload, Mapping):
        raise context.invalid("JSON that is no object")
    image = payload.get("image")
    if isinstance(image, EncodedImage) and image.encoded_length:
        finish = payload.get("finish_reason")
        return Picture(decoded(image, context), _seed(payload.get("seed")), finish if isinstance(finish, str) else "")
    if error := error_in_success(context, payload):
        raise error
    generation_id = payload.get("id")
    if isinstance(generation_id, str) and _ID.fullmatch(generation_id):
        return Pending(generation_id)
    raise context.invalid("JSON with neither a picture nor the id of a generation")


def events_of(context: ErrorContext, picture: Picture) -> Iterator[ProviderEvent]:
    """Yield what came.

    :raises ImageError: moderation blurred it, and it is not handed out
    """
    error = error_of_finish(context, picture.finish)
    yield Report(Usage(images_generated=0 if error else 1))
    if error:
        raise error
    yield Complete(0, picture.data, seed=picture.seed)


def _seed(told: ImageJson) -> int | None:
    """Tell the seed: as text in a header, as a number in JSON."""
    if isinstance(told, str) and told.isascii() and told.isdecimal() and len(told) < len(str(2**63)):
        return int(told)
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < 2**63 else None
