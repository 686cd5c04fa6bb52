"""A fake of OpenRouter's Image API on a loopback port.

As strict as its OpenAPI document and the guide on image generation say. The vendor's own package `openrouter` is held
against it in tests/providers/openrouter. What the document of August 2026 and the package of October allow is allowed.
"""

import base64
import io
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from PIL import Image

from .openai_wire import picture
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, event_answer, json_answer, running

KEY = "sk-or-v1-test-key-0123456789"
COST = 0.04
"""What an image costs here, in USD."""

PARTIALS = 3
"""Previews of each stream: their number cannot be asked for."""

_CREATED = 1_790_000_000
_TOKENS = 4175
_ENUMS: Mapping[str, frozenset[str]] = {
    name: frozenset(values.split())
    for name, values in {
        "aspect_ratio": "1:1 1:2 1:4 1:8 2:1 2:3 2.35:1 3:2 3:4 4:1 4:3 4:5 5:2 5:4 5:7 7:5 8:1 9:16 16:9 9:19.5 "
        "19.5:9 9:20 20:9 9:21 21:9 auto",
        "resolution": "512 768 1K 1.5K 2K 4K",
        "quality": "auto low medium high xhigh max",
        "background": "auto transparent opaque",
        "output_format": "png jpeg webp svg",
    }.items()
}
_RANGES = {"n": (1, 10), "output_compression": (0, 100)}
_KINDS: Mapping[str, type] = {
    "model": str,
    "prompt": str,
    "size": str,
    "stream": bool,
    "seed": int,
    "provider": dict,
    "trace": dict,
    "session_id": str,
    "user": str,
    "input_references": list,
    **dict.fromkeys(_ENUMS, str),
    **dict.fromkeys(_RANGES, int),
}
_SIZE = re.compile(r"(512|768|1K|1\.5K|2K|4K)|([1-9]\d{1,4})x([1-9]\d{1,4})")
_DATA_URL = re.compile(r"data:(image/[a-z+]+);base64,(.+)")
_MOST_REFERENCES = 16


def _enum(*values: str) -> dict[str, Any]:
    return {"type": "enum", "values": list(values)}


def _range(least: int, most: int) -> dict[str, Any]:
    return {"type": "range", "min": least, "max": most}


def _entry(
    model_id: str, name: str, parameters: dict[str, Any], *, streams: bool = False, **more: Any
) -> dict[str, Any]:
    return {
        "id": model_id,
        "name": name,
        "description": "A model.",
        "created": _CREATED,
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["image"]},
        "supported_parameters": parameters,
        "supports_streaming": streams,
        "endpoints": f"/api/v1/images/models/{model_id}/endpoints",
    } | more


MODELS: Mapping[str, dict[str, Any]] = {
    entry["id"]: entry
    for entry in (
        _entry(
            "openai/gpt-image-2",
            "GPT Image 2",
            {
                "aspect_ratio": _enum("1:1", "3:2", "2:3", "auto"),
                "resolution": _enum("1K", "2K", "4K"),
                "quality": _enum("auto", "low", "medium", "high"),
                "background": _enum("auto", "opaque"),
                "output_format": _enum("png", "jpeg", "webp"),
                "output_compression": _range(0, 100),
                "n": _range(1, 10),
                "input_references": _range(0, 16),
            },
            streams=True,
        ),
        _entry(
            "bytedance-seed/seedream-4.5",
            "Seedream 4.5",
            {
                "aspect_ratio": _enum("1:1", "16:9", "9:16", "21:9"),
                "resolution": _enum("1K", "2K", "4K"),
                "seed": {"type": "boolean"},
                "n": _range(1, 4),
                "input_references": _range(0, 14),
            },
        ),
        _entry(
            "google/gemini-3.1-flash-image",
            "Nano Banana 2",
            {"aspect_ratio": _enum("1:1", "16:9"), "n": _range(1, 1), "input_references": _range(0, 14)},
        ),
        _entry("meta/muse-image", "Muse", {}),
        _entry(
            "quiver/arrow-1",
            "Arrow",
            {"output_format": _enum("svg")},
            streams=True,
            architecture={"input_modalities": ["text"], "output_modalities": ["image"]},
        ),
        _entry("quiver/trace-1", "Trace", {"output_format": _enum("svg"), "input_references": _range(1, 1)}),
    )
}
"""The vendor's list, with each shape that entries have."""


def refused(code: int, message: str, **more: Any) -> RefusalError:
    """Refuse as the vendor does."""
    return RefusalError(code, {"error": {"message": message, "code": code} | more})


class FakeOpenRouter(FakeVendor):
    """One loopback server: where it is, what it was asked, what it shall say."""

    def __init__(self) -> None:
        """Know one key."""
        super().__init__("/api/v1")
        self._numbers = count(1)

    def headers(self) -> dict[str, str]:
        """See FakeVendor."""
        return {"x-generation-id": f"gen-{next(self._numbers)}"}

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        if (call.method, call.path) == ("GET", "/api/v1/images/models"):
            return json_answer(200, {"data": list(MODELS.values())})
        if (call.method, call.path) != ("POST", "/api/v1/images"):
            return Answer(404, {"content-type": "text/html"}, [b"<html>404</html>"])
        self._check_key(call)
        body = _checked(call)
        if checks_only:
            return json_answer(200, {})
        if body.get("stream") and MODELS[body["model"]]["supports_streaming"]:
            return event_answer(*events(body))
        return json_answer(200, images_body(body))

    def _check_key(self, call: RecordedRequest) -> None:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            raise refused(401, "Missing Authentication header")
        if key != KEY:
            raise refused(401, "User not found.")


def _checked(call: RecordedRequest) -> dict[str, Any]:
    if call.media_type != "application/json":
        raise refused(400, "Invalid request parameters")
    body: dict[str, Any] = call.json
    for name, value in body.items():
        _check_field(name, value)
    if not body.get("prompt") or "model" not in body:
        raise refused(400, "Invalid request parameters: model and prompt are required")
    if body["model"] not in MODELS:
        raise refused(404, f"No endpoints found for {body['model']}.")
    _check_size(body)
    references = body.get("input_references", [])
    for reference in references:
        _check_reference(reference)
    told = MODELS[body["model"]]["supported_parameters"]
    if told and body.get("n", 1) > told.get("n", {"max": 1})["max"]:
        raise refused(400, f"{body['model']} makes fewer images in one request")
    if len(references) > told.get("input_references", {"max": _MOST_REFERENCES})["max"]:
        raise refused(400, f"{body['model']} takes fewer input_references")
    return body


def _check_field(name: str, value: Any) -> None:
    kind: Any = _KINDS.get(name)
    if kind is None or not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise refused(400, f"Invalid request parameters: {name}")
    if name in _ENUMS and value not in _ENUMS[name]:
        raise refused(400, f"Invalid request parameters: {name} has no {value}")
    if name in _RANGES and not _RANGES[name][0] <= value <= _RANGES[name][1]:
        raise refused(400, f"Invalid request parameters: {name} is out of range")


def _check_size(body: Mapping[str, Any]) -> None:
    found = _SIZE.fullmatch(body.get("size", "1K"))
    if not found:
        raise refused(400, "Invalid request parameters: size")
    if found[2] and ("resolution" in body or "aspect_ratio" in body):
        raise refused(400, "size does not agree with resolution or aspect_ratio")
    if body.get("background") == "transparent" and body.get("output_format") == "jpeg":
        raise refused(400, "transparent requires an output_format that supports alpha")


def _check_reference(reference: Any) -> None:
    match reference:
        case {"type": "image_url", "image_url": {"url": str(url), **rest}, **more} if not rest and not more:
            pass
        case _:
            raise refused(400, "Invalid request parameters: input_references")
    found = _DATA_URL.fullmatch(url)
    if (found and _kind_of(found[2]) != found[1]) or (not found and not url.startswith(("https://", "http://"))):
        raise refused(400, "Invalid image", metadata={"error_type": "invalid_image"})


def _kind_of(data: str) -> str | None:
    """Tell the media type of a picture in base64; None = it is none."""
    try:
        return Image.open(io.BytesIO(base64.b64decode(data, validate=True))).get_format_mimetype()
    except (ValueError, OSError):
        return None


def drawn(body: Mapping[str, Any], shade: int = 0) -> str:
    """Draw a small picture of one shade (0 to 255) as base64."""
    return base64.b64encode(picture((16, 16), body.get("output_format", "png"), shade)).decode()


def usage(images: int = 1) -> dict[str, Any]:
    """Say what so many images cost."""
    tokens = _TOKENS * images
    return {
        "prompt_tokens": 0,
        "completion_tokens": tokens,
        "total_tokens": tokens,
        "completion_tokens_details": {"image_tokens": tokens},
        "cost": COST * images,
        "is_byok": False,
    }


def images_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a request that is not streamed."""
    wanted, kind = body.get("n", 1), body.get("output_format", "png")
    media_type = "image/svg+xml" if kind == "svg" else f"image/{kind}"
    return {
        "created": _CREATED,
        "data": [{"b64_json": drawn(body, shade), "media_type": media_type} for shade in range(wanted)],
        "usage": usage(wanted),
    }


def events(body: Mapping[str, Any]) -> Iterator[bytes]:
    """Answer a request that is streamed: its previews or its text, the picture, and the end."""
    yield b": OPENROUTER PROCESSING\n\n"
    if body.get("output_format") == "svg":
        for phase in ("reasoning", "content", "content"):
            yield event({"type": "image_generation.text_chunk", "phase": phase, "text": "<svg"})
    else:
        for index in range(PARTIALS):
            partial = {"partial_image_index": index, "b64_json": drawn(body, 100 + index)}
            yield event({"type": "image_generation.partial_image", **partial})
    done = {"b64_json": drawn(body), "created": _CREATED, "media_type": "image/png", "usage": usage()}
    yield event({"type": "image_generation.completed", **done})
    yield b"data: [DONE]\n\n"


def event(payload: Mapping[str, Any]) -> bytes:
    """Write one event; the vendor names none."""
    return f"data: {json.dumps(payload)}\n\n".encode()


@asynccontextmanager
async def fake_openrouter() -> AsyncIterator[FakeOpenRouter]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeOpenRouter()) as fake:
        yield fake
