"""What the adapter sends is what the vendor's own package sends for the same wish.

One difference is wanted: an edit always says its size, because editions of the vendor's documents name different
defaults ("1024x1024", "auto"). The package is asked for "auto" there.
"""

import time
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call
from imagegen_server.providers.openai import PROVIDER, OpenAISettings

from tests.support.openai_package import BASE_URL, KEY, sent_by_package
from tests.support.openai_wishes import Asked, asked
from tests.support.openapi import validator
from tests.support.recording import RecordedRequest, recorded

HEADERS = ("authorization", "openai-organization", "openai-project")


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
@given(wish=asked(Operation.GENERATE))
async def test_a_generation_is_asked_for_in_the_same_words(wish: Asked) -> None:
    """The JSON bodies are equal."""
    theirs = await sent_by_package(lambda client: client.images.generate(**wish.arguments))
    ours = await sent_by_adapter(wish.task)

    _assert_same(ours, theirs)
    assert ours.json == theirs.json


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wish=asked(Operation.EDIT))
async def test_an_edit_is_asked_for_in_the_same_words(wish: Asked) -> None:
    """The same parts under the same names, with the same files of the same types, images in the same order."""
    theirs = await sent_by_package(lambda client: client.images.edit(**wish.arguments))
    ours = await sent_by_adapter(wish.task)

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
@given(wish=asked(Operation.GENERATE))
async def test_a_generation_is_valid_by_the_openapi_document(wish: Asked) -> None:
    """CreateImageRequest of the vendor's own document, with no property that it does not name."""
    schema = validator("CreateImageRequest")
    body = (await sent_by_adapter(wish.task)).json

    schema.validate({name: value for name, value in body.items() if name not in _NEWER})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wish=asked(Operation.EDIT))
async def test_an_edit_is_valid_by_the_openapi_document(wish: Asked) -> None:
    """CreateImageEditRequest, its numbers and booleans read back from the text that a form makes of them."""
    schema = validator("CreateImageEditRequest")
    sent = await sent_by_adapter(wish.task)
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
