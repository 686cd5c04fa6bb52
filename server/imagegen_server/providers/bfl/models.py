"""Models: what each can do, and what its body holds. Any id passes through: the vendor has no list to ask for.

Sources: the paths and schemas of the vendor's OpenAPI document, and docs.bfl.ai on FLUX.2 and FLUX 3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason

from .sizes import Grid

PARAM_OPTIONS: Mapping[str, str] = {
    "seed": "seed",
    "output_format": "format",
    "aspect_ratio": "aspect_ratio",
    "resolution": "resolution",
}
"""The vendor's fields that say what an option says, by that option."""

SIDES = ("top", "bottom", "left", "right")
"""Fields of which one must be more than 0: by how many pixels a picture grows there."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A model: what it can do, and the fields of its body besides those of options.

    `images` names the fields of its input images, `listed` the one field for all of them; an edit has at least
    `least_images`. `grid`: sizes are said in pixels, and are these. `needed` names params of which one must be there.
    `prompt`: there is such a field. `mask_needed`, `size_needed`: it does nothing without; `alpha_masks`: transparency
    of the image will do. `least_side` and `most_pixels` are those of an input image; None = nothing is said of it.
    """

    able: Capabilities
    images: tuple[str, ...] = ()
    listed: str = ""
    least_images: int = 1
    grid: Grid | None = None
    needed: tuple[str, ...] = ()
    prompt: bool = True
    mask_needed: bool = False
    alpha_masks: bool = False
    size_needed: bool = False
    least_side: int | None = None
    most_pixels: int | None = None


def _inputs(most: int) -> tuple[str, ...]:
    return ("input_image", *(f"input_image_{number}" for number in range(2, most + 1)))


INPUT_FIELDS = (*_inputs(10), "input_image_blob_path", "images", "image", "mask", "image_prompt", "person", "garment")
"""Every field of any model that holds an input image."""

_FORMATS = ("jpeg", "png", "webp")
_UNKNOWN = Capabilities(
    streaming=False,
    max_images=1,
    max_input_images=8,
    # There is a field for previews, and nothing is said of when it is filled.
    previews=PreviewSupport.UNKNOWN,
    options=frozenset({"size", *PARAM_OPTIONS.values()}),
)
_BOTH = replace(_UNKNOWN, generate=True, edit=True, mask=False, formats=_FORMATS)
_PIXELS = replace(_BOTH, resolutions=("1K", "2K"))
_RATIO = replace(_BOTH, options=frozenset({"aspect_ratio", "seed", "format"}))
_TOOL = replace(_BOTH, generate=False, max_input_images=1, options=frozenset({"seed", "format"}))
_WITHOUT_WORDS = replace(_TOOL, edits_without_words=True)
_FLUX_3 = Capabilities(
    generate=True,
    streaming=False,
    edit=True,
    max_images=1,
    max_input_images=10,
    mask=False,
    previews=PreviewSupport.UNKNOWN,
    options=frozenset({"aspect_ratio", "resolution"}),
    aspect_ratios=(
        *("auto", "21:9", "2:1", "16:9", "3:2", "7:5", "4:3", "5:4", "1:1"),
        *("4:5", "3:4", "5:7", "2:3", "9:16", "1:2", "9:21"),
    ),
    resolutions=("768sq", "1K", "1.5K", "2K", "4K"),
)

_FLUX_2_GRID = Grid(step=16, least=64, most_pixels=2048 * 2048)
_FLUX_1_GRID = Grid(step=32, least=256, longest=1440)
_FLUX_2 = Shape(_PIXELS, _inputs(8), grid=_FLUX_2_GRID)
_REDUX = Shape(
    replace(_BOTH, max_input_images=1, edits_without_words=True, resolutions=("1K",)),
    ("image_prompt",),
    grid=_FLUX_1_GRID,
)
_ULTRA = Shape(replace(_RATIO, max_input_images=1, edits_without_words=True), ("image_prompt",))
_FILL = Shape(replace(_WITHOUT_WORDS, mask=True), ("image",), mask_needed=True, alpha_masks=True)
_STRANGER = Shape(_UNKNOWN, _inputs(8))
_VIDEO = Shape(Capabilities(generate=False, edit=False, streaming=False))

_FAMILIES: tuple[tuple[str, Shape], ...] = (
    (r"flux-3-image", Shape(_FLUX_3, listed="images", least_side=256, most_pixels=16_000_000)),
    (r".*video.*", _VIDEO),
    (r"flux-2-klein-.*", replace(_FLUX_2, able=replace(_PIXELS, max_input_images=4), images=_inputs(4))),
    (r"flux-2-.*", _FLUX_2),
    (r"flux-kontext-.*", Shape(replace(_RATIO, max_input_images=4), _inputs(4))),
    (r"flux-pro-1\.1-ultra", _ULTRA),
    (r"flux-pro-1\.1-ultra-finetuned", replace(_ULTRA, needed=("finetune_id",))),
    (r"flux-pro-1\.1|flux-dev", _REDUX),
    (r"flux-pro-1\.0-fill", _FILL),
    (r"flux-pro-1\.0-fill-finetuned", replace(_FILL, needed=("finetune_id",))),
    (r"flux-pro-1\.0-expand", Shape(_WITHOUT_WORDS, ("image",), needed=SIDES)),
    (
        r"flux-tools/outpainting-v\d+",
        Shape(
            replace(_WITHOUT_WORDS, options=frozenset({"size", "format"})),
            ("input_image",),
            grid=Grid(step=1, least=64),
            size_needed=True,
        ),
    ),
    (
        r"flux-tools/erase-v\d+",
        Shape(replace(_WITHOUT_WORDS, mask=True), ("image",), prompt=False, mask_needed=True),
    ),
    (r"flux-tools/deblur-v\d+", Shape(_WITHOUT_WORDS, ("image",), prompt=False)),
    (r"flux-tools/vto-v\d+", Shape(replace(_TOOL, max_input_images=2), ("person", "garment"), least_images=2)),
)
"""By a pattern of the whole id; the first that matches counts."""

_KNOWN: Mapping[str, str] = {
    "flux-3-image": "FLUX 3 Image",
    "flux-2-max": "FLUX.2 [max]",
    "flux-2-pro": "FLUX.2 [pro]",
    "flux-2-pro-preview": "FLUX.2 [pro] (preview)",
    "flux-2-flex": "FLUX.2 [flex]",
    "flux-2-klein-9b": "FLUX.2 [klein] 9B",
    "flux-2-klein-9b-preview": "FLUX.2 [klein] 9B (preview)",
    "flux-2-klein-4b": "FLUX.2 [klein] 4B",
    "flux-kontext-max": "FLUX.1 Kontext [max]",
    "flux-kontext-pro": "FLUX.1 Kontext [pro]",
    "flux-pro-1.1-ultra": "FLUX1.1 [pro] ultra",
    "flux-pro-1.1": "FLUX1.1 [pro]",
    "flux-dev": "FLUX.1 [dev]",
    "flux-pro-1.0-fill": "FLUX.1 Fill [pro]",
    "flux-pro-1.0-expand": "FLUX.1 Expand [pro]",
    "flux-tools/outpainting-v1": "Outpainting",
    "flux-tools/erase-v1": "Erase",
    "flux-tools/deblur-v1": "Deblur",
    "flux-tools/vto-v1": "Virtual try-on v1",
    "flux-tools/vto-v2": "Virtual try-on v2",
}
"""The models of the document that make pictures for every account, by their names there. None has an announced end."""

_ID = re.compile(r"(?!\.)[\w.-]+(?:/(?!\.)[\w.-]+)?", re.ASCII)
_NO_MODELS = re.compile(r"(?:credits|get_result|(?:my_)?finetunes?|(?:delete_)?finetune(?:_details)?|licenses)(?:/.*)?")
"""Other paths of the API: some delete, train or report something that costs."""


def shape_of(model_id: str) -> Shape:
    """Tell what the body of any model holds."""
    return next((shape for pattern, shape in _FAMILIES if re.fullmatch(pattern, model_id)), _STRANGER)


def find_model(model_id: str) -> Model:
    """Tell what is known of any id."""
    name = _KNOWN.get(model_id)
    return Model(model_id, shape_of(model_id).able, name or "", known=name is not None)


def known_models() -> list[Model]:
    """List the models that make pictures for every account."""
    return [find_model(model_id) for model_id in _KNOWN]


def path_of(model_id: str) -> str:
    """Where a model is run.

    :raises ImageError: MODEL_NOT_FOUND: no model can have such a name
    """
    if not _ID.fullmatch(model_id) or _NO_MODELS.fullmatch(model_id):
        raise ImageError(Reason.MODEL_NOT_FOUND, "Black Forest Labs has no model of such a name")
    return f"/v1/{model_id}"
