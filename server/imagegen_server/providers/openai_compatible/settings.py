"""How servers that speak as OpenAI's Images API differ from it, what is known of some, and the keys of a table.

Sources, each for what is said of it: docs.together.ai and the package `together`; recraft.ai/docs and the request
classes of ComfyUI's nodes for it; deepinfra.com's pages of models and @ai-sdk/deepinfra; `core/http/endpoints/openai`
of github.com/mudler/LocalAI; `multimodal_gen/runtime/entrypoints/openai` of github.com/sgl-project/sglang; the pages on
serving and `entrypoints/openai` of github.com/vllm-project/vllm-omni; `examples/server/routes_openai.cpp` of
github.com/leejet/stable-diffusion.cpp.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar, Literal

from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.task import Options

Way = Literal["form", "json"]
Dialect = Literal["openai", "together", "recraft", "deepinfra", "localai", "sglang", "vllm-omni", "sd-server"]

_OPTIONS = frozenset(Options.__slots__) - {"count", "preview_count"}
_PATHS = ("edit_path", "mask_path")
BY_ANY_NAME: Mapping[str, str] = {"quality": "quality", "background": "background"}
_FORMAT: Mapping[str, str] = {"format": "output_format"}
_COMPRESSION: Mapping[str, str] = {"compression": "output_compression"}
_DIFFUSION: Mapping[str, str] = {"seed": "seed", "negative_prompt": "negative_prompt"}


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What one model can do, as far as it differs from the others of its server; see Capabilities. None = as they.

    :raises ValueError: an option that is none
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    generate: bool | None = None
    edit: bool | None = None
    mask: bool | None = None
    max_images: int | None = None
    max_input_images: int | None = None
    options: tuple[str, ...] | None = None
    sizes: tuple[str, ...] = ()
    aspect_ratios: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        if unknown := sorted(set(self.options or ()) - _OPTIONS):
            raise ValueError(f"options: {unknown[0]!r} is none; there are {', '.join(sorted(_OPTIONS))}")


@dataclass(frozen=True, slots=True)
class Switches:
    """What a server wants and gives.

    `size`: a size is sent as "size": "WxH", as "width" and "height", or not at all. `options` are the other options
    that are sent, with the field of each; of an edit, or of one with a mask, those of `edit_options` or `mask_options`
    alone (None = all of them; "size" may be among them). `response_format` "" = not sent.
    `edits`: images go as files of a form, as JSON, or not at all, to `edit_path`, under `image_field`, or several under
    `images_field` ("" = the same); in JSON as `image_form` says. An edit with a mask goes in the way that
    `mask_edits` tells, if it is said, the mask under `mask_field`; one that has a `mask_path` of its own has one image,
    under `mask_image_field` ("" = as ever). `mask` tells what of it the server edits.
    `edit_defaults` are fields of edits without a mask that params may change; `body` are fields of every request that
    they may not.
    `in_prompt`: what the server reads out of the prompt: a negative prompt behind "|", or settings in a tag.
    `max_images` in one request, None = 1, with a mask `mask_max_images`; `max_input_images` None = unknown.
    `streaming`: it streams previews as OpenAI does. `list_models`: GET /models lists its models; `models` are known.
    `credits_per_usd`: it tells what a request cost in `credits`; 0 = it does not.
    """

    base_url: str = ""
    size: Literal["size", "width_height", "none"] = "size"
    options: Mapping[str, str] = field(default_factory=lambda: {**BY_ANY_NAME, **_FORMAT, **_COMPRESSION})
    edit_options: tuple[str, ...] | None = None
    mask_options: tuple[str, ...] | None = None
    response_format: str = "b64_json"
    edits: Literal["form", "json", "none"] = "form"
    edit_path: str = "/images/edits"
    edit_defaults: JsonObject = field(default_factory=dict)
    image_field: str = "image"
    images_field: str = "image[]"
    image_form: Literal["data_url", "base64", "object"] = "data_url"
    mask: Literal["transparent", "white", "black", "none"] = "transparent"
    mask_edits: Literal["form", "json", ""] = ""
    mask_field: str = "mask"
    mask_path: str = ""
    mask_image_field: str = ""
    in_prompt: Literal["nothing", "negative_prompt", "settings"] = "nothing"
    body: JsonObject = field(default_factory=dict)
    max_images: int | None = None
    mask_max_images: int | None = None
    max_input_images: int | None = None
    streaming: bool = False
    list_models: bool = False
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    credits_per_usd: float = 0.0

    def way_of_edit(self, *, masked: bool) -> Way | None:
        """Tell how images are sent; None = not at all."""
        way = (self.mask_edits or self.edits) if masked else self.edits
        return None if way == "none" else way


_RATIOS = ("1:1", "2:1", "1:2", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "6:10", "14:10", "10:14", "16:9", "9:16")
_SIZES = (
    *("1024x1024", "1536x768", "768x1536", "1280x832", "832x1280", "1216x896", "896x1216"),
    *("1152x896", "896x1152", "832x1344", "1280x896", "896x1280", "1344x768", "768x1344"),
)
_FOURTH = ModelSettings(options=("size", "aspect_ratio", "seed"), aspect_ratios=_RATIOS)
_FOURTH_OF_1K = replace(_FOURTH, sizes=_SIZES)
_THIRD = ModelSettings(edit=True, mask=True)
_RECRAFT: Mapping[str, ModelSettings] = {
    "recraftv4_1": _FOURTH_OF_1K,
    "recraftv4_1_flash": _FOURTH_OF_1K,
    "recraftv4_1_utility": _FOURTH_OF_1K,
    **dict.fromkeys(("recraftv4_1_pro", "recraftv4_1_utility_pro"), _FOURTH),
    **dict.fromkeys(("recraftv4_1_vector", "recraftv4_1_pro_vector"), _FOURTH),
    "recraftv4": replace(_FOURTH_OF_1K, edit=True, mask=True),
    **dict.fromkeys(("recraftv4_pro", "recraftv4_vector", "recraftv4_pro_vector"), _FOURTH),
    **dict.fromkeys(("recraftv3", "recraftv3_vector"), _THIRD),
    **dict.fromkeys(("recraftv2", "recraftv2_vector"), ModelSettings()),
}
"""Of the fourth generation negative prompts are not known; what is not said of edits and masks is not known to us."""

PRESETS: Mapping[str, Switches] = {
    "openai": Switches(),
    "together": Switches(
        base_url="https://api.together.ai/v1",
        size="width_height",
        options={**_FORMAT, **_DIFFUSION},
        response_format="base64",
        edits="json",
        edit_path="/images/generations",
        image_field="image_url",
        images_field="reference_images",
        mask="none",
        max_images=4,
        list_models=True,
    ),
    "recraft": Switches(
        base_url="https://external.api.recraft.ai/v1",
        # A ratio stands where a size does.
        options={"aspect_ratio": "size", "negative_prompt": "negative_prompt", "seed": "random_seed"},
        edit_options=("negative_prompt", "seed"),
        mask_options=("negative_prompt", "seed"),
        edit_path="/images/imageToImage",
        # How far a picture may be from the one that was given, 0 to 1; the vendor has no default.
        edit_defaults={"strength": 0.5},
        mask="white",
        mask_path="/images/inpaint",
        max_images=6,
        max_input_images=1,
        models=_RECRAFT,
        credits_per_usd=1000.0,
    ),
    "deepinfra": Switches(base_url="https://api.deepinfra.com/v1/openai", options={}),
    "localai": Switches(
        options=_DIFFUSION,
        mask_options=(),
        edits="json",
        edit_path="/images/generations",
        image_field="file",
        images_field="ref_images",
        image_form="base64",
        mask="white",
        mask_edits="form",
        mask_path="/images/inpainting",
        mask_image_field="image",
        mask_max_images=1,
        in_prompt="negative_prompt",
        max_images=10,
        list_models=True,
    ),
    "sglang": Switches(
        options={"background": "background", **_FORMAT, **_COMPRESSION, **_DIFFUSION},
        mask="none",
        max_images=10,
        list_models=True,
    ),
    "vllm-omni": Switches(
        options={**_FORMAT, **_DIFFUSION},
        mask="white",
        mask_field="mask_image",
        max_images=10,
        list_models=True,
    ),
    "sd-server": Switches(
        options={**_FORMAT, **_COMPRESSION, **_DIFFUSION},
        response_format="",
        image_field="image[]",
        mask="white",
        in_prompt="settings",
        max_images=8,
        list_models=True,
    ),
}
"""What is known of some, by the value of `dialect`. "openai" is what is left when nothing is said."""


@dataclass(frozen=True, slots=True)
class CompatibleSettings:
    """The keys of the table: a preset, and what is to be different; see Switches. None = as the preset says.

    :raises ValueError: an option or a path that is none
    """

    dialect: Dialect = "openai"
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    size: Literal["size", "width_height", "none"] | None = None
    options: Mapping[str, str] | None = None
    edit_options: tuple[str, ...] | None = None
    mask_options: tuple[str, ...] | None = None
    response_format: str | None = None
    edits: Literal["form", "json", "none"] | None = None
    edit_path: str | None = None
    edit_defaults: Mapping[str, object] | None = None
    image_field: str | None = None
    images_field: str | None = None
    image_form: Literal["data_url", "base64", "object"] | None = None
    mask: Literal["transparent", "white", "black", "none"] | None = None
    mask_edits: Literal["form", "json", ""] | None = None
    mask_field: str | None = None
    mask_path: str | None = None
    mask_image_field: str | None = None
    in_prompt: Literal["nothing", "negative_prompt", "settings"] | None = None
    body: Mapping[str, object] | None = None
    max_images: int | None = None
    mask_max_images: int | None = None
    max_input_images: int | None = None
    streaming: bool | None = None
    list_models: bool | None = None
    credits_per_usd: float | None = None

    def __post_init__(self) -> None:
        """Check what would otherwise fail later."""
        allowed = {"options": _OPTIONS - {"size"}, "edit_options": _OPTIONS, "mask_options": _OPTIONS}
        for name, known in allowed.items():
            if unknown := sorted(set(getattr(self, name) or ()) - known):
                raise ValueError(f"{name}: {unknown[0]!r} is none; there are {', '.join(sorted(known))}")
        for name in ("max_images", "mask_max_images", "max_input_images"):
            if (most := getattr(self, name)) is not None and most < 1:
                raise ValueError(f"{name}: at least 1")
        if (self.credits_per_usd or 0) < 0:
            raise ValueError("credits_per_usd: at least 0")
        for name in ("body", "edit_defaults"):
            try:
                json.dumps(getattr(self, name), allow_nan=False)
            except (TypeError, ValueError):
                raise ValueError(f"{name}: holds what JSON does not have, such as a date") from None
        for name in _PATHS:
            path = getattr(self, name)
            if path and not path.startswith("/"):
                raise ValueError(f"{name}: begins with a slash, such as /images/edits")

    def switches(self) -> Switches:
        """Tell all of them: what is said here, else what the preset says."""
        said = {
            item.name: value
            for item in fields(Switches)
            if item.name not in ("base_url", "models") and (value := getattr(self, item.name)) is not None
        }
        return replace(PRESETS[self.dialect], **said)


def base_url_of(settings: CompatibleSettings) -> str:
    """Tell where a hosted vendor is; "" = the table must say it."""
    return PRESETS[settings.dialect].base_url


def key_required(settings: CompatibleSettings) -> bool:
    """Tell whether there is no way without a key: hosted vendors want one, servers of one's own may."""
    return bool(PRESETS[settings.dialect].base_url)
