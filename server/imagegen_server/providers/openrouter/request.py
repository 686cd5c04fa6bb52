"""From a task to what is sent: the fields of ImageGenerationRequest."""

from collections.abc import Sequence
from dataclasses import replace

import pybase64

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import PixelSize, Task

_SIZES = {name: PixelSize(side, side) for name, side in (("512", 512), ("1K", 1024), ("2K", 2048), ("4K", 4096))}
"""About as many pixels as a resolution has, whatever the ratio."""

_WITHOUT_TRANSPARENCY = ("jpeg",)


def fitted(task: Task) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say of every model.

    :raises ImageError: INVALID_REQUEST
    """
    options = task.options
    if options.background == "transparent" and options.format in _WITHOUT_TRANSPARENCY:
        wrong = Violation("options.background", "JPEG holds no transparency; use png or webp")
        raise ImageError(Reason.INVALID_REQUEST, "OpenRouter would refuse this", violations=[wrong])
    noted: list[Warning] = []
    if options.size:
        # "A mismatched resolution or aspect_ratio alongside it is rejected."
        message = "options.size says it already, and the vendor takes only one of them"
        noted = [
            Warning(f"options.{name}", WarningReason.IGNORED, message)
            for name in ("aspect_ratio", "resolution")
            if getattr(options, name) is not None
        ]
        options = replace(options, aspect_ratio=None, resolution=None)
    return replace(task, options=options, usual_size=_SIZES.get(options.resolution or "")), noted


def body_of(task: Task) -> JsonObject:
    """The body of a request. Nothing is said that was not asked for."""
    options = task.options
    fields: dict[str, JsonValue] = {"model": task.model, "prompt": task.prompt}
    wishes: dict[str, JsonValue] = {
        "n": task.count if task.count > 1 else None,
        "size": str(options.size) if options.size else None,
        "aspect_ratio": options.aspect_ratio,
        "resolution": options.resolution,
        "quality": options.quality,
        "background": options.background,
        "output_format": options.format,
        "output_compression": options.compression,
        "seed": options.seed,
        "stream": True if task.preview_count else None,
        "input_references": [_reference(image) for image in task.images] or None,
    }
    fields |= {name: value for name, value in wishes.items() if value is not None}
    return fields | dict(task.params)


def _reference(image: InputImage) -> JsonValue:
    """Write an image as a ContentPartImage that holds it."""
    data = pybase64.b64encode(image.data).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{image.facts.media_type};base64,{data}"}}
