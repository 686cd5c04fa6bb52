"""Models and their fields, as far as they are known without the vendor's list. Any id passes through.

Sources: the types of the endpoints in the vendor's package `@fal-ai/client` 1.10.1; what streams is told by endpoints
that end in /stream there, and by fal.ai/docs on streaming.
"""

import re
from collections.abc import Mapping

from .inputs import NAMED_SIZES, Inputs

_SIZES = " ".join(("square_hd", "square", *(name for name, _ in list(NAMED_SIZES.values())[1:])))
_RATIOS = "21:9 16:9 3:2 4:3 5:4 1:1 4:5 3:4 2:3 9:16"
_KONTEXT_RATIOS = "21:9 16:9 4:3 3:2 1:1 2:3 3:4 9:16 9:21"
_TWO, _THREE = "jpeg png", "jpeg png webp"
_MOST_IMAGES = 4
"""Of one request, of nearly all models that make several."""


def _takes(fields: str, required: str = "", *, pixels: bool = True, **values: str) -> Inputs:
    """Write the fields of a model: those without a list of values, those that must be there, and those with a list."""
    names = frozenset(["prompt", *fields.split(), *required.split(), *values])
    lists = {name: tuple(listed.split()) for name, listed in values.items()}
    most = _MOST_IMAGES if "num_images" in names else 1
    return Inputs(names, frozenset(["prompt", *required.split()]), lists, pixels, most)


_DRAWS = "num_images seed sync_mode"
_FLUX = _takes(_DRAWS, image_size=_SIZES, output_format=_TWO)
_FLUX_EDIT = _takes(_DRAWS, "image_url", output_format=_TWO)
_FLUX_PRO = _takes(_DRAWS, image_size=_SIZES, output_format=_TWO)
_KONTEXT = _takes(_DRAWS, aspect_ratio=_KONTEXT_RATIOS, output_format=_TWO)
_KONTEXT_EDIT = _takes(_DRAWS, "image_url", aspect_ratio=_KONTEXT_RATIOS, output_format=_TWO)
_KONTEXT_MULTI = _takes(_DRAWS, "image_urls", aspect_ratio=_KONTEXT_RATIOS, output_format=_TWO)
_ULTRA = _takes(f"image_url {_DRAWS}", aspect_ratio=_KONTEXT_RATIOS, output_format=_TWO)
_FILL = _takes(_DRAWS, "image_url mask_url", output_format=_TWO)
_FLUX_2 = _takes(_DRAWS, image_size=_SIZES, output_format=_THREE)
_FLUX_2_EDIT = _takes(_DRAWS, "image_urls", image_size=_SIZES, output_format=_THREE)
_FLUX_2_PRO = _takes("seed sync_mode", image_size=_SIZES, output_format=_TWO)
_FLUX_2_PRO_EDIT = _takes("seed sync_mode", "image_urls", image_size=f"auto {_SIZES}", output_format=_TWO)
_BANANA = _takes(_DRAWS, aspect_ratio=_RATIOS, output_format=_THREE)
_BANANA_EDIT = _takes(_DRAWS, "image_urls", aspect_ratio=f"auto {_RATIOS}", output_format=_THREE)
_BANANA_PRO = _takes(_DRAWS, aspect_ratio=f"auto {_RATIOS}", resolution="1K 2K 4K", output_format=_THREE)
_BANANA_PRO_EDIT = _takes(
    _DRAWS, "image_urls", aspect_ratio=f"auto {_RATIOS}", resolution="1K 2K 4K", output_format=_THREE
)
_SEEDREAM = _takes(_DRAWS, image_size=f"{_SIZES} auto_2K auto_4K")
_SEEDREAM_EDIT = _takes(_DRAWS, "image_urls", image_size=f"{_SIZES} auto_2K auto_4K")
_GPT = {"output_format": _THREE, "quality": "low medium high", "background": "auto transparent opaque"}
_GPT_SIZES = "1024x1024 1536x1024 1024x1536"
_GPT_IMAGE = _takes("num_images sync_mode", pixels=False, image_size=_GPT_SIZES, **_GPT)
_GPT_IMAGE_EDIT = _takes(
    "num_images sync_mode mask_image_url", "image_urls", pixels=False, image_size=f"auto {_GPT_SIZES}", **_GPT
)
_QWEN = _takes(f"negative_prompt {_DRAWS}", image_size=_SIZES, output_format=_TWO)
_QWEN_EDIT = _takes(f"negative_prompt {_DRAWS}", "image_urls", image_size=_SIZES, output_format=_THREE)
_QWEN_INPAINT = _takes(f"negative_prompt {_DRAWS}", "image_url mask_url", image_size=_SIZES, output_format=_TWO)
_RECRAFT = _takes("", image_size=_SIZES)
_IDEOGRAM = _takes(f"negative_prompt {_DRAWS}", image_size=_SIZES)
_IDEOGRAM_EDIT = _takes(_DRAWS, "image_url mask_url")
_SD35 = _takes(f"negative_prompt {_DRAWS}", image_size=_SIZES, output_format=_TWO)
_SDXL_INPAINT = _takes(f"negative_prompt {_DRAWS}", "image_url mask_url", image_size=_SIZES)
_Z_IMAGE = _takes(_DRAWS, image_size=_SIZES, output_format=_THREE)
_Z_IMAGE_INPAINT = _takes(_DRAWS, "image_url mask_image_url", image_size=f"auto {_SIZES}", output_format=_THREE)
_GROK = _takes(
    "num_images sync_mode", aspect_ratio="auto 1:1 16:9 4:3 3:4 9:16", resolution="1K 4K", output_format=_THREE
)

_KNOWN: Mapping[str, Inputs] = {
    "fal-ai/flux/dev": _FLUX,
    "fal-ai/flux/schnell": _FLUX,
    "fal-ai/flux/krea": _FLUX,
    "fal-ai/flux/dev/image-to-image": _FLUX_EDIT,
    "fal-ai/flux/krea/image-to-image": _FLUX_EDIT,
    "fal-ai/flux-lora": _FLUX,
    "fal-ai/flux-krea-lora": _FLUX,
    "fal-ai/flux-pro/v1.1": _FLUX_PRO,
    "fal-ai/flux-pro/v1.1-ultra": _ULTRA,
    "fal-ai/flux-pro/v1/fill": _FILL,
    "fal-ai/flux-pro/kontext": _KONTEXT_EDIT,
    "fal-ai/flux-pro/kontext/max": _KONTEXT_EDIT,
    "fal-ai/flux-pro/kontext/multi": _KONTEXT_MULTI,
    "fal-ai/flux-pro/kontext/text-to-image": _KONTEXT,
    "fal-ai/flux-2": _FLUX_2,
    "fal-ai/flux-2/flash": _FLUX_2,
    "fal-ai/flux-2/turbo": _FLUX_2,
    "fal-ai/flux-2/edit": _FLUX_2_EDIT,
    "fal-ai/flux-2-pro": _FLUX_2_PRO,
    "fal-ai/flux-2-flex": _FLUX_2_PRO,
    "fal-ai/flux-2-max": _FLUX_2_PRO,
    "fal-ai/flux-2-pro/edit": _FLUX_2_PRO_EDIT,
    "fal-ai/flux-2-flex/edit": _FLUX_2_PRO_EDIT,
    "fal-ai/flux-2-max/edit": _FLUX_2_PRO_EDIT,
    "fal-ai/nano-banana": _BANANA,
    "fal-ai/nano-banana/edit": _BANANA_EDIT,
    "fal-ai/nano-banana-pro": _BANANA_PRO,
    "fal-ai/nano-banana-pro/edit": _BANANA_PRO_EDIT,
    "fal-ai/bytedance/seedream/v4.5/text-to-image": _SEEDREAM,
    "fal-ai/bytedance/seedream/v4.5/edit": _SEEDREAM_EDIT,
    "fal-ai/gpt-image-1.5": _GPT_IMAGE,
    "fal-ai/gpt-image-1.5/edit": _GPT_IMAGE_EDIT,
    "fal-ai/qwen-image": _QWEN,
    "fal-ai/qwen-image-edit-2511": _QWEN_EDIT,
    "fal-ai/qwen-image-edit/inpaint": _QWEN_INPAINT,
    "fal-ai/recraft/v3/text-to-image": _RECRAFT,
    "fal-ai/recraft/v4/text-to-image": _RECRAFT,
    "fal-ai/ideogram/v3": _IDEOGRAM,
    "fal-ai/ideogram/v3/edit": _IDEOGRAM_EDIT,
    "fal-ai/stable-diffusion-v35-large": _SD35,
    "fal-ai/fast-sdxl/inpainting": _SDXL_INPAINT,
    "fal-ai/z-image/turbo": _Z_IMAGE,
    "fal-ai/z-image/turbo/inpaint": _Z_IMAGE_INPAINT,
    "xai/grok-imagine-image": _GROK,
}
"""Some of the vendor's models, for as long as its own list has not been read."""

_STREAMING = frozenset({"fal-ai/flux/dev", "fal-ai/flux/schnell", "fal-ai/flux-lora", "fal-ai/flux-krea-lora"})
"""Known to have a path /stream with pictures."""

_BY_RATIO = re.compile(r"nano-banana|kontext|imagen\d|grok-imagine|-ultra\b|ideogram/v2|/bria/|\bgemini")
"""Families that know ratios, where all others know named sizes and pixels."""

_MANY_IMAGES = re.compile(r"/edit\b|/multi\b|-edit-(?:\d|plus)|-2-lora-gallery/")
"""Names of models that take a list of images, where all others take one."""

_GUESSED_FORMATS = ("jpeg", "png")


def known_ids() -> tuple[str, ...]:
    """List the models that are known here."""
    return tuple(_KNOWN)


def known_inputs(model_id: str) -> Inputs:
    """Tell the fields of a model: those that are known, or those that most of its kind have."""
    return _KNOWN.get(model_id) or _guessed(model_id)


def known_to_stream(model_id: str) -> bool:
    """Tell whether a model is known to stream."""
    return model_id in _STREAMING


def _guessed(model_id: str) -> Inputs:
    images = "image_urls" if _MANY_IMAGES.search(model_id) else "image_url"
    values: dict[str, tuple[str, ...]] = {"output_format": _GUESSED_FORMATS}
    shape = "aspect_ratio" if _BY_RATIO.search(model_id) else "image_size"
    if shape == "image_size":
        values["image_size"] = tuple(_SIZES.split())
    return Inputs(
        frozenset({"prompt", "num_images", "seed", "mask_url", images, shape, *values}),
        frozenset(),
        values,
        most_images=None,
        guessed=True,
    )
