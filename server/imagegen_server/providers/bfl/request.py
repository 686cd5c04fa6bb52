"""From a task to what is sent: the fields that the vendor's OpenAPI document gives each model."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pybase64

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.images.masks import read_mask, to_white_png

from .models import SIDES, Shape, path_of, shape_of
from .sizes import PIXELS_OF_RESOLUTION, Grid, read_ratio

_SIDES = ("width", "height")
_USUAL = {name: PixelSize(side, side) for name, side in (("768sq", 768), ("1k", 1024), ("1.5k", 1536), ("2k", 2048))}
"""As many pixels as a resolution has, whatever the ratio."""

_MOST_IMAGE_BYTES = 20_000_000
"""As base64; of an input image whose size in pixels is limited, too."""

_WANTED = {
    "finetune_id": "is required: the name of the LoRA",
    SIDES[0]: f"is required, or {', '.join(SIDES[1:])}: by how many pixels the picture grows there, at most 2048",
}


def fitted(provider: str, task: Task) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say of its model. `provider` is its configured name.

    :raises ImageError: MODEL_NOT_FOUND, or INVALID_REQUEST with all violations
    """
    path_of(task.model)
    shape, noted, wrong = shape_of(task.model), list[Warning](), list[Violation]()
    options = _settled(task, shape, noted)
    if shape.grid is not None:
        options = _in_pixels(task, options, shape.grid, wrong)
    if task.operation is Operation.EDIT:
        wrong += _wrong_edit(task, shape)
    if shape.needed and not any(task.params.get(name) for name in shape.needed):
        wrong.append(Violation(f"params.{provider}.{shape.needed[0]}", _WANTED[shape.needed[0]]))
    if shape.size_needed and options.size is None and not all(task.params.get(side) for side in _SIDES):
        wrong.append(Violation("options.size", "is required: the canvas that the picture is placed on"))
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, "Black Forest Labs would refuse this", violations=wrong)
    if task.prompt and not shape.prompt:
        noted.append(_ignored("input.prompt", f"{task.model} works without words, and takes none"))
    usual = options.size or _USUAL.get((options.resolution or "").lower())
    return replace(task, options=options, usual_size=usual), noted


async def body_of(task: Task) -> JsonObject:
    """The body of a request. Nothing is said that was not asked for."""
    shape, options = shape_of(task.model), task.options
    wishes: dict[str, JsonValue] = {
        "prompt": task.prompt if shape.prompt and task.prompt else None,
        "width": options.size.width if options.size else None,
        "height": options.size.height if options.size else None,
        "aspect_ratio": options.aspect_ratio,
        "resolution": options.resolution.lower() if options.resolution else None,
        "seed": options.seed,
        "output_format": options.format,
    }
    fields: dict[str, JsonValue] = {name: value for name, value in wishes.items() if value is not None}
    images: list[JsonValue] = [_encoded(image.data) for image in task.images]
    if shape.listed and images:
        fields[shape.listed] = images
    else:
        fields |= dict(zip(shape.images, images, strict=False))
    if task.mask is not None:
        # This vendor reads white as "may change".
        mask = await asyncio.to_thread(read_mask, task.mask.data)
        fields["mask"] = _encoded(await asyncio.to_thread(to_white_png, mask))
    return fields | dict(task.params)


def _settled(task: Task, shape: Shape, noted: list[Warning]) -> Options:
    """Leave out what another wish says already. Appends to `noted` what is left out."""
    options = task.options
    in_params = any(side in task.params for side in _SIDES)
    if "size" not in (shape.able.options or ()) or not (in_params or options.size):
        return options
    if options.size is not None and in_params:
        message = "params say width or height, and params win"
        noted.append(Warning("options.size", WarningReason.OVERRIDDEN_BY_PARAMS, message))
        options = replace(options, size=None)
    said = [name for name in ("aspect_ratio", "resolution") if getattr(options, name) is not None]
    noted += [_ignored(f"options.{name}", "the size in pixels says it already") for name in said]
    return replace(options, aspect_ratio=None, resolution=None)


def _in_pixels(task: Task, options: Options, grid: Grid, wrong: list[Violation]) -> Options:
    """Say a ratio and a resolution as a size, for a model that knows pixels alone. Appends to `wrong`."""
    ratio_wish = None if options.aspect_ratio == "auto" else options.aspect_ratio
    if options.size is not None:
        if problem := grid.why_refused(options.size):
            wrong.append(Violation("options.size", problem))
        return options
    size = None
    if ratio_wish is not None or options.resolution is not None:
        ratio = read_ratio(ratio_wish) if ratio_wish is not None else _shape_of_input(task)
        pixels = PIXELS_OF_RESOLUTION.get((options.resolution or "1K").upper())
        if ratio is None:
            wrong.append(Violation("options.aspect_ratio", 'must be as "16:9", at most 8:1'))
        if pixels is None:
            wrong.append(Violation("options.resolution", f"must be one of {', '.join(PIXELS_OF_RESOLUTION)}"))
        if ratio is not None and pixels is not None:
            size = grid.size_of(ratio, pixels)
    return replace(options, size=size, aspect_ratio=None, resolution=None)


def _shape_of_input(task: Task) -> tuple[int, int]:
    """Take the ratio of the first input image; a square where there is none, or none that can be drawn."""
    facts = task.images[0].facts if task.images else None
    return (read_ratio(f"{facts.width}:{facts.height}") if facts else None) or (1, 1)


def _wrong_edit(task: Task, shape: Shape) -> Iterator[Violation]:
    """Find what an edit lacks, and what of it the vendor does not take."""
    if task.images and len(task.images) < shape.least_images:
        yield Violation("input.images", "two are required: the person, and what it is to wear")
    transparent = shape.alpha_masks and any(image.facts.alpha for image in task.images)
    if shape.mask_needed and task.mask is None and not transparent:
        what = "is required, unless the picture itself is transparent where it may change"
        yield Violation("input.mask", what if shape.alpha_masks else "is required: what is to go")
    for position, image in enumerate(task.images):
        if problem := _problem(image, shape):
            yield Violation(f"input.images[{position}]", problem)


def _problem(image: InputImage, shape: Shape) -> str:
    """Say why an image is not taken; "" = it is."""
    width, height = image.facts.width, image.facts.height
    if shape.most_pixels is not None and len(image.data) * 4 // 3 > _MOST_IMAGE_BYTES:
        return f"has more than {_MOST_IMAGE_BYTES:,} bytes as base64"
    if width is None or height is None:
        return ""
    if shape.least_side is not None and min(width, height) < shape.least_side:
        return f"is {width}x{height} pixels; this model takes sides of {shape.least_side} pixels and more"
    if shape.most_pixels is not None and width * height > shape.most_pixels:
        return f"is {width}x{height} pixels; this model takes {shape.most_pixels:,} pixels at most"
    return ""


def _encoded(data: bytes) -> str:
    """Write an image as the documents say: bare base64."""
    return pybase64.b64encode(data).decode("ascii")


def _ignored(field: str, why: str) -> Warning:
    return Warning(field, WarningReason.IGNORED, why)
