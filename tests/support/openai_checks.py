"""How strictly the fake OpenAI reads a request.

Taken from the published interface of the Images API. Where that is silent the fake refuses what a careful client does
not send: a request without `model`, `partial_images` without `stream`, `output_compression` with PNG.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .openai_inputs import check_files, check_references
from .openai_refusals import (
    Refused,
    duplicate_parameter,
    missing_parameter,
    unknown_model,
    unknown_parameter,
    wrong_type,
    wrong_value,
)
from .recording import RecordedRequest

_THREE_SIZES = frozenset({"gpt-image-1-mini", "gpt-image-1.5", "gpt-image-1.5-2025-12-16", "chatgpt-image-latest"})
_GPT_IMAGE_2 = frozenset({"gpt-image-2", "gpt-image-2-2026-04-21"})
_GPT_IMAGE_2_5 = frozenset(
    {f"gpt-image-2.5-{kind}{day}" for kind in ("sunburst", "flare") for day in ("", "-2026-09-08")}
)
_GPT_IMAGE_2_6 = frozenset({"gpt-image-2.6-sunburst", "gpt-image-2.6-flare"})
MODELS = _THREE_SIZES | _GPT_IMAGE_2 | _GPT_IMAGE_2_5 | _GPT_IMAGE_2_6
"""All that are not retired. `dall-e-2`, `dall-e-3` and `gpt-image-1` are."""

Models = frozenset[str] | Mapping[str, str]

_STRINGS = frozenset({"prompt", "model", "size", "user", "safety_identifier"})
_RANGES = {
    "n": (1, 10),
    "partial_images": (0, 3),
    "output_compression": (0, 100),
    "frame_count": (2, 16),
    "frame_duration_ms": (1, 2**31),
}
_CHOICES = {
    "quality": {"low", "medium", "high", "auto"},
    "background": {"transparent", "opaque", "auto"},
    "output_format": {"png", "jpeg", "webp"},
    "moderation": {"low", "auto"},
    "input_fidelity": {"low", "high"},
    "complexity": {"low", "medium", "high"},
}
_KNOWN = _STRINGS | _RANGES.keys() | _CHOICES.keys() | {"stream", "svg"}
_MOST_PROMPT_LENGTH = 32_000


@dataclass(frozen=True, slots=True)
class Order:
    """A request that is in order, with what was left out filled in.

    `kind` is how the names of its events begin, `size` is in pixels.
    """

    kind: str
    model: str
    size: tuple[int, int]
    n: int
    quality: str
    background: str
    output_format: str
    stream: bool
    partial_images: int
    frames: int
    input_images: int
    safety_identifier: str


def read_generation(request: RecordedRequest, models: Models = MODELS) -> Order:
    """Check a request to draw. `models` are those that there are; as a mapping, by the names that requests say.

    :raises Refused: as the real service would.
    """
    if request.media_type != "application/json":
        raise _wrong_media_type(request, "application/json")
    return _ordered("image_generation", _json(request), _KNOWN - {"input_fidelity"}, models, 0)


def read_edit(request: RecordedRequest, models: Models = MODELS) -> Order:
    """Check a request to edit, as a form or as JSON. `models` as above.

    :raises Refused: as the real service would.
    """
    if request.media_type == "application/json":
        values = _json(request)
        inputs = check_references(values.pop("images", None), values.pop("mask", None))
        return _ordered("image_edit", values, _KNOWN, models, inputs)
    if request.media_type != "multipart/form-data":
        raise _wrong_media_type(request, "multipart/form-data' or 'application/json")
    try:
        files, texts = request.files, [part for part in request.parts if part.filename is None]
    except ValueError as error:
        raise Refused(f"Could not parse multipart form: {error}", code=None) from error
    values = {}
    for part in texts:
        if part.name in values:
            raise duplicate_parameter(part.name)
        if part.name in {"image", "image[]", "mask", "markup"}:
            raise wrong_type(part.name, "a file", "")
        _put(values, part.name, part.data.decode())
    order = _ordered("image_edit", values, _KNOWN - {"moderation"}, models, 0)
    if order.output_format == "gif" and any(part.name == "mask" for part in files):
        raise wrong_value("mask", "not with 'gif'.")
    return replace(order, input_images=check_files(files, order.model))


def _wrong_media_type(request: RecordedRequest, wanted: str) -> Refused:
    message = f"Unsupported content type: '{request.media_type}'. This API method only accepts '{wanted}' requests."
    return Refused(message, code="unsupported_content_type")


def _json(request: RecordedRequest) -> dict[str, Any]:
    try:
        values = request.json
    except ValueError as error:
        raise Refused("We could not parse the JSON body of your request.", code=None) from error
    if not isinstance(values, dict):
        raise wrong_type("body", "an object", values)
    return {name: value for name, value in values.items() if value is not None}


def _put(values: dict[str, Any], name: str, text: str) -> None:
    """Put a text field of a form where JSON would have it, with its type if the text is one."""
    if name.startswith("svg["):
        values.setdefault("svg", {})[name] = text
    elif name in _RANGES and re.fullmatch(r"-?\d{1,12}", text):
        values[name] = int(text)
    elif name == "stream" and text in {"true", "false"}:
        values[name] = text == "true"
    else:
        values[name] = text


def _ordered(kind: str, values: dict[str, Any], known: frozenset[str], models: Models, inputs: int) -> Order:
    for name in values:
        if name not in known:
            raise unknown_parameter(name)
    for name in ("prompt", "model"):
        if name not in values:
            raise missing_parameter(name)
    _check_types(values)
    if values["model"] not in models:
        raise unknown_model(values["model"])
    if isinstance(models, Mapping):
        values |= {"model": models[values["model"]]}
    _check_prompt(values["prompt"])
    _check_choices(values)
    _check_together(values)
    return Order(
        kind=kind,
        model=values["model"],
        size=_size(values.get("size", "auto"), values["model"]),
        n=values.get("n", 1),
        quality=_resolved(values.get("quality"), "high"),
        background=_resolved(values.get("background"), "opaque"),
        output_format=values.get("output_format", "png"),
        stream=values.get("stream", False),
        partial_images=values.get("partial_images", 0),
        frames=values.get("frame_count", 9),
        input_images=inputs,
        safety_identifier=values.get("safety_identifier") or values.get("user", ""),
    )


def _resolved(value: str | None, auto: str) -> str:
    return auto if value in {None, "auto"} else str(value)


def _check_types(values: dict[str, Any]) -> None:
    for name, value in values.items():
        wanted, kind = _type_of(name)
        # bool is an int to Python, but not to JSON.
        if type(value) is not kind:
            raise wrong_type(name, wanted, value)
        if isinstance(value, int) and name in _RANGES:
            least, most = _RANGES[name]
            if value < least:
                raise Refused(f"'{name}' must be at least {least}.", code="integer_below_min_value", param=name)
            if value > most:
                raise Refused(f"'{name}' must be at most {most}.", code="integer_above_max_value", param=name)


def _type_of(name: str) -> tuple[str, type]:
    if name in _RANGES:
        return "an integer", int
    return {"stream": ("a boolean", bool), "svg": ("an object", dict)}.get(name, ("a string", str))


def _check_prompt(prompt: str) -> None:
    if not prompt:
        raise Refused("'prompt' is too short.", code="string_below_min_length", param="prompt")
    if len(prompt) > _MOST_PROMPT_LENGTH:
        raise Refused("'prompt' is too long.", code="string_above_max_length", param="prompt")


def _check_choices(values: dict[str, Any]) -> None:
    model = values["model"]
    late = model in _GPT_IMAGE_2_6
    choices = {name: set(some) for name, some in _CHOICES.items()}
    if late or model in _GPT_IMAGE_2_5:
        choices["quality"] |= {"xhigh", "max"}
    if late:
        choices["output_format"] |= {"gif", "svg"}
    if model == "gpt-image-1-mini":
        choices["input_fidelity"] = {"low"}
    for name in ("complexity", "frame_count", "frame_duration_ms", "svg"):
        if name in values and not late:
            raise _not_of_model(model, name)
    if "input_fidelity" in values and model not in _THREE_SIZES:
        raise _not_of_model(model, "input_fidelity")
    for name in values.keys() & choices.keys():
        if values[name] not in choices[name]:
            supported = ", ".join(f"'{choice}'" for choice in sorted(choices[name]))
            raise wrong_value(name, f"'{values[name]}'. Supported values are: {supported}.")


def _not_of_model(model: str, name: str) -> Refused:
    return Refused(f"The model '{model}' does not support the '{name}' parameter.", code="invalid_value", param=name)


def _check_together(values: dict[str, Any]) -> None:
    form = values.get("output_format", "png")
    stream = values.get("stream", False)
    if stream and values.get("n", 1) > 1:
        raise wrong_value("n", "streaming is only supported with n=1.")
    if stream and form in {"gif", "svg"}:
        raise wrong_value("stream", f"not supported with '{form}'.")
    if values.get("partial_images") and not stream:
        raise wrong_value("partial_images", "only supported with stream=true.")
    if values.get("background") == "transparent" and form == "jpeg":
        raise wrong_value("background", "transparent is not supported for the output format 'jpeg'.")
    if "output_compression" in values and form not in {"jpeg", "webp"}:
        raise wrong_value("output_compression", f"not supported for the output format '{form}'.")
    if values.keys() & {"frame_count", "frame_duration_ms"} and form != "gif":
        raise wrong_value("frame_count", "only supported with 'gif'.")
    if form == "svg" and values.get("n", 1) > 1:
        raise wrong_value("n", "only 1 with 'svg'.")
    if "svg" in values and form != "svg":
        raise wrong_value("svg", "only supported with 'svg'.")


def _size(text: str, model: str) -> tuple[int, int]:
    if text == "auto":
        return (1024, 1024)
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found:
        raise wrong_value("size", f"'{text}'. Expected 'auto' or WIDTHxHEIGHT.")
    width, height = int(found[1]), int(found[2])
    if model in _THREE_SIZES:
        if (width, height) not in {(1024, 1024), (1536, 1024), (1024, 1536)}:
            raise wrong_value("size", f"'{text}'. Supported values are: '1024x1024', '1024x1536', '1536x1024', 'auto'.")
    elif width % 16 or height % 16:
        raise wrong_value("size", f"'{text}'. Width and height must both be divisible by 16.")
    elif max(width, height) > 3 * min(width, height):
        raise wrong_value("size", f"'{text}'. The aspect ratio must be between 1:3 and 3:1.")
    elif max(width, height) > 3840:
        raise wrong_value("size", f"'{text}'. The longest edge is 3840.")
    elif not 655_360 <= width * height <= 8_294_400:
        raise wrong_value("size", f"'{text}'. The pixels must be 655360 to 8294400.")
    return (width, height)
