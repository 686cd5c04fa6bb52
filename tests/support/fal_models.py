"""The models that the fake of fal.ai has: their fields as JSON Schema, as the vendor's OpenAPI documents have them."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

PAGE = 2
"""Models on a page of the list."""

LISTED = (
    "fal-ai/of-tomorrow",
    "fal-ai/of-tomorrow/stream",
    "someone/painter",
    "fal-ai/flux-2/edit",
    "someone/cutter",
)
"""What the list names; the other models are there all the same."""

_NAMES = ["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]
_URLS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
IMAGE_SIZE = {
    "type": "object",
    "properties": {
        "width": {"type": "integer", "minimum": 1, "maximum": 14142},
        "height": {"type": "integer", "minimum": 1, "maximum": 14142},
    },
    "required": ["width", "height"],
    "additionalProperties": False,
}


def _strings(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def _size(*more: str) -> dict[str, Any]:
    return {"anyOf": [{"$ref": "#/components/schemas/ImageSize"}, _strings(*_NAMES, *more)]}


_URL = {"type": "string"}
_FLUX: dict[str, Any] = {
    "prompt": {"type": "string"},
    "num_images": {"type": "integer", "minimum": 1, "maximum": 4},
    "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "sync_mode": {"type": "boolean"},
    "output_format": _strings("jpeg", "png"),
    "num_inference_steps": {"type": "integer", "minimum": 1, "maximum": 50},
    "guidance_scale": {"type": "number", "minimum": 1, "maximum": 20},
    "enable_safety_checker": {"type": "boolean"},
}
_SOME = {name: _FLUX[name] for name in ("prompt", "num_images", "seed", "sync_mode")}
_FLUX_2 = _FLUX | {"output_format": _strings("jpeg", "png", "webp")}
_BANANA: dict[str, Any] = {
    "prompt": {"type": "string"},
    "num_images": {"type": "integer", "minimum": 1, "maximum": 4},
    "seed": {"type": "integer"},
    "sync_mode": {"type": "boolean"},
    "output_format": _strings("jpeg", "png", "webp"),
    "aspect_ratio": _strings("auto", "21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16"),
    "resolution": _strings("1K", "2K", "4K"),
}
_GPT_SIZES = ("1024x1024", "1536x1024", "1024x1536")
_GPT: dict[str, Any] = {
    "prompt": {"type": "string"},
    "num_images": {"type": "integer", "minimum": 1, "maximum": 4},
    "sync_mode": {"type": "boolean"},
    "output_format": _strings("jpeg", "png", "webp"),
    "quality": _strings("low", "medium", "high"),
    "background": _strings("auto", "transparent", "opaque"),
}


@dataclass(frozen=True)
class FalModel:
    """One model. `terse`: it answers neither a seed nor flags."""

    properties: dict[str, Any]
    required: tuple[str, ...] = ("prompt",)
    category: str = "text-to-image"
    streams: bool = False
    terse: bool = False
    name: str = field(default="A model")


def _edits(properties: dict[str, Any], *required: str, terse: bool = False) -> FalModel:
    return FalModel(properties, ("prompt", *required), "image-to-image", terse=terse)


MODELS = {
    "fal-ai/flux/dev": FalModel(_FLUX | {"image_size": _size()}, streams=True),
    "fal-ai/flux-pro/v1/fill": _edits(_FLUX | {"image_url": _URL, "mask_url": _URL}, "image_url", "mask_url"),
    "fal-ai/flux-2/edit": _edits(
        _FLUX_2 | {"image_urls": _URLS | {"maxItems": 4}, "image_size": _size()}, "image_urls"
    ),
    "fal-ai/nano-banana-pro": FalModel(_BANANA, terse=True),
    "fal-ai/nano-banana-pro/edit": _edits(_BANANA | {"image_urls": _URLS}, "image_urls", terse=True),
    "fal-ai/gpt-image-1.5": FalModel(_GPT | {"image_size": _strings(*_GPT_SIZES)}, terse=True),
    "fal-ai/gpt-image-1.5/edit": _edits(
        _GPT | {"image_size": _strings("auto", *_GPT_SIZES), "image_urls": _URLS, "mask_image_url": _URL},
        "image_urls",
        terse=True,
    ),
    "fal-ai/bytedance/seedream/v4.5/text-to-image": FalModel(_SOME | {"image_size": _size("auto_2K", "auto_4K")}),
    "fal-ai/ideogram/v3/edit": _edits(
        _SOME | {"image_url": _URL, "mask_url": _URL, "image_urls": _URLS},
        "image_url",
        "mask_url",
    ),
    "fal-ai/qwen-image": FalModel(_FLUX | {"image_size": _size(), "negative_prompt": {"type": "string"}}),
    "fal-ai/of-tomorrow": FalModel(_SOME | {"image_size": _size(), "negative_prompt": _URL}, streams=True),
    "fal-ai/of-tomorrow/stream": FalModel({"prompt": {"type": "string"}}),
    "someone/painter": FalModel({"prompt": {"type": "string"}}, name="The painter"),
    "someone/cutter": FalModel(
        {"image_url": _URL, "sync_mode": {"type": "boolean"}}, ("image_url",), "image-to-image", terse=True
    ),
}


def schema_of(model_id: str) -> dict[str, Any] | None:
    """Tell what the body of a model's request must be; None = there is no such model."""
    model = MODELS.get(model_id)
    if model is None:
        return None
    return {
        "type": "object",
        "properties": model.properties,
        "required": list(model.required),
        "additionalProperties": False,
        "components": {"schemas": {"ImageSize": IMAGE_SIZE}},
    }


def entry_of(model_id: str, *, expanded: bool) -> dict[str, Any]:
    """Write an entry of the vendor's list of models."""
    model = MODELS[model_id]
    metadata = {"display_name": model.name, "category": model.category, "status": "active", "tags": []}
    entry: dict[str, Any] = {"endpoint_id": model_id, "metadata": metadata}
    return entry | ({"openapi": document_of(model_id)} if expanded else {})


def document_of(model_id: str) -> dict[str, Any]:
    """Write a model's OpenAPI document."""
    model, path = MODELS[model_id], f"/{'/'.join(model_id.split('/'))}"
    reference = {"schema": {"$ref": "#/components/schemas/ModelInput"}}
    sizes = {"ImageSize": IMAGE_SIZE} if "image_size" in model.properties else {}
    return {
        "openapi": "3.0.4",
        "info": {"title": f"Queue OpenAPI for {model_id}", "version": "1.0.0"},
        "components": {
            "schemas": {
                **sizes,
                "ModelInput": {
                    "title": "ModelInput",
                    "type": "object",
                    "properties": model.properties,
                    "required": list(model.required),
                },
            }
        },
        "paths": {
            f"/{'/'.join(model_id.split('/')[:2])}/requests/{{request_id}}/status": {"get": {"responses": {}}},
            path: {"post": {"requestBody": {"required": True, "content": {"application/json": reference}}}},
        },
        "servers": [{"url": "https://queue.fal.run"}],
    }


def list_body(query: str) -> dict[str, Any] | None:
    """List models, a page of few; the cursor is where the next page starts. None = the query is wrong."""
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    if asked.keys() - {"category", "status", "expand", "cursor"} or asked.get("expand", "openapi-3.0") != "openapi-3.0":
        return None
    known = [model_id for model_id in LISTED if asked.get("category") in (None, MODELS[model_id].category)]
    start = int(asked.get("cursor", "0"))
    more = start + PAGE < len(known)
    return {
        "models": [entry_of(model_id, expanded="expand" in asked) for model_id in known[start : start + PAGE]],
        "next_cursor": str(start + PAGE) if more else None,
        "has_more": more,
    }
