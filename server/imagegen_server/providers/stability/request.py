"""From a task to what is sent: always a form, whether or not there are files."""

import asyncio
from collections.abc import Sequence

from imagegen_server.domain.errors import Violation
from imagegen_server.domain.result import Warning
from imagegen_server.domain.task import Task
from imagegen_server.http.client import FormFile
from imagegen_server.http.form import files_named, form_of

from . import family
from .models import model_field, path_of, shape_of

_MOST_BYTES = 10 * 1024 * 1024
"""Of a request: what the vendor's 413 says."""


def fitted(provider: str, task: Task) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the vendor's document says of its model. `provider` is its configured name.

    :raises ImageError: MODEL_NOT_FOUND, or INVALID_REQUEST with all violations
    """
    path_of(task.model)
    too_large = []
    if family.input_bytes(task) > _MOST_BYTES:
        what = f"are together more than {_MOST_BYTES:,} bytes, the mask included"
        too_large.append(Violation("input.images", what))
    return family.fitted(provider, "Stability AI", task, shape_of(task.model), too_large)


async def form_parts(task: Task) -> tuple[list[tuple[str, str]], list[FormFile]]:
    """The fields of a request and its files."""
    shape = shape_of(task.model)
    model = model_field(task.model)
    fields = form_of(({"model": model} if model else {}) | dict(family.fields_of(task, shape)))
    files = [
        file for field, image in zip(shape.images, task.images, strict=False) for file in files_named(field, [image])
    ]
    if task.mask is not None:
        files.append(
            FormFile("mask", "mask.png", "image/png", await asyncio.to_thread(family.white_mask, task.mask.data))
        )
    return fields, files
