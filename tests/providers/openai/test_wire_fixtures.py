"""The recorded answers: well-formed, true to the contract, and read alike by the official package."""

import base64
import io
import re
from dataclasses import dataclass
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from PIL import Image

from tests.support.openai_package import package_on_fake
from tests.support.pictures import png
from tests.support.tools import require_package
from tests.support.wire import WireFixture, wire_fixtures

FIXTURES = wire_fixtures("openai")
READ_OTHERWISE_BY_PACKAGE = {
    # An event whose blank line is missing is given up.
    "stream_unfinished_line": (0, 1, False),
    # The content type is not looked at: no event is found in JSON.
    "stream_answered_by_json": (0, 0, False),
    # An error is one only if there is a member `error`; this one is handed out as an event.
    "stream_error_flat": (0, 1, False),
}
"""Where we read more than the package does: its images, its previews, and whether it raises what the stream told."""
_ERRORS_IN_STREAM = ("stream_error", "stream_moderation", "stream_rate_limit", "stream_quota")
_CODES_OF_THE_BODY = re.compile(r'"(?:code|type)": "?([^",}]*)')


def _ids(fixture: WireFixture) -> str:
    return fixture.name


def _failing() -> list[WireFixture]:
    return [fixture for fixture in FIXTURES if "reason" in fixture.expect]


def _succeeding() -> list[WireFixture]:
    return [fixture for fixture in FIXTURES if "reason" not in fixture.expect]


@pytest.mark.parametrize("fixture", _failing(), ids=_ids)
def test_a_failure_is_within_the_contract(fixture: WireFixture) -> None:
    """The reason exists, and whether it is billed and at which stage are what the reason allows."""
    expect = fixture.expect
    reason = Reason[expect["reason"]]
    error = ImageError(reason, "", stage=expect.get("stage", ""), retry_after=expect["retry_after"])
    refused_by_name = reason is Reason.PROVIDER_ERROR and fixture.status < 500 and fixture.status != 200
    assert expect["billed"] == ("no" if refused_by_name else error.billed.name.lower())
    assert ("stage" in expect) == (reason is Reason.CONTENT_FILTERED)
    assert expect["retry_after"] is None or reason in {Reason.RATE_LIMITED, Reason.PROVIDER_UNAVAILABLE}
    assert expect["images"] == 0


@pytest.mark.parametrize("fixture", _failing(), ids=_ids)
def test_the_code_of_a_failure_is_in_its_body(fixture: WireFixture) -> None:
    """What is expected as the provider's code was said by it."""
    said = _CODES_OF_THE_BODY.findall(b"".join(fixture.pieces).decode())
    assert not fixture.expect["provider_code"] or fixture.expect["provider_code"] in said


@pytest.mark.parametrize("fixture", _succeeding(), ids=_ids)
def test_the_images_of_a_success_are_real(fixture: WireFixture) -> None:
    """As many pictures as are expected, all of them of the expected type to another reader."""
    content = fixture.content
    events = [event["data"] for event in content.get("events", ()) if isinstance(event, dict)]
    kinds = [
        _kind(item.get("b64_json") or item["url"].partition(",")[2])
        for item in [*content.get("body_json", {}).get("data", ()), *events]
        if "b64_json" in item or "url" in item
    ]
    if "body_json" in content:
        assert len(kinds) == fixture.expect["images"]
    expected = set(fixture.expect.get("media_types", kinds))
    assert set(kinds) <= expected


@dataclass
class _Read:
    """What the package made of an answer."""

    images: int = 0
    previews: int = 0
    error: Any = None


@pytest.mark.parametrize("fixture", [fixture for fixture in FIXTURES if fixture.status >= 400], ids=_ids)
async def test_the_package_raises_the_error_of_the_status(fixture: WireFixture) -> None:
    """The official package reads status, code and parameter as the fixture does."""
    openai = require_package("openai")
    read = await _read_by_package(openai, fixture)
    assert isinstance(read.error, openai.APIStatusError)
    assert read.error.status_code == fixture.status
    assert (read.error.code or read.error.type or "") == fixture.expect["provider_code"]
    assert read.error.param == fixture.expect.get("param", read.error.param)


@pytest.mark.parametrize(
    "fixture",
    [fixture for fixture in FIXTURES if fixture.name.startswith("stream_") and fixture.status == 200],
    ids=_ids,
)
async def test_the_package_reads_the_stream_alike(fixture: WireFixture) -> None:
    """As many previews, the finished image or none, and an error where one is expected from the stream."""
    openai = require_package("openai")
    read = await _read_by_package(openai, fixture)
    told = isinstance(read.error, openai.APIError) and not isinstance(read.error, openai.APIConnectionError)
    alike = (fixture.expect["images"], fixture.expect["previews"], fixture.name.startswith(_ERRORS_IN_STREAM))
    assert (read.images, read.previews, told) == READ_OTHERWISE_BY_PACKAGE.get(fixture.name, alike)
    if told:
        assert read.error.code == fixture.expect["provider_code"]


@pytest.mark.parametrize(
    "fixture", [fixture for fixture in _succeeding() if not fixture.name.startswith("stream_")], ids=_ids
)
async def test_the_package_reads_the_images_alike(fixture: WireFixture) -> None:
    """As many images as are expected come out of a JSON answer."""
    read = await _read_by_package(require_package("openai"), fixture)
    assert (read.images, read.error) == (fixture.expect["images"], None)


async def _read_by_package(openai: Any, fixture: WireFixture) -> _Read:
    read = _Read()
    async with package_on_fake() as (fake, client):
        fake.answer_next(fixture.answer())
        try:
            answered = await _call(client, fixture)
            if not fixture.operation.startswith("stream_"):
                read.images = len([image for image in answered.data or () if image.b64_json or image.url])
                return read
            async for event in answered:
                read.images += event.type.endswith(".completed") and bool(event.b64_json)
                read.previews += event.type.endswith(".partial_image")
        except (openai.APIError, ValueError) as error:
            read.error = error
    return read


async def _call(client: Any, fixture: WireFixture) -> Any:
    wish: dict[str, Any] = {"model": "gpt-image-2", "prompt": "a grey square", "n": fixture.count}
    if fixture.operation.startswith("stream_"):
        wish |= {"stream": True, "partial_images": fixture.partial_images}
    if fixture.operation.endswith("edit"):
        return await client.images.edit(image=("a.png", png(), "image/png"), **wish)
    return await client.images.generate(**wish)


def _kind(text: str) -> str:
    data = base64.b64decode(text, validate=True)
    if data.startswith(b"<svg"):
        return "image/svg+xml"
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return str(image.get_format_mimetype())
