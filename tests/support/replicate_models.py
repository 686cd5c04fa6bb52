"""The models that the fake of Replicate has: their OpenAPI documents, as Cog writes them."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
"""The version of every official model."""

_URI = {"type": "string", "format": "uri"}
_FLUX_RATIOS = ["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"]
_MATCHING = ["match_input_image", "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4", "21:9"]


def _enum(*values: str) -> dict[str, Any]:
    return {"enum": list(values), "type": "string"}


def _several(most: int | None = None) -> dict[str, Any]:
    return {"type": "array", "items": _URI, "default": []} | ({"maxItems": most} if most else {})


def _number(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


@dataclass(frozen=True)
class FakeModel:
    """One model. `several`: its output is a list; `steps`: it hands over so many pictures, one by one, for one."""

    properties: dict[str, Any]
    required: tuple[str, ...] = ("prompt",)
    several: bool = False
    steps: int = 0
    document_listed: bool = True
    visibility: str = "public"
    seeds: bool = True

    @property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document of its version: enumerations stand apart, and are referred to."""
        apart = {name: {**shape, "title": name} for name, shape in self.properties.items() if "enum" in shape}
        shapes = {
            name: {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "x-order": order}
            if name in apart
            else {**shape, "title": name, "x-order": order}
            for order, (name, shape) in enumerate(self.properties.items())
        }
        output: dict[str, Any] = {**_URI, "title": "Output"}
        if self.several or self.steps:
            output = {"type": "array", "items": _URI, "title": "Output"}
        if self.steps:
            output |= {"x-cog-array-type": "iterator"}
        schemas = {
            "Input": {
                "type": "object",
                "title": "Input",
                "required": list(self.required),
                "properties": shapes,
                "additionalProperties": False,
            },
            "Output": output,
            **apart,
        }
        return {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}, "components": {"schemas": schemas}}


_FLUX: dict[str, Any] = {
    "prompt": {"type": "string"},
    "aspect_ratio": _enum(*_FLUX_RATIOS),
    "num_outputs": _number(1, 4),
    "num_inference_steps": _number(1, 50),
    "seed": {"type": "integer"},
    "output_format": _enum("webp", "jpg", "png"),
    "output_quality": _number(0, 100),
    "disable_safety_checker": {"type": "boolean"},
    "go_fast": {"type": "boolean"},
    "megapixels": _enum("1", "0.25"),
}
_FLUX_2: dict[str, Any] = {
    "prompt": {"type": "string"},
    "input_images": _several(8),
    "aspect_ratio": _enum("match_input_image", "custom", *_FLUX_RATIOS[:2], "3:2", "2:3", "4:3", "3:4", "9:16"),
    "resolution": _enum("match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"),
    "width": _number(256, 2048),
    "height": _number(256, 2048),
    "safety_tolerance": _number(1, 5),
    "seed": {"type": "integer"},
    "output_format": _enum("webp", "jpg", "png"),
    "output_quality": _number(0, 100),
}
_KONTEXT: dict[str, Any] = {
    "prompt": {"type": "string"},
    "input_image": _URI,
    "aspect_ratio": _enum(*_MATCHING),
    "seed": {"type": "integer"},
    "output_format": _enum("jpg", "png"),
}
_FILL: dict[str, Any] = {
    "prompt": {"type": "string"},
    "image": _URI,
    "mask": {**_URI, "description": "White areas are painted, black areas are kept."},
    "steps": _number(15, 50),
    "seed": {"type": "integer"},
    "output_format": _enum("jpg", "png"),
}
_SEEDREAM: dict[str, Any] = {
    "prompt": {"type": "string"},
    "image_input": _several(14),
    "size": _enum("2K", "4K", "custom"),
    "aspect_ratio": _enum(*_MATCHING),
    "width": _number(1024, 4096),
    "height": _number(1024, 4096),
    "max_images": _number(1, 15),
}
_GPT: dict[str, Any] = {
    "prompt": {"type": "string"},
    "input_images": _several(),
    "aspect_ratio": _enum("1:1", "3:2", "2:3"),
    "quality": _enum("low", "medium", "high", "auto"),
    "background": _enum("auto", "transparent", "opaque"),
    "number_of_images": _number(1, 10),
    "output_format": _enum("png", "jpeg", "webp"),
    "output_compression": _number(0, 100),
}
_IDEOGRAM: dict[str, Any] = {
    "prompt": {"type": "string"},
    "image": _URI,
    "mask": {**_URI, "description": "An image in which black pixels are inpainted, and the others stay as they are."},
    "aspect_ratio": _enum("1:1", "16:9", "9:16"),
    "resolution": _enum("None", "512x1536", "1536x512"),
    "seed": {"type": "integer"},
}
_QWEN: dict[str, Any] = {
    "prompt": {"type": "string"},
    "negative_prompt": {"type": "string"},
    "aspect_ratio": _enum("1:1", "16:9", "9:16"),
    "seed": {"type": "integer"},
    "output_format": _enum("webp", "jpg", "png"),
    "output_quality": _number(0, 100),
}
_BANANA: dict[str, Any] = {
    "prompt": {"type": "string"},
    "image_input": _several(14),
    "aspect_ratio": _enum(*_MATCHING),
    "resolution": _enum("1K", "2K", "4K"),
    "output_format": _enum("jpg", "png"),
}
_TWO_IMAGES: dict[str, Any] = {
    "prompt": {"type": "string"},
    "input_image_1": _URI,
    "input_image_2": _URI,
    "seed": {"type": "integer"},
}
_UPSCALER: dict[str, Any] = {"image": _URI, "scale": _number(1, 4)}
_DIFFUSION: dict[str, Any] = {
    "prompt": {"type": "string"},
    "width": _enum("512", "768"),
    "seed": {"type": "integer"},
    "guidance_scale": {"type": "number"},
}

MODELS: dict[str, FakeModel] = {
    "black-forest-labs/flux-schnell": FakeModel(_FLUX, several=True),
    "black-forest-labs/flux-2-pro": FakeModel(_FLUX_2),
    "black-forest-labs/flux-kontext-pro": FakeModel(_KONTEXT),
    "black-forest-labs/flux-fill-pro": FakeModel(_FILL, ("prompt", "image")),
    "bytedance/seedream-4.5": FakeModel(_SEEDREAM, several=True, seeds=False),
    "google/nano-banana-pro": FakeModel(_BANANA, seeds=False),
    "openai/gpt-image-1.5": FakeModel(_GPT, several=True, seeds=False),
    "ideogram-ai/ideogram-v3-turbo": FakeModel(_IDEOGRAM),
    "qwen/qwen-image": FakeModel(_QWEN, several=True),
    "someone/two-images": FakeModel(_TWO_IMAGES, ("prompt", "input_image_1", "input_image_2"), document_listed=False),
    "someone/upscaler": FakeModel(_UPSCALER, ("image",)),
    "someone/diffusion": FakeModel(_DIFFUSION, steps=3),
    "someone/secret": FakeModel(_QWEN, visibility="private"),
}
COLLECTIONS: dict[str, tuple[str, ...]] = {
    "text-to-image": (
        "black-forest-labs/flux-schnell",
        "black-forest-labs/flux-2-pro",
        "openai/gpt-image-1.5",
        "someone/diffusion",
    ),
    "image-editing": ("black-forest-labs/flux-2-pro", "someone/two-images", "someone/upscaler"),
}
"""What the vendor's collections name; the other models are there all the same."""


def version_of(model_id: str) -> str:
    """Tell the only version of a model."""
    return VERSION if is_official(model_id) else sha256(model_id.encode()).hexdigest()


def is_official(model_id: str) -> bool:
    """Tell whether a model has a path of its own for predictions."""
    return not model_id.startswith("someone/")


def model_body(model_id: str, *, listed: bool = False) -> dict[str, Any]:
    """Write what the vendor says of a model."""
    owner, name = model_id.split("/")
    model = MODELS[model_id]
    known = not listed or model.document_listed
    return {
        "url": f"https://replicate.com/{model_id}",
        "owner": owner,
        "name": name,
        "description": f"Draws as {name} does.",
        "visibility": model.visibility,
        "is_official": is_official(model_id),
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 5612,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": version_body(model_id) if known else None,
    }


def version_body(model_id: str) -> dict[str, Any]:
    """Write what the vendor says of the only version of a model."""
    return {
        "id": version_of(model_id),
        "created_at": "2026-03-21T13:01:04.418669Z",
        "cog_version": "0.16.8",
        "openapi_schema": MODELS[model_id].document,
    }
