"""Models and image services: what each can do, and what its body holds. Any id passes through.

Sources: the pages "Stable Image Ultra", "Stable Image Core", "Stable Diffusion 3.5 Large", "Stability AI Image
Services" and "Model lifecycle" of Amazon Bedrock's user guide.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time

from imagegen_server.domain.capabilities import Model
from imagegen_server.providers.stability.family import (
    ANY_SIZE,
    DIRECTIONS,
    DRAWS,
    EDITS,
    FAST,
    FORMAT_ONLY,
    FORMATS,
    MEGAPIXEL,
    STYLES,
    UNKNOWN,
    UP_TO_A_MEGAPIXEL,
    WITHOUT_WORDS,
    Limits,
    Shape,
)

_TWO_FORMATS = FORMATS[:2]

_DRAWING: Mapping[str, Shape] = {
    "sd3-5-large": Shape(
        DRAWS,
        needed=("strength",),
        mode=True,
        limits=(Limits(most_pixels=None, most_ratio=None),),
        usual=MEGAPIXEL,
    ),
    "stable-image-core": Shape(
        replace(DRAWS, edit=False, max_input_images=None, formats=_TWO_FORMATS), usual=MEGAPIXEL
    ),
    "stable-image-ultra": Shape(replace(DRAWS, formats=_TWO_FORMATS), limits=(ANY_SIZE,), usual=MEGAPIXEL),
}
_SERVICES: Mapping[str, Shape] = {
    "stable-image-inpaint": Shape(replace(EDITS, mask=True)),
    "stable-outpaint": Shape(WITHOUT_WORDS, needed=DIRECTIONS),
    "stable-image-erase-object": Shape(replace(WITHOUT_WORDS, mask=True), prompt=""),
    "stable-image-search-replace": Shape(EDITS, needed=("search_prompt",)),
    "stable-image-search-recolor": Shape(EDITS, needed=("select_prompt",)),
    "stable-image-remove-background": Shape(FORMAT_ONLY, prompt=""),
    "stable-image-control-sketch": Shape(EDITS),
    "stable-image-control-structure": Shape(EDITS),
    "stable-image-style-guide": Shape(STYLES, edit_ratio=True),
    "stable-style-transfer": Shape(
        replace(EDITS, max_input_images=2, edits_without_words=True),
        images=("init_image", "style_image"),
        least_images=2,
    ),
    "stable-fast-upscale": Shape(FORMAT_ONLY, prompt="", limits=(FAST,)),
    "stable-conservative-upscale": Shape(EDITS),
    "stable-creative-upscale": Shape(EDITS, limits=(UP_TO_A_MEGAPIXEL,)),
}
_STRANGER = Shape(UNKNOWN, edit_ratio=True, limits=(ANY_SIZE,))

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
