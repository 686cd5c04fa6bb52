"""From a task to what is sent: the fields that the user guide gives each model and image service."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import quote

import pybase64

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, PixelSize, Task
from imagegen_server.images.masks import read_mask, to_white_png

from .models import DIRECTIONS, Limits, Shape, shape_of

MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp")
_MOST_BODY_BYTES = 25_000_000
"""Source: the shape Body of bedrock-runtime."""

_MOST_SEED = 4_294_967_294
_MOST_CHARACTERS = 10_000
"""Of a prompt, and of a negative one."""

_USUAL_SIZE = PixelSize(1024, 1024)
_WANTED = {
    "search_prompt": "is required: what in the picture to replace",
    "select_prompt": "is required: what in the picture to recolor",
    "strength": "is required: how far the picture may change, from 0 (not at all) to 1 (altogether)",
}


def path_of(model_id: str) -> str:
    """Where a model is run. A name within an ARN, too, is one part of the path."""
    return f"/model/{quote(model_id, safe='')}/invoke"


def fitted(provider: str, task: Task) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say of its model. `provider` is its configured name.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    shape, options, noted = shape_of(task.model), task.options, list[Warning]()
    wrong = [*_wrong_words(task), *_wrong_images(task, shape.limits)]
    if task.operation is Operation.EDIT:
        wrong += _missing(provider, task, shape)
        if options.aspect_ratio is not None and shape.able.generate:
            noted.append(_ignored("options.aspect_ratio", "an edit keeps the shape of the picture"))
            options = replace(options, aspect_ratio=None)
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, "Amazon Bedrock would refuse this", violations=wrong)
    if task.prompt and not shape.prompt:
        noted.append(_ignored("input.prompt", f"{task.model} works without words, and takes none"))
    if options.seed is not None and options.seed == 0:
        noted.append(_ignored("options.seed", "0 means any seed to the vendor; the result tells which it was"))
    usual = _USUAL_SIZE if task.operation is Operation.GENERATE else task.usual_size
    return replace(task, options=options, usual_size=usual), noted


async def body_of(task: Task) -> JsonObject:
    """The body of a request. Nothing is said that was not asked for."""
    shape, options = shape_of(task.model), task.options
    wishes: dict[str, JsonValue] = {
        "prompt": task.prompt if shape.prompt and task.prompt else None,
        "negative_prompt": options.negative_prompt,
        "aspect_ratio": options.aspect_ratio,
        "seed": options.seed,
        "output_format": options.format,
        "mode": "image-to-image" if shape.mode and task.images else None,
    }
    fields = {name: value for name, value in wishes.items() if value is not None}
    fields |= {field: _encoded(image.data) for field, image in zip(shape.images, task.images, strict=False)}
    if task.mask is not None:
        fields["mask"] = _encoded(await asyncio.to_thread(_white_mask, task.mask.data))
    return fields | dict(task.params)


def _white_mask(data: bytes) -> bytes:
    """Make a mask what this vendor reads: white = edit."""
    return to_white_png(read_mask(data))


def _encoded(data: bytes) -> str:
    return pybase64.b64encode(data).decode("ascii")


def _ignored(field: str, why: str) -> Warning:
    return Warning(field, WarningReason.IGNORED, why)


def _missing(provider: str, task: Task, shape: Shape) -> Iterator[Violation]:
    """Find what an edit lacks."""
    if shape.needed == DIRECTIONS:
        if not any(task.params.get(direction) for direction in DIRECTIONS):
            what = "is required, or another direction: by how many pixels the picture grows there, at most 2000"
            yield Violation(f"params.{provider}.{DIRECTIONS[0]}", what)
    else:
        for name in shape.needed:
            if task.params.get(name) is None:
                yield Violation(f"params.{provider}.{name}", _WANTED[name])
    if len(task.images) < len(shape.images):
        yield Violation("input.images", "two are required: the picture, and the one whose style it gets")
    if shape.able.mask and task.mask is None and not any(image.facts.alpha for image in task.images):
        yield Violation("input.mask", "is required, unless the picture itself is transparent where it may change")


def _wrong_words(task: Task) -> Iterator[Violation]:
    """Find what of the words and the numbers is out of its range."""
    texts = {"input.prompt": task.prompt, "options.negative_prompt": task.options.negative_prompt or ""}
    for field, text in texts.items():
        if len(text) > _MOST_CHARACTERS:
            yield Violation(field, f"has {len(text):,} characters; the vendor takes at most {_MOST_CHARACTERS:,}")
    seed = task.options.seed
    if seed is not None and not 0 <= seed <= _MOST_SEED:
        yield Violation("options.seed", f"must be from 0 to {_MOST_SEED}")


def _wrong_images(task: Task, limits: Limits) -> Iterator[Violation]:
    for position, image in enumerate(task.images):
        if problem := _problem(image, limits):
            yield Violation(f"input.images[{position}]", problem)
    inputs = [*task.images, *([task.mask] if task.mask else [])]
    if sum(len(image.data) for image in inputs) * 4 // 3 > _MOST_BODY_BYTES:
        yield Violation(
            "input.images", f"are together more than {_MOST_BODY_BYTES:,} bytes as base64, the mask included"
        )


def _problem(image: InputImage, limits: Limits) -> str:
    """Say why an image is not taken; "" = it is."""
    if image.facts.media_type not in MEDIA_TYPES:
        return f"is {image.facts.media_type}; Stability's models take PNG, JPEG and WebP"
    width, height = image.facts.width, image.facts.height
    if width is None or height is None:
        return ""
    short, long = sorted((width, height))
    what = ""
    if limits.least_side is not None and short < limits.least_side:
        what = f"sides of {limits.least_side} pixels and more"
    elif limits.most_side is not None and long > limits.most_side:
        what = f"sides of {limits.most_side} pixels at most"
    elif limits.most_pixels is not None and short * long > limits.most_pixels:
        what = f"{limits.most_pixels:,} pixels at most"
    elif limits.most_ratio is not None and long > short * limits.most_ratio:
        what = f"ratios from 1:{limits.most_ratio} to {limits.most_ratio}:1"
    return f"is {width}x{height} pixels; this model takes {what}" if what else ""
