"""From a task to what is sent: the `input` of a prediction, and its files."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Task
from imagegen_server.images.masks import read_mask, to_black_png, to_white_png

from .inputs import CUSTOM, Inputs
from .settings import MODEL_ID

_USUAL = {"0.5K": PixelSize(512, 512), **{f"{k}K": PixelSize(k * 1024, k * 1024) for k in (1, 2, 3, 4)}}
"""About as many pixels as a resolution has, whatever the ratio."""


@dataclass(frozen=True, slots=True)
class File:
    """An image that goes along: the input that it is for, and its place in it if that takes several."""

    field: str
    data: bytes
    media_type: str


def model_path(model_id: str, usual_version: str = "") -> tuple[str, str]:
    """Tell the path where a model's predictions are created, and the version that the body must name; "" = none.

    Only official models have a path of their own; of others `usual_version` is run, if the caller names none.

    :raises ImageError: MODEL_NOT_FOUND: no model can be named so
    """
    match = MODEL_ID.fullmatch(model_id)
    if not match:
        message = 'such a model cannot be; it is named by owner and name, "black-forest-labs/flux-schnell", '
        raise ImageError(Reason.MODEL_NOT_FOUND, message + 'or with a version behind it, "owner/name:version"')
    version = match["version"] or usual_version
    return ("/predictions", version) if version else (f"/models/{model_id}/predictions", "")


def fitted(provider: str, task: Task, inputs: Inputs) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against the inputs of its model. `provider` is its configured name.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    noted: list[Warning] = []
    options = _settled(task, inputs, noted)
    if task.prompt and "prompt" not in inputs.fields:
        noted.append(_ignored("input.prompt", f"{task.model} works without words, and takes none"))
    task = replace(task, options=options, usual_size=_USUAL.get((options.resolution or "").upper()))
    if wrong := _missing(provider, task, inputs):
        raise ImageError(Reason.INVALID_REQUEST, f"{task.model} would refuse this", violations=wrong)
    return task, noted


def input_of(task: Task, inputs: Inputs) -> JsonObject:
    """Say words, options and params as inputs. Nothing is said that was not asked for."""
    options, wishes = task.options, dict[str, JsonValue]()
    if "prompt" in inputs.fields and task.prompt:
        wishes["prompt"] = task.prompt
    if options.size:
        wishes |= _size(options.size, inputs)
    if options.aspect_ratio:
        wishes["aspect_ratio"] = inputs.ratio_spelled(options.aspect_ratio)
    if options.resolution:
        name, spelled = inputs.resolution_named(options.resolution) or ("resolution", options.resolution)
        wishes[name] = spelled
    said: Mapping[str, JsonValue] = {
        inputs.count_field: task.count if task.count > 1 else None,
        "quality": options.quality,
        "background": options.background,
        "output_format": inputs.format_spelled(options.format) if options.format else None,
        inputs.compression_field: options.compression,
        "seed": options.seed,
        "negative_prompt": options.negative_prompt,
    }
    wishes |= {name: value for name, value in said.items() if name and value is not None}
    return wishes | dict(task.params)


async def files_of(task: Task, inputs: Inputs) -> Sequence[File]:
    """List the images of a task, and the inputs that they are for.

    :raises ImageError: INVALID_REQUEST: there are more than the model takes, which was asked only after the planning
    """
    names = inputs.image_fields
    fields = names * len(task.images) if names and names[0] in inputs.lists else names
    if len(task.images) > len(fields):
        wrong = Violation("input.images", f"at most {len(fields)} for this model")
        raise ImageError(Reason.INVALID_REQUEST, f"{task.model} would refuse this", violations=[wrong])
    files = [File(name, image.data, image.facts.media_type) for name, image in zip(fields, task.images, strict=False)]
    if task.mask is not None and inputs.mask_field:
        convert = to_black_png if inputs.black_mask else to_white_png
        mask = await asyncio.to_thread(read_mask, task.mask.data)
        files.append(File(inputs.mask_field, await asyncio.to_thread(convert, mask), "image/png"))
    return files


def with_files(fields: JsonObject, files: Sequence[tuple[File, str]], inputs: Inputs) -> dict[str, JsonValue]:
    """Add the images of a task, which lie at URLs."""
    added: dict[str, JsonValue] = {}
    for file, url in files:
        if file.field in inputs.lists:
            listed = added.setdefault(file.field, [])
            assert isinstance(listed, list)
            listed.append(url)
        else:
            added[file.field] = url
    return added | dict(fields)


def unsayable(task: Task, inputs: Inputs) -> list[str]:
    """Name the options that the model has no input for: of one that was asked only after the wish had been planned."""
    able = inputs.capabilities().options or frozenset()
    given = [name for name in task.options.given() if name not in ("count", "preview_count")]
    return [name for name in given if name not in able]


def _size(size: PixelSize, inputs: Inputs) -> dict[str, JsonValue]:
    """Say a size in pixels: by its name, or as width and height, which some models want to be announced."""
    if named := inputs.size_named(str(size)):
        return {named[0]: named[1]}
    announced = {name: CUSTOM for name in ("aspect_ratio", "size") if CUSTOM in inputs.values.get(name, ())}
    return {**announced, "width": size.width, "height": size.height}


def _settled(task: Task, inputs: Inputs, noted: list[Warning]) -> Options:
    """Leave out what another wish says already. Appends to `noted` what is left out."""
    options, left_out = task.options, dict[str, None]()
    named = inputs.resolution_named(options.resolution) if options.resolution else None
    spoken = {
        "size": set(_size(options.size, inputs)) if options.size else set(),
        "resolution": {named[0] if named else "resolution"} if options.resolution else set(),
    }
    for option, names in spoken.items():
        if given := sorted(names & set(task.params)):
            message = f"params say {' and '.join(given)}, and params win"
            noted.append(Warning(f"options.{option}", WarningReason.OVERRIDDEN_BY_PARAMS, message))
            left_out[option] = None
    if options.size and "size" not in left_out:
        for option in ("aspect_ratio", "resolution"):
            if getattr(options, option) is not None and option not in left_out:
                noted.append(_ignored(f"options.{option}", "the size in pixels says it already"))
                left_out[option] = None
    return replace(options, **left_out)


def _missing(provider: str, task: Task, inputs: Inputs) -> list[Violation]:
    """Find what the model must have and has not got."""
    images = set(inputs.image_fields) if task.images else set()
    said = {*input_of(task, inputs), *images, *((inputs.mask_field,) if task.mask else ())}
    wrong = []
    for name in sorted(inputs.required - said):
        if name == "prompt":
            wrong.append(Violation("input.prompt", "is required"))
        elif name == inputs.mask_field:
            wrong.append(Violation("input.mask", "is required: where the picture may change"))
        elif name in inputs.image_fields:
            wrong.append(Violation("input.images", "is required: this model changes pictures"))
        else:
            wrong.append(Violation(f"params.{provider}.{name}", "is required by this model"))
    return wrong


def _ignored(field: str, why: str) -> Warning:
    return Warning(field, WarningReason.IGNORED, why)
