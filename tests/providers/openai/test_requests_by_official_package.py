"""What the adapter sends is what the vendor's own package sends for the same wish.

One difference is wanted: an edit always says its size, because editions of the vendor's documents name different
defaults ("1024x1024", "auto"). The package is asked for "auto" there.
"""

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
from imagegen_server.providers.base import Call
from imagegen_server.providers.openai import PROVIDER, OpenAISettings
from PIL import Image

from tests.support.generation import as_input
from tests.support.openai_package import BASE_URL, KEY, sent_by_package
from tests.support.openapi import validator
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest, recorded

_PICTURE = Image.new("RGB", (16, 16), "teal")
PICTURES = {"png": png(16, 16), "jpg": encoded(_PICTURE, "JPEG"), "webp": encoded(_PICTURE, "WEBP")}
MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
MASK = encoded(Image.new("RGBA", (16, 16), (0, 0, 0, 0)), "PNG")
HEADERS = ("authorization", "openai-organization", "openai-project")


@dataclass(frozen=True)
class Asked:
    """A wish in both languages: a task for the adapter, arguments for the package."""

    task: Task
    arguments: dict[str, Any]


def _sizes() -> st.SearchStrategy[PixelSize]:
    sides = st.integers(64, 160).map(lambda steps: steps * 16)
    return st.builds(PixelSize, sides, sides).filter(
        lambda size: max(size.width, size.height) <= 3 * min(size.width, size.height)
    )


_SHARED_PARAMS = {
    "user": st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12),
    "moderation": st.sampled_from(["low", "auto"]),
    "complexity": st.sampled_from(["low", "medium", "high"]),
    "frame_count": st.integers(2, 16),
    "svg": st.fixed_dictionaries(
        {"model": st.just("gpt-6")},
        optional={"reasoning": st.fixed_dictionaries({"effort": st.sampled_from(["low", "max"])})},
    ),
}


@st.composite
def _asked(draw: st.DrawFn, operation: Operation) -> Asked:
    """Make a wish that has a meaning in both languages."""
    model = draw(st.sampled_from(["gpt-image-2", "gpt-image-2.6-flare", "gpt-image-2.5-sunburst", "gpt-image-9"]))
    prompt = draw(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60))
    arguments: dict[str, Any] = {"model": model, "prompt": prompt}
    previews = draw(st.integers(0, 3))
    count = 1 if previews else draw(st.integers(1, 10))
    size = draw(st.none() | _sizes())
    file_format = draw(st.sampled_from([None, "png", "jpeg", "webp"]))
    options = Options(
        count=count,
        size=size,
        quality=draw(st.sampled_from([None, "auto", "low", "high", "max"])),
        background=draw(st.sampled_from([None, "opaque", "auto"])),
        format=file_format,
        compression=draw(st.none() | st.integers(0, 100)) if file_format in ("jpeg", "webp") else None,
        preview_count=previews,
    )
    if count > 1:
        arguments["n"] = count
    if size:
        arguments["size"] = f"{size.width}x{size.height}"
    elif operation is Operation.EDIT:
        arguments["size"] = "auto"
    said = {
        "quality": options.quality,
        "background": options.background,
        "output_format": options.format,
        "output_compression": options.compression,
    }
    arguments |= {name: value for name, value in said.items() if value is not None}
    if previews:
        arguments |= {"stream": True, "partial_images": previews}
    params: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=_SHARED_PARAMS))
    if operation is Operation.GENERATE:
        task = Task(operation, model, prompt, options, params=params)
        return Asked(task, arguments | params)
    kinds = draw(st.lists(st.sampled_from(sorted(PICTURES)), min_size=1, max_size=4))
    mask = draw(st.booleans())
    task = Task(
        operation,
        model,
        prompt,
        options,
        images=tuple(as_input(PICTURES[kind]) for kind in kinds),
        mask=as_input(MASK) if mask else None,
        params=dict(params),
    )
    files = [
        (f"image-{number}.{kind}" if len(kinds) > 1 else f"image.{kind}", PICTURES[kind], MEDIA_TYPES[kind])
        for number, kind in enumerate(kinds, start=1)
    ]
    arguments["image"] = files if len(files) > 1 else files[0]
    if mask:
        arguments["mask"] = ("mask.png", MASK, "image/png")
    # The package knows no moderation of edits by name, and sends it when told so.
    extra = {name: params.pop(name) for name in ("moderation",) if name in params}
    return Asked(task, arguments | params | {"extra_body": extra})


async def sent_by_adapter(task: Task, provider_settings: OpenAISettings | None = None) -> RecordedRequest:
    """Run a task against a transport that answers without images, and return what was sent."""
    requests: list[RecordedRequest] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(recorded(request.method, request.url.path, request.headers.multi_items(), request.content))
        return httpx.Response(200, json={"created": 0, "data": []})

    provider = PROVIDER.build("openai", provider_settings or OpenAISettings())
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
    for header in HEADERS:
        assert ours.headers.get(header) == theirs.headers.get(header)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked(Operation.GENERATE))
async def test_a_generation_is_asked_for_in_the_same_words(asked: Asked) -> None:
    """The JSON bodies are equal."""
    theirs = await sent_by_package(lambda client: client.images.generate(**asked.arguments))
    ours = await sent_by_adapter(asked.task)

    _assert_same(ours, theirs)
    assert ours.json == theirs.json


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked(Operation.EDIT))
async def test_an_edit_is_asked_for_in_the_same_words(asked: Asked) -> None:
    """The same parts under the same names, with the same files of the same types, images in the same order."""
    theirs = await sent_by_package(lambda client: client.images.edit(**asked.arguments))
    ours = await sent_by_adapter(asked.task)

    _assert_same(ours, theirs)
    assert ours.fields == theirs.fields
    assert ours.files == theirs.files


async def test_organization_and_project_travel_in_the_same_headers() -> None:
    """The settings are those of the package's client."""
    task = Task(Operation.GENERATE, "gpt-image-2", "a boat", Options(count=1, preview_count=0))

    theirs = await sent_by_package(
        lambda client: client.with_options(organization="org-1", project="proj-1").images.generate(
            model="gpt-image-2", prompt="a boat"
        )
    )
    ours = await sent_by_adapter(task, OpenAISettings(organization="org-1", project="proj-1"))

    _assert_same(ours, theirs)
    assert ours.headers["openai-organization"] == "org-1"


# What OpenAI added after the edition of its document that is at hand; the package knows these.
_NEWER = {"complexity", "frame_count", "svg", "safety_identifier"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked(Operation.GENERATE))
async def test_a_generation_is_valid_by_the_openapi_document(asked: Asked) -> None:
    """CreateImageRequest of the vendor's own document, with no property that it does not name."""
    schema = validator("CreateImageRequest")
    body = (await sent_by_adapter(asked.task)).json

    schema.validate({name: value for name, value in body.items() if name not in _NEWER})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=_asked(Operation.EDIT))
async def test_an_edit_is_valid_by_the_openapi_document(asked: Asked) -> None:
    """CreateImageEditRequest, its numbers and booleans read back from the text that a form makes of them."""
    schema = validator("CreateImageEditRequest")
    sent = await sent_by_adapter(asked.task)
    numbers, truths = {"n", "output_compression", "partial_images"}, {"stream"}
    body: dict[str, Any] = {
        name: int(text) if name in numbers else text == "true" if name in truths else text
        for name, text in sent.fields.items()
        if name.partition("[")[0] not in _NEWER
    }
    images = [file.data for file in sent.files if file.name in ("image", "image[]")]
    body["image"] = images if len(images) > 1 else images[0]
    body |= {file.name: file.data for file in sent.files if file.name == "mask"}
    # The document leaves moderation out of edits; the vendor's pages name it.
    body.pop("moderation", None)

    schema.validate(body)
