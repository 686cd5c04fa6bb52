"""What the adapter sends is what the official `openai` package sends for the same wish.

The vendor documents that package for drawing. It has no names for `aspect_ratio`, `resolution` and `storage_options`,
so they are given to it as extra fields. Its edits are forms, which the vendor does not take: ours are held against a
body written by hand, after the examples in docs.x.ai, that the same package posts.
"""

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
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call, NoSettings
from imagegen_server.providers.xai import PROVIDER
from PIL import Image

from tests.support.generation import as_input
from tests.support.openai_package import BASE_URL, KEY, sent_by_package
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest, recorded

_PICTURE = Image.new("RGB", (16, 16), "teal")
PICTURES = {"png": png(16, 16), "jpeg": encoded(_PICTURE, "JPEG"), "webp": encoded(_PICTURE, "WEBP")}


@dataclass(frozen=True)
class Asked:
    """A wish in both languages: a task for the adapter, fields for the package."""

    task: Task
    fields: dict[str, Any]
    extra: dict[str, Any]


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60)


@st.composite
def _asked(draw: st.DrawFn, operation: Operation) -> Asked:
    """Make a wish that has a meaning in both languages."""
    kinds: list[str] = []
    if operation is Operation.EDIT:
        kinds = draw(st.lists(st.sampled_from(sorted(PICTURES)), min_size=1, max_size=5))
    options = Options(
        count=draw(st.integers(1, 10)),
        aspect_ratio=draw(st.sampled_from([None, "auto", "1:1", "9:19.5", "5:2"])) if len(kinds) != 1 else None,
        resolution=draw(st.sampled_from([None, "1K", "1.5K", "2K"])),
        quality=draw(st.sampled_from([None, "auto", "low", "medium", "high"])),
        preview_count=0,
    )
    model = draw(st.sampled_from(["grok-imagine-image", "grok-imagine-image-2.0", "grok-9-image"]))
    fields: dict[str, Any] = {"model": model, "prompt": draw(_TEXTS), "response_format": "b64_json"}
    extra: dict[str, Any] = {}
    if options.count != 1:
        fields["n"] = options.count
    if options.quality:
        fields["quality"] = options.quality
    if options.aspect_ratio:
        extra["aspect_ratio"] = options.aspect_ratio
    if options.resolution:
        extra["resolution"] = options.resolution.lower()
    stored = {"filename": st.just("a.jpg"), "expires_after": st.integers(60, 10**6), "public_url": st.booleans()}
    shared = {"user": _TEXTS, "storage_options": st.fixed_dictionaries({}, optional=stored)}
    params: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=shared))
    fields |= {name: value for name, value in params.items() if name == "user"}
    extra |= {name: value for name, value in params.items() if name != "user"}
    references = [
        {"url": f"data:image/{kind};base64,{base64.b64encode(PICTURES[kind]).decode()}", "type": "image_url"}
        for kind in kinds
    ]
    if kinds:
        extra |= {"image": references[0]} if len(kinds) == 1 else {"images": references}
    images = tuple(as_input(PICTURES[kind]) for kind in kinds)
    return Asked(Task(operation, model, fields["prompt"], options, images, params=params), fields, extra)


async def sent_by_adapter(task: Task) -> RecordedRequest:
    """Run a task against a transport that answers without images, and return what was sent."""
    requests: list[RecordedRequest] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(recorded(request.method, request.url.path, request.headers.multi_items(), request.content))
        return httpx.Response(200, json={"data": []})

    provider = PROVIDER.build("xai", NoSettings())
    http = HttpClient(HttpSettings(BASE_URL), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, Secret(KEY))
    prepared, warnings = provider.prepare(task)
    assert not warnings
    with pytest.raises(ImageError, match="no image"):
        async for _ in provider.run(prepared, call):
            pass
    (request,) = requests
    return request


def _assert_same(ours: RecordedRequest, theirs: RecordedRequest) -> None:
    assert (ours.method, ours.path, ours.media_type) == (theirs.method, theirs.path, theirs.media_type)
    assert ours.headers["authorization"] == theirs.headers["authorization"]
    assert ours.json == theirs.json


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked(Operation.GENERATE))
async def test_a_generation_is_asked_for_in_the_same_words(asked: Asked) -> None:
    """The JSON bodies are equal."""
    theirs = await sent_by_package(lambda client: client.images.generate(**asked.fields, extra_body=asked.extra))

    _assert_same(await sent_by_adapter(asked.task), theirs)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked(Operation.EDIT))
async def test_an_edit_is_the_json_of_the_vendors_page(asked: Asked) -> None:
    """One image under `image`, several under `images`, as data URLs in the order given; all else as in a generation."""
    body = asked.fields | asked.extra
    theirs = await sent_by_package(lambda client: client.post("/images/edits", body=body, cast_to=dict[str, Any]))

    _assert_same(await sent_by_adapter(asked.task), theirs)
