"""From a task to what is sent: the body of a model's request."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.http.image_url import data_url
from imagegen_server.images.masks import as_alpha_png, read_mask, to_black_png, to_white_png

from .inputs import MODEL_ID, NAMED_SIZES, PARAM_OPTIONS, Inputs

_NAMESPACES = ("workflows", "comfy")
"""What may stand before the owner of a model. Source: `fal-client`."""

_USUAL = {"0.5K": PixelSize(512, 512), **{f"{k}K": PixelSize(k * 1024, k * 1024) for k in (1, 2, 3, 4)}}
"""About as many pixels as a resolution has, whatever the ratio."""

_UNSAID = PixelSize(1024, 768)
"""What most models draw that take a named size, if none is said."""

_ALPHA_MASKS, _BLACK_MASKS = re.compile(r"gpt-image"), re.compile(r"\bideogram\b")
"""Models that hand the mask on to a vendor with another convention: transparent, or black, where the picture may
change. All others read white so."""


def fitted(provider: str, task: Task, inputs: Inputs) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against the fields of its model. `provider` is its configured name.

    :raises ImageError: MODEL_NOT_FOUND, or INVALID_REQUEST with all violations
    """
    if not MODEL_ID.fullmatch(task.model):
        message = f'{provider}: such a model cannot be; it is named by owner and app, such as "fal-ai/flux/dev"'
        raise ImageError(Reason.MODEL_NOT_FOUND, message)
    noted: list[Warning] = []
    options = _settled(task, inputs, noted)
    if task.prompt and "prompt" not in inputs.fields:
        noted.append(_ignored("input.prompt", f"{task.model} works without words, and takes none"))
    task = replace(task, options=options, usual_size=_usual_size(options, inputs))
    if wrong := _missing(provider, task, inputs):
        raise ImageError(Reason.INVALID_REQUEST, f"{task.model} would refuse this", violations=wrong)
    return task, noted


def app_path(model_id: str) -> str:
    """Tell where the requests of a model are: at its owner and app, without the path behind them."""
    steps = model_id.split("/")
    return "/".join(steps[: 3 if steps[0] in _NAMESPACES else 2])


async def body_of(task: Task, inputs: Inputs, *, sync_mode: bool) -> JsonObject:
    """The body of a request. Nothing is said that was not asked for, but that the answer shall hold the pictures."""
    fields = _wishes(task, inputs)
    if sync_mode and "sync_mode" in inputs.fields:
        fields["sync_mode"] = True
    images: list[JsonValue] = [data_url(image.data, image.facts.media_type) for image in task.images]
    if images and inputs.image_field:
        fields[inputs.image_field] = images if inputs.image_field == "image_urls" else images[0]
    if task.mask is not None and inputs.mask_field:
        mask = await asyncio.to_thread(_mask_for, task.model, task.mask.data)
        fields[inputs.mask_field] = data_url(mask, "image/png")
    return fields | dict(task.params)


def _mask_for(model_id: str, mask: bytes) -> bytes:
    if _ALPHA_MASKS.search(model_id):
        return as_alpha_png(mask)
    return (to_black_png if _BLACK_MASKS.search(model_id) else to_white_png)(read_mask(mask))


def _wishes(task: Task, inputs: Inputs) -> dict[str, JsonValue]:
    """Say the words and the options in the model's fields."""
    options = task.options
    size: JsonValue = None
    if options.size:
        known = str(options.size) in inputs.values.get("image_size", ()) or not inputs.pixels
        size = str(options.size) if known else {"width": options.size.width, "height": options.size.height}
    ratio, resolution = options.aspect_ratio, options.resolution
    if ratio and "aspect_ratio" not in inputs.fields and (named := inputs.size_named(ratio)):
        size, ratio = named, None
    if resolution and "resolution" not in inputs.fields and (named := inputs.size_of_resolution(resolution)):
        size, resolution = named, None
    wishes: dict[str, JsonValue] = {
        "prompt": task.prompt if "prompt" in inputs.fields and task.prompt else None,
        "num_images": task.count if task.count > 1 else None,
        "image_size": size,
        "aspect_ratio": ratio,
        "resolution": (inputs.spelled("resolution", resolution) or resolution) if resolution else None,
        "quality": options.quality,
        "background": options.background,
        "output_format": options.format,
        "seed": options.seed,
        "negative_prompt": options.negative_prompt,
    }
    return {name: value for name, value in wishes.items() if value is not None}


def _settled(task: Task, inputs: Inputs, noted: list[Warning]) -> Options:
    """Leave out what another wish says already. Appends to `noted` what is left out."""
    options, in_one_field = task.options, []
    if "image_size" in inputs.fields:
        in_one_field = [name for name in ("aspect_ratio", "resolution") if name not in inputs.fields]
        in_one_field = [name for name in ("size", *in_one_field) if getattr(options, name) is not None]
    if "image_size" in task.params:
        message = "params say image_size, and params win"
        noted += [Warning(f"options.{name}", WarningReason.OVERRIDDEN_BY_PARAMS, message) for name in in_one_field]
        left_out = in_one_field
    else:
        left_out = in_one_field[1:]
        noted += [
            _ignored(f"options.{name}", f"this model has one field for it, and options.{in_one_field[0]} is said there")
            for name in left_out
        ]
    return replace(options, **dict.fromkeys(left_out))


def _usual_size(options: Options, inputs: Inputs) -> PixelSize | None:
    if options.resolution:
        return _USUAL.get(options.resolution.upper())
    if options.aspect_ratio and inputs.size_named(options.aspect_ratio) and options.aspect_ratio in NAMED_SIZES:
        return NAMED_SIZES[options.aspect_ratio][1]
    return _UNSAID if "image_size" in inputs.fields and inputs.pixels and not inputs.image_field else None


def _missing(provider: str, task: Task, inputs: Inputs) -> list[Violation]:
    """Find what the model must have and has not got."""
    said = {*task.params, *_wishes(task, inputs), *((inputs.image_field,) if task.images else ())}
    wrong = []
    for name in sorted(inputs.required - said):
        if name == inputs.mask_field and task.mask is None:
            wrong.append(Violation("input.mask", "is required: where the picture may change"))
        elif name == "prompt":
            wrong.append(Violation("input.prompt", "is required"))
        elif name == inputs.image_field and task.operation is Operation.GENERATE:
            wrong.append(Violation("input.images", "is required: this model changes pictures"))
        elif name in PARAM_OPTIONS:
            wrong.append(Violation(f"options.{PARAM_OPTIONS[name]}", "is required by this model"))
        elif name not in (inputs.image_field, inputs.mask_field):
            wrong.append(Violation(f"params.{provider}.{name}", "is required by this model"))
    return wrong


def _ignored(field: str, why: str) -> Warning:
    return Warning(field, WarningReason.IGNORED, why)
