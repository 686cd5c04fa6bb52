"""What the adapter sends is what the vendor's own package sends for the same wish, and what its document allows."""

import base64
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call, NoSettings
from imagegen_server.providers.openrouter import PROVIDER
from PIL import Image

from tests.support.generation import as_input
from tests.support.openapi import validator
from tests.support.openrouter_api import KEY
from tests.support.openrouter_package import BASE_URL, sent_by_package
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest, recorded

SPEC = "OPENROUTER_OPENAPI_SPEC"
OPEN_ENUMS = ("aspect_ratio", "resolution", "quality")
"""What the vendor added between its document of August 2026 and its package of October."""

NEWER = {"session_id", "trace", "user"}
"""Fields of the same kind."""

_PICTURE = Image.new("RGB", (16, 16), "teal")
PICTURES = {"png": png(16, 16), "jpeg": encoded(_PICTURE, "JPEG"), "webp": encoded(_PICTURE, "WEBP")}
_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60)
_PARAMS = {
    "user": _TEXTS,
    "session_id": _TEXTS,
    "trace": st.fixed_dictionaries({"trace_id": _TEXTS}),
    "provider": st.fixed_dictionaries(
        {},
        optional={
            "only": st.just(["google-ai-studio"]),
            "order": st.just(["openai", "azure"]),
            "allow_fallbacks": st.booleans(),
            "sort": st.sampled_from(["price", "latency"]),
            "options": st.just({"black-forest-labs": {"guidance": 3, "steps": 40}}),
        },
    ),
}


@dataclass(frozen=True)
class Asked:
    """A wish in both languages: a task for the adapter, fields for the package."""

    task: Task
    fields: dict[str, Any]


@st.composite
def _asked(draw: st.DrawFn) -> Asked:
    """Make a wish that has a meaning in both languages."""
    kinds = draw(st.lists(st.sampled_from(sorted(PICTURES)), max_size=4))
    size = draw(st.none() | st.builds(PixelSize, st.integers(256, 4096), st.integers(256, 4096)))
    options = Options(
        count=draw(st.integers(1, 10)),
        size=size,
        aspect_ratio=None if size else draw(st.sampled_from([None, "auto", "1:1", "9:19.5", "5:2"])),
        resolution=None if size else draw(st.sampled_from([None, "512", "1K", "1.5K", "4K"])),
        quality=draw(st.sampled_from([None, "auto", "low", "xhigh"])),
        background=draw(st.sampled_from([None, "auto", "transparent", "opaque"])),
        format=draw(st.sampled_from([None, "png", "webp", "svg"])),
        compression=draw(st.none() | st.integers(0, 100)),
        seed=draw(st.none() | st.integers(0, 2**31)),
        preview_count=draw(st.integers(0, 3)),
    )
    fields: dict[str, Any] = {
        "model": draw(st.sampled_from(["openai/gpt-image-2", "bytedance-seed/seedream-4.5", "acme/paint:free"])),
        "prompt": draw(_TEXTS),
        "n": options.count if options.count != 1 else None,
        "size": str(size) if size else None,
        "aspect_ratio": options.aspect_ratio,
        "resolution": options.resolution,
        "quality": options.quality,
        "background": options.background,
        "output_format": options.format,
        "output_compression": options.compression,
        "seed": options.seed,
        "stream": True if options.preview_count else None,
        "input_references": [
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(PICTURES[kind]).decode()}"},
            }
            for kind in kinds
        ]
        or None,
    }
    params: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=_PARAMS))
    images = tuple(as_input(PICTURES[kind]) for kind in kinds)
    operation = Operation.EDIT if images else Operation.GENERATE
    task = Task(operation, fields["model"], fields["prompt"], options, images, params=params)
    return Asked(task, {name: value for name, value in fields.items() if value is not None} | params)


async def sent_by_adapter(task: Task) -> RecordedRequest:
    """Run a task against a transport that answers without images, and return what was sent."""
    requests: list[RecordedRequest] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(recorded(request.method, request.url.path, request.headers.multi_items(), request.content))
        return httpx.Response(200, json={"created": 0, "data": []})

    provider = PROVIDER.build("openrouter", NoSettings())
    http = HttpClient(HttpSettings(BASE_URL), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, Secret(KEY))
    prepared, warnings = provider.prepare(task)
    assert not warnings
    with pytest.raises(ImageError, match="no image"):
        async for _ in provider.run(prepared, call):
            pass
    (request,) = requests
    return request


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked())
async def test_a_picture_is_asked_for_in_the_same_words(asked: Asked) -> None:
    """Method, path, key and JSON are equal, for drawing, editing and streams."""
    theirs = await sent_by_package(lambda images: images.generate_async(**asked.fields))
    ours = await sent_by_adapter(asked.task)

    assert (ours.method, ours.path, ours.media_type) == (theirs.method, theirs.path, theirs.media_type)
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert ours.json == theirs.json


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked())
async def test_a_request_is_valid_by_the_openapi_document(asked: Asked) -> None:
    """No field that the document does not have, but those that are newer than it."""
    schema = validator("ImageGenerationRequest", OPEN_ENUMS, SPEC)
    sent = (await sent_by_adapter(asked.task)).json

    assert list(schema.iter_errors({name: value for name, value in sent.items() if name not in NEWER})) == []


def test_the_openapi_document_would_find_a_field_that_is_wrong() -> None:
    """The check above is one."""
    schema = validator("ImageGenerationRequest", OPEN_ENUMS, SPEC)
    wish: dict[str, Any] = {"model": "openai/gpt-image-2", "prompt": "a boat"}

    assert schema.is_valid(wish)
    wrongs: list[dict[str, Any]] = [
        {"mask": "x"},
        {"n": "2"},
        {"output_format": "gif"},
        {"input_references": [{"url": "x"}]},
    ]
    for wrong in wrongs:
        assert not schema.is_valid(wish | wrong)
