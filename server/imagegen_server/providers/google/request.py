"""From a task to what is sent: the fields of GenerateContentRequest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pybase64

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Options, Task

from .models import thinks

MEDIA_TYPES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
"""What the page on image understanding lists as inputs."""

PARAM_PATHS: Mapping[str, tuple[str, ...]] = {
    "aspect_ratio": ("generationConfig", "imageConfig", "aspectRatio"),
    "resolution": ("generationConfig", "imageConfig", "imageSize"),
    "seed": ("generationConfig", "seed"),
}
"""Where params say what an option says, by that option."""


def fitted(task: Task) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say. Params go before the options that say the same.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    wrong = [
        Violation(f"input.images[{position}]", f"is {image.facts.media_type}; Google takes {', '.join(MEDIA_TYPES)}")
        for position, image in enumerate(task.images)
        if image.facts.media_type not in MEDIA_TYPES
    ]
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, "Google would refuse this", violations=wrong)
    noted, options = [], task.options
    for option, path in PARAM_PATHS.items():
        if getattr(options, option) is not None and _at(task.params, path) is not None:
            message = f"params say {'.'.join(path)}"
            noted.append(Warning(f"options.{option}", WarningReason.OVERRIDDEN_BY_PARAMS, message))
            options = replace(options, **{option: None})
    return replace(task, options=options), noted


def body_of(task: Task, provider: str) -> JsonObject:
    """The body of a request. `provider` is the configured name, under which earlier results keep their signatures."""
    config: dict[str, JsonValue] = {"responseModalities": ["TEXT", "IMAGE"]}
    if image_config := _image_config(task.options):
        config["imageConfig"] = image_config
    if task.options.seed is not None:
        config["seed"] = task.options.seed
    if task.preview_count and thinks(task.model):
        config["thinkingConfig"] = {"includeThoughts": True}
    return _joined({"contents": _contents(task, provider), "generationConfig": config}, task.params)


def _image_config(options: Options) -> dict[str, JsonValue]:
    said = {"aspectRatio": options.aspect_ratio, "imageSize": options.resolution}
    return {name: value for name, value in said.items() if value is not None}


def _contents(task: Task, provider: str) -> list[JsonValue]:
    """The conversation so far: one turn or, where the first image was drawn by this vendor, the turn that drew it, too.

    An image in a turn of the model must have the signature of the thought that it came from.
    """
    words: list[JsonValue] = [{"text": task.prompt}] if task.prompt else []
    if not task.images:
        return [_turn("user", words)]
    first, *others = task.images
    told = first.metadata.get(provider, {})
    asked, signature = told.get("prompt"), told.get("thought_signature")
    rest: list[JsonValue] = [*words, *(_inline(image) for image in others)]
    if not (isinstance(asked, str) and asked and isinstance(signature, str) and signature):
        return [_turn("user", [*words, _inline(first), *(_inline(image) for image in others)])]
    drawn: JsonValue = {**_inline(first), "thoughtSignature": signature}
    return [_turn("user", [{"text": asked}]), _turn("model", [drawn]), _turn("user", rest)]


def _turn(role: str, parts: list[JsonValue]) -> JsonValue:
    return {"role": role, "parts": parts}


def _inline(image: InputImage) -> dict[str, JsonValue]:
    data = pybase64.b64encode(image.data).decode("ascii")
    return {"inlineData": {"mimeType": image.facts.media_type, "data": data}}


def _at(params: Mapping[str, object], path: Sequence[str]) -> object:
    value: object = params
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _joined(ours: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Lay params over our fields, object by object."""
    joined = {**ours, **theirs}
    for name in ours.keys() & theirs.keys():
        inner, outer = ours[name], theirs[name]
        if isinstance(inner, dict) and isinstance(outer, dict):
            joined[name] = _joined(inner, outer)
    return joined
