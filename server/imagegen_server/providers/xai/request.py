"""From a task to what is sent: the fields of GenerateImageRequest and EditImageRequest."""

from collections.abc import Sequence
from dataclasses import replace

import pybase64

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import PixelSize, Task

MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")
"""What ImageUrl takes."""

_SIZES = {"1k": PixelSize(1024, 1024), "1.5k": PixelSize(1536, 1536), "2k": PixelSize(2048, 2048)}
"""As many pixels as a resolution has, whatever the ratio. Source: ImageResolution in github.com/xai-org/xai-proto."""


def fitted(task: Task) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    wrong = [
        Violation(f"input.images[{position}]", f"is {image.facts.media_type}; xAI takes PNG, JPEG and WebP")
        for position, image in enumerate(task.images)
        if image.facts.media_type not in MEDIA_TYPES
    ]
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, "xAI would refuse this", violations=wrong)
    task = replace(task, usual_size=_SIZES.get((task.options.resolution or "1k").lower()))
    if len(task.images) != 1 or task.options.aspect_ratio is None:
        return task, ()
    # "For single image editing, do not set this."
    message = "an edit of one image keeps the shape of that image"
    noted = Warning("options.aspect_ratio", WarningReason.IGNORED, message)
    return replace(task, options=replace(task.options, aspect_ratio=None)), (noted,)


def body_of(task: Task) -> JsonObject:
    """The body of a request. Nothing is said that was not asked for, but that the answer shall hold the pictures."""
    options = task.options
    fields: dict[str, JsonValue] = {"model": task.model, "prompt": task.prompt, "response_format": "b64_json"}
    if task.count > 1:
        fields["n"] = task.count
    wishes: dict[str, JsonValue] = {
        "aspect_ratio": options.aspect_ratio,
        "resolution": options.resolution.lower() if options.resolution else None,
        "quality": options.quality,
    }
    fields |= {name: value for name, value in wishes.items() if value is not None}
    if len(task.images) == 1:
        fields["image"] = _reference(task.images[0])
    elif task.images:
        fields["images"] = [_reference(image) for image in task.images]
    return fields | dict(task.params)


def _reference(image: InputImage) -> JsonValue:
    """Write an image as the documents' examples do, `type` included."""
    data = pybase64.b64encode(image.data).decode("ascii")
    return {"url": f"data:{image.facts.media_type};base64,{data}", "type": "image_url"}
