"""Models and services: what each can do, and the fields that its form has. Any id passes through.

An id is the path of a service below `/v2beta/stable-image`, without `generate/`; the models of Stable Diffusion share
a path, and are told apart by a field. Source: the vendor's OpenAPI document.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.task import PixelSize

from .family import (
    ANY_RATIO,
    ANY_SIZE,
    DIRECTIONS,
    DRAWS,
    EDITS,
    FAST,
    FORMAT_ONLY,
    MEGAPIXEL,
    STYLES,
    UNKNOWN,
    UP_TO_A_MEGAPIXEL,
    WITHOUT_WORDS,
    Limits,
    Shape,
)

_CORE_SIZE = PixelSize(1536, 1536)
"""As users report it for 1:1; the document says 1.5 megapixels."""

_UPSCALED = PixelSize(3152, 3152)
"""The largest that users report."""

_AS_DRAWN = Limits(most_pixels=None, most_ratio=None)
_STRANGER = Shape(UNKNOWN, edit_ratio=True, limits=(ANY_SIZE,))
_SD = Shape(DRAWS, needed=("strength",), mode=True, limits=(_AS_DRAWN,), usual=MEGAPIXEL)

_SERVICES: Mapping[str, tuple[str, Shape]] = {
    "ultra": (
        "Stable Image Ultra",
        Shape(
            DRAWS,
            needed=("strength",),
            edit_ratio=True,
            limits=(replace(_AS_DRAWN, most_side=16_384),),
            usual=MEGAPIXEL,
        ),
    ),
    "core": ("Stable Image Core", Shape(replace(DRAWS, edit=False, max_input_images=None), usual=_CORE_SIZE)),
    "sd3.5-large": ("Stable Diffusion 3.5 Large", _SD),
    "sd3.5-large-turbo": ("Stable Diffusion 3.5 Large Turbo", _SD),
    "sd3.5-medium": ("Stable Diffusion 3.5 Medium", _SD),
    "sd3.5-flash": ("Stable Diffusion 3.5 Flash", _SD),
    "edit/inpaint": ("Inpaint", Shape(replace(EDITS, mask=True), limits=(ANY_RATIO,))),
    "edit/outpaint": ("Outpaint", Shape(WITHOUT_WORDS, needed=DIRECTIONS)),
    "edit/erase": ("Erase", Shape(replace(WITHOUT_WORDS, mask=True), prompt="", limits=(ANY_RATIO,))),
    "edit/search-and-replace": ("Search and Replace", Shape(EDITS, needed=("search_prompt",))),
    "edit/search-and-recolor": ("Search and Recolor", Shape(EDITS, needed=("select_prompt",))),
    "edit/remove-background": (
        "Remove Background",
        Shape(
            replace(FORMAT_ONLY, formats=("png", "webp")),
            prompt="",
            limits=(Limits(most_pixels=4_194_304, most_ratio=None),),
        ),
    ),
    "edit/replace-background-and-relight": (
        "Replace Background and Relight",
        Shape(
            replace(EDITS, max_input_images=3, edits_without_words=True),
            images=("subject_image", "background_reference", "light_reference"),
            prompt="background_prompt",
            words_or_images=2,
            limits=(Limits(), ANY_RATIO),
        ),
    ),
    "control/sketch": ("Sketch", Shape(EDITS)),
    "control/structure": ("Structure", Shape(EDITS)),
    "control/style": (
        "Style Guide",
        Shape(
            STYLES,
            edit_ratio=True,
            usual=MEGAPIXEL,
        ),
    ),
    "control/style-transfer": (
        "Style Transfer",
        Shape(
            replace(EDITS, max_input_images=2, edits_without_words=True),
            images=("init_image", "style_image"),
            least_images=2,
            limits=(Limits(most_side=16_383), replace(ANY_RATIO, most_side=16_383)),
            usual=MEGAPIXEL,
        ),
    ),
    "upscale/fast": ("Fast Upscaler", Shape(FORMAT_ONLY, prompt="", limits=(FAST,))),
    "upscale/conservative": ("Conservative Upscaler", Shape(EDITS, usual=_UPSCALED)),
    "upscale/creative": (
        "Creative Upscaler",
        Shape(EDITS, limits=(UP_TO_A_MEGAPIXEL,), usual=_UPSCALED),
    ),
}
"""By id, with the name that the vendor's reference has for it."""

_SPELLED: Mapping[str, str] = {
    **{name.rpartition("/")[2]: name for name in _SERVICES},
    **{f"generate/{name}": name for name in ("ultra", "core")},
    **{f"stable-image-{name}": name for name in ("ultra", "core")},
}
"""Other spellings of ids: the last part of the path alone, the whole path, and the names that gateways have."""

_REDIRECTED = frozenset({"sd3-large", "sd3-large-turbo", "sd3-medium"})
_REDIRECTED_SINCE = date(2025, 4, 17)
"""Since then the vendor has these names answered by the models of the same names of 3.5."""

_DIFFUSION = re.compile(r"sd\d[\w.-]*", re.ASCII)
_ID = re.compile(r"(?!\.)[\w.-]+(?:/(?!\.)[\w.-]+)?", re.ASCII)


def shape_of(model_id: str) -> Shape:
    """Tell what the form of any model holds."""
    _, shape = _SERVICES.get(_plain(model_id), ("", None))
    return shape or (_SD if _DIFFUSION.fullmatch(model_id) else _STRANGER)


def find_model(model_id: str) -> Model:
    """Tell what is known of any id."""
    name, _ = _SERVICES.get(_plain(model_id), ("", None))
    redirected = model_id in _REDIRECTED
    return Model(
        id=model_id,
        capabilities=shape_of(model_id).able,
        display_name=name,
        known=bool(name) or redirected,
        retire_time=datetime.combine(_REDIRECTED_SINCE, time(), UTC) if redirected else None,
    )


def known_models() -> list[Model]:
    """List the models and services of the vendor's document. None has an announced end."""
    return [find_model(model_id) for model_id in _SERVICES]


def path_of(model_id: str) -> str:
    """Where a model is run.

    :raises ImageError: MODEL_NOT_FOUND: no model can have such a name
    """
    if not _ID.fullmatch(model_id):
        raise ImageError(Reason.MODEL_NOT_FOUND, "Stability AI has no model of such a name")
    if _DIFFUSION.fullmatch(model_id):
        return "/v2beta/stable-image/generate/sd3"
    path = _plain(model_id)
    return f"/v2beta/stable-image/{path if '/' in path else f'generate/{path}'}"


def model_field(model_id: str) -> str:
    """Tell by what a model of Stable Diffusion is told apart at its path; "" = it has a path of its own."""
    return model_id if _DIFFUSION.fullmatch(model_id) else ""


def _plain(model_id: str) -> str:
    return _SPELLED.get(model_id, model_id)
