"""Models and image services: what each can do, and what its body holds. Any id passes through.

Sources: the pages "Stable Image Ultra", "Stable Image Core", "Stable Diffusion 3.5 Large", "Stability AI Image
Services" and "Model lifecycle" of Amazon Bedrock's user guide.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport

PARAM_OPTIONS: Mapping[str, str] = {
    "aspect_ratio": "aspect_ratio",
    "negative_prompt": "negative_prompt",
    "output_format": "format",
    "seed": "seed",
}
"""The vendor's fields that say what an option says, by that option."""

DIRECTIONS = ("left", "right", "up", "down")
"""Fields of which one must be more than 0: by how many pixels a picture grows there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken of an input image, in pixels. None = nothing is said of it."""

    least_side: int | None = 64
    most_side: int | None = None
    most_pixels: int | None = 9_437_184
    most_ratio: float | None = 2.5


@dataclass(frozen=True, slots=True)
class Shape:
    """A model: what it can do, and the fields of its body besides those of options.

    `images` names the fields of its input images, `needed` those without which the vendor refuses an edit. `prompt`:
    there is such a field. `mode`: an edit has to say that it is one.
    """

    able: Capabilities
    images: tuple[str, ...] = ("image",)
    needed: tuple[str, ...] = ()
    prompt: bool = True
    mode: bool = False
    limits: Limits = Limits()


_RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
_FORMATS = ("png", "jpeg", "webp")
_UNKNOWN = Capabilities(
    streaming=False,
    max_images=1,
    max_input_images=1,
    previews=PreviewSupport.NONE,
    options=frozenset(PARAM_OPTIONS.values()),
)
_DRAWS = replace(_UNKNOWN, generate=True, edit=True, mask=False, aspect_ratios=_RATIOS, formats=_FORMATS)
_EDITS = replace(_DRAWS, generate=False, options=frozenset({"seed", "negative_prompt", "format"}), aspect_ratios=())
_WITHOUT_WORDS = replace(_EDITS, options=frozenset({"seed", "format"}), edits_without_words=True)
_FORMAT_ONLY = replace(_WITHOUT_WORDS, options=frozenset({"format"}))
_ANY_SIZE = Limits(None, None, None, None)
_ANY_RATIO = Limits(most_ratio=None)
_STRANGER = Shape(_UNKNOWN, limits=_ANY_SIZE)

_DRAWING: Mapping[str, Shape] = {
    "sd3-5-large": Shape(_DRAWS, needed=("strength",), mode=True, limits=Limits(most_pixels=None, most_ratio=None)),
    "stable-image-core": Shape(replace(_DRAWS, edit=False, max_input_images=None, formats=_FORMATS[:2])),
    "stable-image-ultra": Shape(replace(_DRAWS, formats=_FORMATS[:2]), limits=_ANY_SIZE),
}
_SERVICES: Mapping[str, Shape] = {
    "stable-image-inpaint": Shape(replace(_EDITS, mask=True)),
    "stable-outpaint": Shape(_WITHOUT_WORDS, needed=DIRECTIONS),
    "stable-image-erase-object": Shape(replace(_WITHOUT_WORDS, mask=True), prompt=False),
    "stable-image-search-replace": Shape(_EDITS, needed=("search_prompt",)),
    "stable-image-search-recolor": Shape(_EDITS, needed=("select_prompt",)),
    "stable-image-remove-background": Shape(_FORMAT_ONLY, prompt=False),
    "stable-image-control-sketch": Shape(_EDITS),
    "stable-image-control-structure": Shape(_EDITS),
    "stable-image-style-guide": Shape(
        replace(_EDITS, options=frozenset(PARAM_OPTIONS.values()), aspect_ratios=_RATIOS)
    ),
    "stable-style-transfer": Shape(
        replace(_EDITS, max_input_images=2, edits_without_words=True), images=("init_image", "style_image")
    ),
    "stable-fast-upscale": Shape(_FORMAT_ONLY, prompt=False, limits=Limits(32, 1536, 1_048_576, None)),
    "stable-conservative-upscale": Shape(_EDITS),
    "stable-creative-upscale": Shape(_EDITS, limits=replace(_ANY_RATIO, most_pixels=1_048_576)),
}

_VERSIONS = {"stable-image-core": "v1:1", "stable-image-ultra": "v1:1"}
_ENDED: Mapping[str, date] = {
    "amazon.nova-canvas-v1:0": date(2026, 9, 30),
    "amazon.titan-image-generator-v2:0": date(2026, 6, 30),
}
"""Models that the vendor has ended, with the day."""

_ID = re.compile(r"(?P<place>[a-z]{2,6}(?:-[a-z]{2,6})?\.)?stability\.(?P<name>[a-z0-9-]+?)(?:-(?P<version>v\d+:\d+))?")


def shape_of(model_id: str) -> Shape:
    """Tell what the body of a model holds: by its own id, that of an inference profile, or the ARN of either."""
    found = _ID.fullmatch(model_id.rpartition("/")[2])
    name = found["name"] if found else ""
    return _DRAWING.get(name) or _SERVICES.get(name) or _STRANGER


def find_model(model_id: str, *, listed: bool = False, display_name: str = "", end: datetime | None = None) -> Model:
    """Tell what is known of any id. `listed`: the vendor itself has just named it, with these facts."""
    day = _ENDED.get(model_id)
    return Model(
        id=model_id,
        capabilities=shape_of(model_id).able,
        display_name=display_name,
        known=listed or day is not None or _known(model_id),
        retire_time=end or (datetime.combine(day, time(), UTC) if day else None),
    )


def known_models() -> list[Model]:
    """List the models that the vendor has not ended; image services by their inference profile of the US.

    The vendor runs them by profiles alone, and has no other.
    """
    drawing = [f"stability.{name}-{_VERSIONS.get(name, 'v1:0')}" for name in _DRAWING]
    return [find_model(model_id) for model_id in [*drawing, *(f"us.stability.{name}-v1:0" for name in _SERVICES)]]


def _known(model_id: str) -> bool:
    found = _ID.fullmatch(model_id)
    if found is None or found["version"] != _VERSIONS.get(found["name"], "v1:0"):
        return False
    return found["name"] in _SERVICES or (found["name"] in _DRAWING and not found["place"])
