"""Bodies and events of the OpenAI Images API, with small pictures in them."""

import base64
import functools
import io
import json
from collections.abc import Iterator
from typing import Any

from PIL import Image

from .openai_checks import Order

_CREATED = 1_790_000_000
_TOKENS_OF_IMAGE = 272
_TOKENS_OF_PARTIAL = 100


def images_body(order: Order) -> dict[str, Any]:
    """Answer an order that wants no stream."""
    usage = _usage(order)
    usage["output_tokens_details"] = {"text_tokens": 0, "image_tokens": usage["output_tokens"]}
    return {
        "created": _CREATED,
        **_resolved(order),
        "data": [{"b64_json": _drawn(order, shade)} for shade in range(order.n)],
        "usage": usage,
        **_effective(order),
    }


def events(order: Order) -> Iterator[bytes]:
    """Answer an order that wants a stream: its partial images, then the finished one."""
    for index in range(order.partial_images):
        yield event(
            f"{order.kind}.partial_image",
            {"b64_json": _drawn(order, 100 + index), **_created(order), "partial_image_index": index},
        )
    done = {"b64_json": _drawn(order, 0), **_created(order), "usage": _usage(order), **_effective(order)}
    yield event(f"{order.kind}.completed", done)


def event(name: str, payload: dict[str, Any]) -> bytes:
    """Write one event with its name in both places."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **payload})}\n\n".encode()


@functools.lru_cache(maxsize=64)
def picture(size: tuple[int, int], kind: str, shade: int = 0, *, transparent: bool = False, frames: int = 1) -> bytes:
    """Draw a picture of one shade (0 to 255) in a format of the API: "png", "jpeg", "webp", "gif" or "svg"."""
    if kind == "svg":
        width, height = size
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"/>'.encode()
    drawn = Image.new("RGBA", size, (shade, shade, shade, 0)) if transparent else Image.new("RGB", size, (shade,) * 3)
    more = [Image.new("RGB", size, (number * 10,) * 3) for number in range(1, frames)]
    file = io.BytesIO()
    settings: dict[str, Any] = {"png": {"compress_level": 1}, "webp": {"method": 0}}.get(kind, {})
    if kind == "gif":
        settings = {"save_all": True, "append_images": more, "duration": 200}
    drawn.save(file, kind, **settings)
    return file.getvalue()


def _drawn(order: Order, shade: int) -> str:
    transparent = order.background == "transparent"
    frames = order.frames if order.output_format == "gif" else 1
    data = picture(order.size, order.output_format, shade, transparent=transparent, frames=frames)
    return base64.b64encode(data).decode()


def _resolved(order: Order) -> dict[str, Any]:
    return {
        "size": f"{order.size[0]}x{order.size[1]}",
        "quality": order.quality,
        "background": order.background,
        "output_format": order.output_format,
    }


def _created(order: Order) -> dict[str, Any]:
    return {"created_at": _CREATED, **_resolved(order)}


def _effective(order: Order) -> dict[str, Any]:
    return {"safety_identifier": order.safety_identifier} if order.safety_identifier else {}


def _usage(order: Order) -> dict[str, Any]:
    text, images = 12, 194 * order.input_images
    out = _TOKENS_OF_IMAGE * order.n + _TOKENS_OF_PARTIAL * order.partial_images
    return {
        "total_tokens": text + images + out,
        "input_tokens": text + images,
        "output_tokens": out,
        "input_tokens_details": {"text_tokens": text, "image_tokens": images},
    }
