"""The forms of Stability AI's services and what each field takes, after the vendor's OpenAPI document."""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL import Image

from .recording import Part

Check = Callable[[Part], str]
"""Says what is wrong with a part of a form; "" = nothing."""

RATIOS = "21:9 16:9 3:2 5:4 1:1 4:5 2:3 9:16 9:21".split()  # noqa: SIM905 - to be read
STYLES = """enhance anime photographic digital-art comic-book fantasy-art line-art analog-film neon-punk isometric
low-poly origami modeling-compound cinematic 3d-model pixel-art tile-texture""".split()  # noqa: SIM905 - to be read
MODELS = ["sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash"]
"""The last one is told of in the document's words alone; its enum does not have it, and the vendor takes it."""

_REDIRECTED = ["sd3-large", "sd3-large-turbo", "sd3-medium"]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` to `most`."""

    least: float
    most: float
    whole: bool = False

    def __call__(self, part: Part) -> str:
        """See Check."""
        text = part.data.decode()
        if part.filename is not None or not _NUMBER.fullmatch(text):
            return "must be a number"
        if self.whole and not float(text).is_integer():
            return "must be an integer"
        return "" if self.least <= float(text) <= self.most else f"must be between {self.least} and {self.most}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some words."""

    words: tuple[str, ...]

    def __call__(self, part: Part) -> str:
        """See Check."""
        expected = " | ".join(f"'{word}'" for word in self.words)
        return "" if part.data.decode() in self.words else f"Invalid enum value. Expected {expected}"


@dataclass(frozen=True, slots=True)
class Text:
    """Words of `least` to 10000 characters."""

    least: int = 0

    def __call__(self, part: Part) -> str:
        """See Check."""
        length = len(part.data.decode())
        if part.filename is not None or length < self.least:
            return "required"
        return "" if length <= 10_000 else "cannot exceed 10000 characters"


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that is a picture, with limits in pixels."""

    least_side: int = 64
    most_pixels: int = 9_437_184
    most_ratio: float = 2.5
    most_side: int = 10**9

    def __call__(self, part: Part) -> str:
        """See Check."""
        if not part.filename or not part.content_type:
            return "must be a file"
        try:
            image = Image.open(io.BytesIO(part.data))
            image.load()
        except OSError:
            return "could not be read as an image"
        if image.format not in {"PNG", "JPEG", "WEBP"} or part.content_type != Image.MIME[image.format]:
            return "must be a jpeg, png or webp"
        short, long = sorted(image.size)
        if short < self.least_side or long > self.most_side:
            return f"every side must be at least {self.least_side} pixels"
        if short * long > self.most_pixels:
            return f"total pixel count must not exceed {self.most_pixels}"
        return "" if long <= short * self.most_ratio else "aspect ratio must be between 1:2.5 and 2.5:1"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that a service wants, and those that it takes besides. `later`: it answers the id of a generation."""

    wanted: Mapping[str, Check]
    taken: Mapping[str, Check]
    later: bool = False

    @property
    def fields(self) -> Mapping[str, Check]:
        """All of them."""
        return {**self.wanted, **self.taken}


_PROMPT: Mapping[str, Check] = {"prompt": Text(1)}
_FORMAT: Mapping[str, Check] = {"output_format": OneOf(("jpeg", "png", "webp"))}
_SEED: Mapping[str, Check] = {"seed": Number(0, 4_294_967_294, whole=True)}
_NEGATIVE: Mapping[str, Check] = {"negative_prompt": Text()}
_STYLE: Mapping[str, Check] = {"style_preset": OneOf(tuple(STYLES))}
_RATIO: Mapping[str, Check] = {"aspect_ratio": OneOf(tuple(RATIOS))}
_SHARED = {**_SEED, **_NEGATIVE, **_FORMAT}
_ANY_RATIO = Picture(most_ratio=10**9)
_GENERATED = Picture(most_pixels=10**12, most_ratio=10**9, most_side=16_384)
_STRENGTH: Mapping[str, Check] = {"strength": Number(0, 1)}
_MASK: Mapping[str, Check] = {"mask": Picture(1, 10**12, 10**9)}
_SIDES: Mapping[str, Check] = {side: Number(0, 2000, whole=True) for side in ("left", "right", "up", "down")}
_IMAGE: Mapping[str, Check] = {"image": Picture()}
_IMAGE_OF_ANY_RATIO: Mapping[str, Check] = {"image": _ANY_RATIO}
_CONTROL: Mapping[str, Check] = {"control_strength": Number(0, 1)}
_GROW: Mapping[str, Check] = {"grow_mask": Number(0, 20)}

FORMS: Mapping[str, Form] = {
    "generate/ultra": Form(_PROMPT, {**_SHARED, **_RATIO, **_STYLE, "image": _GENERATED, **_STRENGTH}),
    "generate/core": Form(_PROMPT, {**_SHARED, **_RATIO, **_STYLE}),
    "generate/sd3": Form(
        _PROMPT,
        {
            **_SHARED,
            **_RATIO,
            **_STYLE,
            **_STRENGTH,
            "image": Picture(most_pixels=10**12, most_ratio=10**9),
            "mode": OneOf(("text-to-image", "image-to-image")),
            "model": OneOf((*MODELS, *_REDIRECTED)),
            "cfg_scale": Number(1, 10),
        },
    ),
    "edit/inpaint": Form(
        {**_PROMPT, **_IMAGE_OF_ANY_RATIO}, {**_SHARED, **_STYLE, **_MASK, "grow_mask": Number(0, 100)}
    ),
    "edit/outpaint": Form(
        _IMAGE, {**_SEED, **_FORMAT, **_STYLE, **_SIDES, "prompt": Text(), "creativity": Number(0, 1)}
    ),
    "edit/erase": Form(_IMAGE_OF_ANY_RATIO, {**_SEED, **_FORMAT, **_MASK, **_GROW}),
    "edit/search-and-replace": Form({**_PROMPT, **_IMAGE, "search_prompt": Text()}, {**_SHARED, **_STYLE, **_GROW}),
    "edit/search-and-recolor": Form({**_PROMPT, **_IMAGE, "select_prompt": Text()}, {**_SHARED, **_STYLE, **_GROW}),
    "edit/remove-background": Form(
        {"image": Picture(most_pixels=4_194_304, most_ratio=10**9)}, {"output_format": OneOf(("png", "webp"))}
    ),
    "edit/replace-background-and-relight": Form(
        {"subject_image": Picture()},
        {
            **_SHARED,
            "background_reference": _ANY_RATIO,
            "light_reference": _ANY_RATIO,
            "background_prompt": Text(),
            "foreground_prompt": Text(),
            "preserve_original_subject": Number(0, 1),
            "original_background_depth": Number(0, 1),
            "keep_original_background": OneOf(("true", "false")),
            "light_source_direction": OneOf(("left", "right", "above", "below")),
            "light_source_strength": Number(0, 1),
        },
        later=True,
    ),
    "control/sketch": Form({**_PROMPT, **_IMAGE}, {**_SHARED, **_STYLE, **_CONTROL}),
    "control/structure": Form({**_PROMPT, **_IMAGE}, {**_SHARED, **_STYLE, **_CONTROL}),
    "control/style": Form({**_PROMPT, **_IMAGE}, {**_SHARED, **_STYLE, **_RATIO, "fidelity": Number(0, 1)}),
    "control/style-transfer": Form(
        {
            "init_image": Picture(most_side=16_383),
            "style_image": Picture(most_side=16_383, most_ratio=10**9),
        },
        {
            **_SHARED,
            "prompt": Text(),
            "style_strength": Number(0, 1),
            "composition_fidelity": Number(0, 1),
            "change_strength": Number(0.1, 1),
        },
    ),
    "upscale/fast": Form({"image": Picture(32, 1_048_576, 10**9, 1536)}, _FORMAT),
    "upscale/conservative": Form({**_PROMPT, **_IMAGE}, {**_SHARED, "creativity": Number(0.2, 0.5)}),
    "upscale/creative": Form(
        {**_PROMPT, "image": Picture(most_pixels=1_048_576, most_ratio=10**9)},
        {**_SHARED, **_STYLE, "creativity": Number(0.1, 0.5)},
        later=True,
    ),
}
"""By the path below /v2beta/stable-image."""


def together(path: str, parts: Mapping[str, Part]) -> str:
    """Say what is wrong with fields beside each other, as the words of the document have it; "" = nothing."""
    check = _TOGETHER.get(path)
    return check(parts) if check else ""


def _ultra(parts: Mapping[str, Part]) -> str:
    return "strength: required" if "image" in parts and "strength" not in parts else ""


def _sd3(parts: Mapping[str, Part]) -> str:
    mode = parts["mode"].data.decode() if "mode" in parts else "text-to-image"
    if mode == "text-to-image":
        return "image: not allowed" if "image" in parts else ""
    missing = next((name for name in ("image", "strength") if name not in parts), "")
    return f"{missing}: required" if missing else "aspect_ratio: not allowed" if "aspect_ratio" in parts else ""


def _outpaint(parts: Mapping[str, Part]) -> str:
    grows = any(int(parts[side].data) for side in _SIDES if side in parts)
    return "" if grows else "left: at least one outpaint direction must be supplied with a non-zero value"


def _relight(parts: Mapping[str, Part]) -> str:
    if not parts.keys() & {"background_prompt", "background_reference"}:
        return "background_prompt: either background_reference or background_prompt must be provided"
    if "light_source_strength" in parts and not parts.keys() & {"light_reference", "light_source_direction"}:
        return "light_source_strength: requires light_reference or light_source_direction"
    return ""


_TOGETHER: Mapping[str, Callable[[Mapping[str, Part]], str]] = {
    "generate/ultra": _ultra,
    "generate/sd3": _sd3,
    "edit/outpaint": _outpaint,
    "edit/replace-background-and-relight": _relight,
}
