"""Answers of vendors that are read as a whole: JSON with images, and lists of models."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.image import MAX_IMAGE_BYTES

from .answer import Answer
from .error_context import ErrorContext, read_failure
from .image_json import ImageJson, parse_image_json

_MOST_BESIDE_IMAGES = 1024 * 1024
"""Bytes of an answer that are no image."""

_ReadT = TypeVar("_ReadT")


async def read_images(
    answer: Answer, context: ErrorContext, keys: frozenset[str], count: int
) -> Mapping[str, ImageJson]:
    """Read an answer of success as a JSON object with at most `count` images as base64 under `keys`.

    What ended it early does not matter if the JSON is whole.

    :raises ImageError: INVALID_RESPONSE, or what ended it
    """
    body, fault = await answer.read_on(count * (MAX_IMAGE_BYTES * 4 // 3) + _MOST_BESIDE_IMAGES)
    try:
        payload = parse_image_json(body, keys)
    except ImageError as problem:
        kind = answer.media_type or "something"
        raise fault or context.invalid(f"{kind} that cannot be read as JSON") from problem
    if not isinstance(payload, Mapping):
        raise context.invalid("JSON that is no object")
    return payload


async def read_list(
    answer: Answer,
    context: ErrorContext,
    error_of: Callable[[ErrorContext, bytes], ImageError],
    read: Callable[[Any], _ReadT],
    *,
    most_bytes: int,
) -> _ReadT:
    """Read a list of models, or what it was refused for. `read` takes the JSON, and may stumble over it as it will.

    :raises ImageError: what `error_of` makes of a refusal; INVALID_RESPONSE
    """
    if not answer.ok:
        raise error_of(context, await read_failure(answer))
    try:
        return read(json.loads(await answer.read(most_bytes)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise context.invalid("a list of models that cannot be read")
