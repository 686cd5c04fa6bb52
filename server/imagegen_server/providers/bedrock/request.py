"""From a task to what is sent: the fields that the user guide gives each model and image service."""

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

import pybase64

from imagegen_server.domain.errors import Violation
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Task
from imagegen_server.providers.stability import family

from .models import shape_of

_MOST_BODY_BYTES = 25_000_000
"""Source: the shape Body of bedrock-runtime."""


def path_of(model_id: str) -> str:
    """Where a model is run. A name within an ARN, too, is one part of the path."""
    return f"/model/{quote(model_id, safe='')}/invoke"


def fitted(provider: str, task: Task) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say of its model. `provider` is its configured name.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    too_large = []
    if family.input_bytes(task) * 4 // 3 > _MOST_BODY_BYTES:
        what = f"are together more than {_MOST_BODY_BYTES:,} bytes as base64, the mask included"
        too_large.append(Violation("input.images", what))
    return family.fitted(provider, "Amazon Bedrock", task, shape_of(task.model), too_large)


async def body_of(task: Task) -> JsonObject:
    """The body of a request. Nothing is said that was not asked for."""
    shape = shape_of(task.model)
    images: dict[str, JsonValue] = {
        field: _encoded(image.data) for field, image in zip(shape.images, task.images, strict=False)
    }
    if task.mask is not None:
        images["mask"] = _encoded(await asyncio.to_thread(family.white_mask, task.mask.data))
    return {**family.fields_of(task, shape), **images}


def _encoded(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")
