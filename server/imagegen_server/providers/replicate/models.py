"""Models and their inputs, as far as they are known without asking the vendor. Any id passes through.

Sources: the pages of these models at replicate.com, and what projects that use them send. The vendor's own documents
count as soon as they have been read.
"""

from collections.abc import Mapping
from dataclasses import replace

from .inputs import Inputs

_FORMATS, _TWO_FORMATS = "webp jpg png", "jpg png"
_FLUX_RATIOS = "1:1 16:9 21:9 3:2 2:3 4:5 5:4 3:4 4:3 9:16 9:21"
_KONTEXT_RATIOS = "match_input_image 1:1 16:9 9:16 4:3 3:4 3:2 2:3 4:5 5:4 21:9 9:21 2:1 1:2"
_FLUX_2_RATIOS = "match_input_image custom 1:1 16:9 3:2 2:3 4:5 5:4 9:16 3:4 4:3"
_BANANA_RATIOS = "match_input_image 1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9"
_SEEDREAM_RATIOS = "match_input_image 1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9"


def _takes(
    fields: str, required: str = "", *, lists: str = "", most: Mapping[str, int] | None = None, **values: str
) -> Inputs:
    """Write the inputs of a model: those without a list of values, those that must be there, and those with a list.

    Values stand between blanks, or between commas where they hold some.
    """
    names = frozenset(["prompt", *fields.split(), *required.split(), *lists.split(), *values])
    spelled = {name: tuple(listed.split(", " if ", " in listed else None)) for name, listed in values.items()}
    return Inputs(names, frozenset(["prompt", *required.split()]), spelled, frozenset(lists.split()), most or {})


def _flux_2(most_images: int) -> Inputs:
    return _takes(
        "width height seed output_quality",
        lists="input_images",
        most={"input_images": most_images},
        aspect_ratio=_FLUX_2_RATIOS,
        resolution="match_input_image, 0.5 MP, 1 MP, 2 MP, 4 MP",
        output_format=_FORMATS,
    )


_FLUX = _takes(
    "num_outputs seed output_quality",
    most={"num_outputs": 4},
    aspect_ratio=_FLUX_RATIOS,
    megapixels="1 0.25",
    output_format=_FORMATS,
)
_FLUX_DEV = _takes(
    "image num_outputs seed output_quality",
    most={"num_outputs": 4},
    aspect_ratio=_FLUX_RATIOS,
    megapixels="1 0.25",
    output_format=_FORMATS,
)
_FLUX_PRO = _takes(
    "image_prompt width height seed output_quality",
    aspect_ratio=f"custom {_FLUX_RATIOS.replace('21:9 ', '').replace(' 9:21', '')}",
    output_format=_FORMATS,
)
_ULTRA = _takes("image_prompt seed", aspect_ratio=_FLUX_RATIOS, output_format=_TWO_FORMATS)
_FILL = _takes("mask seed", "image", output_format=_TWO_FORMATS)
_KONTEXT = _takes("input_image seed", aspect_ratio=_KONTEXT_RATIOS, output_format=_TWO_FORMATS)
_BANANA = _takes("", lists="image_input", aspect_ratio=_BANANA_RATIOS, output_format=_TWO_FORMATS)
_BANANA_PRO = _takes(
    "",
    lists="image_input",
    most={"image_input": 14},
    aspect_ratio=_BANANA_RATIOS,
    resolution="1K 2K 4K",
    output_format=_TWO_FORMATS,
)


def _seedream(sizes: str, most_images: int) -> Inputs:
    return _takes(
        "width height",
        lists="image_input",
        most={"image_input": most_images},
        aspect_ratio=_SEEDREAM_RATIOS,
        size=sizes,
    )


_GPT_IMAGE = _takes(
    "number_of_images output_compression",
    lists="input_images",
    most={"number_of_images": 10},
    aspect_ratio="1:1 3:2 2:3",
    quality="auto low medium high",
    background="auto transparent opaque",
    output_format="webp png jpeg",
)
_IDEOGRAM = replace(
    _takes("image mask seed", aspect_ratio="1:3 3:1 1:2 2:1 9:16 16:9 10:16 16:10 2:3 3:2 3:4 4:3 4:5 5:4 1:1"),
    black_mask=True,
)
_QWEN = _takes(
    "negative_prompt seed output_quality", aspect_ratio="1:1 16:9 9:16 4:3 3:4 3:2 2:3", output_format=_FORMATS
)
_QWEN_EDIT = _takes("seed output_quality", "image", output_format=_FORMATS)
_SD_35 = _takes(
    "image negative_prompt seed output_quality",
    aspect_ratio=_FLUX_RATIOS,
    output_format=_FORMATS,
)

_KNOWN: Mapping[str, Inputs] = {
    "black-forest-labs/flux-2-max": _flux_2(8),
    "black-forest-labs/flux-2-pro": _flux_2(8),
    "black-forest-labs/flux-2-flex": _flux_2(10),
    "black-forest-labs/flux-kontext-max": _KONTEXT,
    "black-forest-labs/flux-kontext-pro": _KONTEXT,
    "black-forest-labs/flux-1.1-pro-ultra": _ULTRA,
    "black-forest-labs/flux-1.1-pro": _FLUX_PRO,
    "black-forest-labs/flux-dev": _FLUX_DEV,
    "black-forest-labs/flux-schnell": _FLUX,
    "black-forest-labs/flux-fill-pro": _FILL,
    "google/nano-banana": _BANANA,
    "google/nano-banana-pro": _BANANA_PRO,
    "bytedance/seedream-4": _seedream("1K 2K 4K custom", 10),
    "bytedance/seedream-4.5": _seedream("2K 4K custom", 14),
    "openai/gpt-image-1.5": _GPT_IMAGE,
    "ideogram-ai/ideogram-v3-turbo": _IDEOGRAM,
    "ideogram-ai/ideogram-v3-balanced": _IDEOGRAM,
    "ideogram-ai/ideogram-v3-quality": _IDEOGRAM,
    "qwen/qwen-image": _QWEN,
    "qwen/qwen-image-edit": _QWEN_EDIT,
    "stability-ai/stable-diffusion-3.5-large": _SD_35,
}
"""Some of the vendor's models, for as long as its own documents have not been read."""

_GUESSED = replace(
    _takes(
        "width height num_outputs seed negative_prompt aspect_ratio output_quality image mask", output_format=_FORMATS
    ),
    required=frozenset(),
    public=False,
    guessed=True,
)
"""What most authors call their inputs. It is used where the model cannot be asked."""


def known_ids() -> tuple[str, ...]:
    """List the models that are known here."""
    return tuple(_KNOWN)


def known_inputs(model_id: str) -> Inputs:
    """Tell the inputs of a model: those that are known, or those that most models have."""
    return _KNOWN.get(model_id, _GUESSED)
