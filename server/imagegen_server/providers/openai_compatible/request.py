"""From a task to what is sent, as a server's switches say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pybase64

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import FormFile
from imagegen_server.http.form import files_named
from imagegen_server.http.image_url import data_url
from imagegen_server.images.masks import read_mask, to_black_png, to_white_png
from imagegen_server.providers.openai.request import alpha_mask, wrong_types

from .settings import Switches

TAG = "sd_cpp_extra_args"
"""What stands in a prompt between this as a tag, sd-server reads as settings."""

_BESIDE_TAG = frozenset({"model", "prompt", "n", "size", "output_format", "output_compression", "response_format"})
_BAR = "|"


def fitted(task: Task, switches: Switches, name: str) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against the switches.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    wrong = wrong_types(task.images, name) + _wrong_prompt(task, switches, name)
    if task.mask is not None and switches.mask_path and len(task.images) > 1:
        wrong.append(Violation("input.images", "with a mask one image, which it is of"))
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, f"{name} would refuse or misread this", violations=wrong)
    options, noted = task.options, []
    for option, why in _left_out(task, switches).items():
        noted.append(Warning(f"options.{option}", *why))
        options = replace(options, **{option: None})
    return replace(task, options=options, usual_size=None), noted


def fields_of(task: Task, switches: Switches) -> JsonObject:
    """The fields of a request, beside its images."""
    options = task.options
    fields: dict[str, JsonValue] = {"model": task.model, "prompt": task.prompt}
    if task.operation is Operation.EDIT and task.mask is None:
        fields |= dict(switches.edit_defaults)
    if task.count > 1:
        fields["n"] = task.count
    fields |= _size(options, switches)
    wishes = {field: getattr(options, option) for option, field in switches.options.items()}
    fields |= {field: value for field, value in wishes.items() if value is not None}
    if switches.response_format:
        fields["response_format"] = switches.response_format
    if task.preview_count:
        fields |= {"stream": True, "partial_images": task.preview_count}
    return _in_prompt(fields | dict(task.params), switches) | dict(switches.body)


def files_of(task: Task, mask: bytes | None, switches: Switches) -> list[FormFile]:
    """The images of an edit as files of a form, and the mask."""
    files = files_named(_image_field(task, switches), task.images)
    return [*files, FormFile(switches.mask_field, "mask.png", "image/png", mask)] if mask is not None else files


def images_in_json(task: Task, mask: bytes | None, switches: Switches) -> JsonObject:
    """The images of an edit as fields of JSON, and the mask."""
    values = [_image(image.data, image.facts.media_type, switches) for image in task.images]
    alone = len(values) == 1 and switches.image_form != "object"
    fields: dict[str, JsonValue] = {_image_field(task, switches): values[0] if alone else values}
    if mask is not None:
        fields[switches.mask_field] = _image(mask, "image/png", switches)
    return fields


def mask_as(data: bytes, switches: Switches) -> bytes:
    """Write a mask as the server reads it. Decodes it."""
    match switches.mask:
        case "white":
            return to_white_png(read_mask(data))
        case "black":
            return to_black_png(read_mask(data))
        case _:
            return alpha_mask(data)


def _image_field(task: Task, switches: Switches) -> str:
    if task.mask is not None and switches.mask_image_field:
        return switches.mask_image_field
    return (switches.images_field or switches.image_field) if len(task.images) > 1 else switches.image_field


def _image(data: bytes, media_type: str, switches: Switches) -> JsonValue:
    match switches.image_form:
        case "base64":
            return pybase64.b64encode(data).decode("ascii")
        case "object":
            return {"image_url": data_url(data, media_type)}
        case _:
            return data_url(data, media_type)


def _size(options: Options, switches: Switches) -> dict[str, JsonValue]:
    if options.size is None or switches.size == "none":
        return {}
    if switches.size == "width_height":
        return {"width": options.size.width, "height": options.size.height}
    return {"size": str(options.size)}


def _left_out(task: Task, switches: Switches) -> Mapping[str, tuple[WarningReason, str]]:
    """Tell which options cannot be sent beside what else is asked for, and why."""
    found: dict[str, tuple[WarningReason, str]] = {}
    taken, what = None, ""
    if task.operation is Operation.EDIT:
        masked = task.mask is not None
        taken = switches.mask_options if masked else switches.edit_options
        what = "an edit with a mask" if masked else "an edit"
    for option in task.options.given():
        if taken is not None and option not in (*taken, "count", "preview_count"):
            found[option] = (WarningReason.IGNORED, f"{what} does not take it here")
    size = task.options.size if "size" not in found else None
    if size and task.options.aspect_ratio and switches.options.get("aspect_ratio") == "size":
        found["aspect_ratio"] = (WarningReason.IGNORED, "options.size says it already, and both stand in one field")
    if size and switches.size == "width_height" and {"width", "height"} & task.params.keys():
        found["size"] = (WarningReason.OVERRIDDEN_BY_PARAMS, "width or height in params say it, and params win")
    return found


def _wrong_prompt(task: Task, switches: Switches, provider: str) -> list[Violation]:
    """Find what the server would not read as the words that they are."""
    words = {"input.prompt": task.prompt, "options.negative_prompt": task.options.negative_prompt or ""}
    if switches.in_prompt == "settings":
        words |= {f"params.{provider}.{name}": json.dumps([name, value]) for name, value in task.params.items()}
        why = f"holds {TAG}, between which the server reads settings; say those in params"
        return [Violation(place, why) for place, text in words.items() if TAG in text]
    plain = task.mask is None or switches.way_of_edit(masked=True) == "json"
    if switches.in_prompt == "negative_prompt" and plain:
        why = "holds |, behind which the server reads a negative prompt; say that in options.negative_prompt"
        return [Violation(place, why) for place, text in words.items() if _BAR in text]
    return []


def _in_prompt(fields: dict[str, JsonValue], switches: Switches) -> dict[str, JsonValue]:
    """Move into the prompt what the server reads there."""
    if switches.in_prompt == "settings":
        settings = {name: value for name, value in fields.items() if name not in _BESIDE_TAG}
        plain = {name: value for name, value in fields.items() if name in _BESIDE_TAG}
        if settings:
            plain["prompt"] = f"{fields['prompt']}<{TAG}>{json.dumps(settings)}</{TAG}>"
        return plain
    negative = switches.options.get("negative_prompt", "")
    if switches.in_prompt == "negative_prompt" and isinstance(words := fields.get(negative), str):
        rest = {name: value for name, value in fields.items() if name != negative}
        return rest | {"prompt": f"{fields['prompt']}{_BAR}{words}"}
    return fields
