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

CONTROLLED_PARAMS = frozenset({"model", "contents"})

FILES = "fileData"
"""A param that is no field of the request: files that the vendor has or can read itself, which become parts."""

PARAM_PATHS: Mapping[str, Sequence[str]] = {
    "aspect_ratio": ("generationConfig", "imageConfig", "aspectRatio"),
    "resolution": ("generationConfig", "imageConfig", "imageSize"),
    "seed": ("generationConfig", "seed"),
}
"""Where params say what an option says, by that option, and where the option is sent."""

OUTPUT_PATHS: Mapping[str, Sequence[str]] = {
    "format": ("generationConfig", "imageConfig", "imageOutputOptions", "mimeType"),
    "compression": ("generationConfig", "imageConfig", "imageOutputOptions", "compressionQuality"),
}
"""The same of what Vertex AI alone takes."""

_LOSSY = "image/jpeg"
"""The only type of image that has a degree of compression."""


def fitted(task: Task, provider: str, paths: Mapping[str, Sequence[str]]) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say. Params go before the options that say the same, in `paths`.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    wrong = [
        Violation(f"input.images[{position}]", f"is {image.facts.media_type}; Google takes {', '.join(MEDIA_TYPES)}")
        for position, image in enumerate(task.images)
        if image.facts.media_type not in MEDIA_TYPES
    ]
    if _files(task.params) is None:
        what = 'is {"fileUri": ..., "mimeType": ...}, or a list of these'
        wrong.append(Violation(f"params.{provider}.{FILES}", what))
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, "Google would refuse this", violations=wrong)
    noted, options = [], task.options
    for option, path in paths.items():
        if getattr(options, option) is not None and _at(task.params, path) is not None:
            message = f"params say {'.'.join(path)}"
            noted.append(Warning(f"options.{option}", WarningReason.OVERRIDDEN_BY_PARAMS, message))
            options = replace(options, **{option: None})
    if options.compression is not None and "compression" in paths:
        chosen = _at(task.params, paths["format"]) or _media_type(options)
        if chosen != _LOSSY:
            message = f"it is for jpeg; {'no format was chosen' if chosen is None else f'{chosen} has none'}"
            noted.append(Warning("options.compression", WarningReason.IGNORED, message))
            options = replace(options, compression=None)
    return replace(task, options=options), noted


def body_of(task: Task, provider: str, paths: Mapping[str, Sequence[str]]) -> JsonObject:
    """The body of a request. `provider` is the configured name, under which earlier results keep their signatures."""
    body: dict[str, JsonValue] = {
        "contents": _contents(task, provider),
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
    }
    for option, path in paths.items():
        value = _media_type(task.options) if option == "format" else getattr(task.options, option)
        if value is not None:
            body = _joined(body, _nested(path, value))
    if task.preview_count and thinks(task.model):
        body = _joined(body, {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}})
    return _joined(body, {name: value for name, value in task.params.items() if name != FILES})


def _media_type(options: Options) -> str | None:
    return None if options.format is None else f"image/{options.format}"


def _contents(task: Task, provider: str) -> list[JsonValue]:
    """The conversation so far: one turn or, where the first image was drawn by this vendor, the turn that drew it, too.

    An image in a turn of the model must have the signature of the thought that it came from.
    """
    words: list[JsonValue] = [{"text": task.prompt}] if task.prompt else []
    files: list[JsonValue] = [{FILES: file} for file in _files(task.params) or ()]
    if not task.images:
        return [_turn("user", [*words, *files])]
    first, *others = task.images
    told = first.metadata.get(provider, {})
    asked, signature = told.get("prompt"), told.get("thought_signature")
    rest: list[JsonValue] = [*(_inline(image) for image in others), *files]
    if not (isinstance(asked, str) and asked and isinstance(signature, str) and signature):
        return [_turn("user", [*words, _inline(first), *rest])]
    drawn: JsonValue = {**_inline(first), "thoughtSignature": signature}
    return [_turn("user", [{"text": asked}]), _turn("model", [drawn]), _turn("user", [*words, *rest])]


def _files(params: JsonObject) -> list[JsonValue] | None:
    """Read the files that params name; None = they are not written as files are."""
    given = params.get(FILES, [])
    files: list[JsonValue] = given if isinstance(given, list) else [given]
    return files if all(isinstance(file, dict) and isinstance(file.get("fileUri"), str) for file in files) else None


def _turn(role: str, parts: list[JsonValue]) -> JsonValue:
    return {"role": role, "parts": parts}


def _inline(image: InputImage) -> dict[str, JsonValue]:
    data = pybase64.b64encode(image.data).decode("ascii")
    return {"inlineData": {"mimeType": image.facts.media_type, "data": data}}


def _nested(path: Sequence[str], value: JsonValue) -> dict[str, JsonValue]:
    first, *rest = path
    return {first: _nested(rest, value) if rest else value}


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
