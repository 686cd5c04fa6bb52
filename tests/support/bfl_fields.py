"""The fields of Black Forest Labs' models and what each takes, after the vendor's OpenAPI document."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

Check = Callable[[Any], str]
"""Says what is wrong with a value; "" = nothing."""


def _whole(least: int | None = None, most: int | None = None, step: int = 1) -> Check:
    def check(value: Any) -> str:
        if type(value) is not int:
            return "Input should be a valid integer"
        if least is not None and value < least:
            return f"Input should be greater than or equal to {least}"
        if most is not None and value > most:
            return f"Input should be less than or equal to {most}"
        return f"Input should be a multiple of {step}" if value % step else ""

    return check


def _number(least: float, most: float) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "Input should be a valid number"
        return "" if least <= value <= most else f"Input should be between {least} and {most}"

    return check


def _one_of(*values: str) -> Check:
    return lambda value: "" if value in values else f"Input should be {', '.join(map(repr, values))}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else "Input should be a valid string"


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "Input should be a valid boolean"


def _image(value: Any) -> str:
    if not isinstance(value, str):
        return "Input should be a valid string"
    try:
        opened(value).load()
    except (ValueError, OSError):
        return "Invalid image"
    return ""


def _images(value: Any) -> str:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not 1 <= len(listed) <= 10:
        return "List should have 1 to 10 items"
    return next(filter(None, map(_image, listed)), "")


def _ratio(value: Any) -> str:
    width, _, height = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        return "Aspect ratio must be in the format of 'width:height'"
    return "" if 1 / 4 <= int(width) / int(height) <= 4 else "Aspect ratio must be between 21:9 and 9:21"


def opened(encoded: str) -> Image.Image:
    """Read an image as the vendor does."""
    return Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))


Fields = Mapping[str, Check]
_FORMAT = {"output_format": _one_of("jpeg", "png", "webp")}
_SEED = {"seed": _whole()}
_TO_5 = {"safety_tolerance": _whole(0, 5)}
_TO_6 = {"safety_tolerance": _whole(0, 6)}
_ANY_SIZE = {"width": _whole(64, step=16), "height": _whole(64, step=16)}
_OLD_SIZE = {"width": _whole(256, 1440, 32), "height": _whole(256, 1440, 32)}
_UPSAMPLING = {"prompt_upsampling": _flag}
_PROMPT = {"prompt": _text}
_STEPS = {"steps": _whole(15, 50), "guidance": _number(1.5, 100)}
_FINETUNE = {"finetune_id": _text, "finetune_strength": _number(0, 2)}


def _inputs(most: int) -> Fields:
    return {"input_image": _image, **{f"input_image_{number}": _image for number in range(2, most + 1)}}


_FLUX_2 = {**_PROMPT, **_inputs(8), **_SEED, **_ANY_SIZE, **_TO_5, **_FORMAT}
_PRO = {**_FLUX_2, "disable_pup": _flag}
_KLEIN = {**_PROMPT, **_inputs(4), **_SEED, **_ANY_SIZE, **_TO_5, **_FORMAT}
_KONTEXT = {**_PROMPT, **_inputs(4), **_SEED, "aspect_ratio": _ratio, **_FORMAT, **_UPSAMPLING, **_TO_6}
_REDUX = {**_PROMPT, "image_prompt": _image, **_OLD_SIZE, **_UPSAMPLING, **_SEED, **_TO_6, **_FORMAT}
_ULTRA = {
    **(_PROMPT | _UPSAMPLING | _SEED | _TO_6 | _FORMAT),
    "aspect_ratio": _ratio,
    "raw": _flag,
    "image_prompt": _image,
    "image_prompt_strength": _number(0, 1),
}
_FILL = {"image": _image, "mask": _image, **_PROMPT, **_STEPS, **_UPSAMPLING, **_SEED, **_FORMAT, **_TO_6}
_EXPAND = {
    **{name: check for name, check in _FILL.items() if name != "mask"},
    **{side: _whole(0, 2048) for side in ("top", "bottom", "left", "right")},
}
_TOOL = {**_TO_5, **_FORMAT}

FLUX_3_RATIOS = "auto 21:9 2:1 16:9 3:2 7:5 4:3 5:4 1:1 4:5 3:4 5:7 2:3 9:16 1:2 9:21".split()  # noqa: SIM905 - to be read
MODELS: Mapping[str, tuple[Fields, Sequence[str]]] = {
    "flux-3-image": (
        {
            "prompt": _text,
            "images": _images,
            "aspect_ratio": _one_of(*FLUX_3_RATIOS),
            "resolution": _one_of("768sq", "1k", "1.5k", "2k", "4k"),
            "safety_tolerance": _whole(0, 4),
            "grounding": _flag,
            "version": _one_of("latest"),
        },
        ["prompt"],
    ),
    **dict.fromkeys(("flux-2-max", "flux-2-pro", "flux-2-pro-preview"), (_PRO, ["prompt"])),
    "flux-2-flex": (
        {**_FLUX_2, **_UPSAMPLING, "guidance": _number(1.5, 10), "steps": _whole(1, 50)},
        ["prompt"],
    ),
    **dict.fromkeys(("flux-2-klein-9b", "flux-2-klein-9b-preview", "flux-2-klein-4b"), (_KLEIN, ["prompt"])),
    **dict.fromkeys(("flux-kontext-max", "flux-kontext-pro"), (_KONTEXT, ["prompt"])),
    "flux-pro-1.1": (_REDUX, []),
    "flux-dev": ({**_REDUX, "steps": _whole(1, 50), "guidance": _number(1.5, 5)}, []),
    "flux-pro-1.1-ultra": (_ULTRA, []),
    "flux-pro-1.1-ultra-finetuned": (
        {**{name: check for name, check in _ULTRA.items() if name != "raw"}, **_FINETUNE},
        ["finetune_id"],
    ),
    "flux-pro-1.0-fill": (_FILL, ["image"]),
    "flux-pro-1.0-fill-finetuned": ({**_FILL, **_FINETUNE}, ["finetune_id", "image"]),
    "flux-pro-1.0-expand": (_EXPAND, ["image"]),
    "flux-tools/outpainting-v1": (
        {
            "input_image": _image,
            "width": _whole(64),
            "height": _whole(64),
            "auto_crop": _flag,
            "prompt": _text,
            "reference_offset_x": _whole(),
            "reference_offset_y": _whole(),
            "mode": _one_of("high", "fast"),
            **_TOOL,
        },
        ["input_image", "width", "height"],
    ),
    "flux-tools/erase-v1": (
        {"image": _image, "mask": _image, "dilate_pixels": _whole(0, 25), **_SEED, **_TOOL},
        ["image", "mask"],
    ),
    "flux-tools/deblur-v1": ({"image": _image, **_SEED, **_TOOL}, ["image"]),
    **dict.fromkeys(
        ("flux-tools/vto-v1", "flux-tools/vto-v2"),
        ({**_PROMPT, "person": _image, "garment": _image, **_SEED, **_TOOL}, ["prompt", "person", "garment"]),
    ),
}
"""The fields of every model that makes pictures, and those that must be there."""
