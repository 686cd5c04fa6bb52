"""Which models there are, and what they can do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from imagegen_server.domain.capabilities import PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.google import PROVIDER, GoogleSettings
from imagegen_server.providers.google.models import find_model, living_models
from imagegen_server.providers.google.provider import Google

from tests.support.google_api import KEY, MODELS, FakeGoogle, error, fake_google
from tests.support.vendor import Answer, json_answer

SECRET = Secret(KEY)
METHODS = ["generateContent"]


def google() -> Google:
    """Set the provider up."""
    provider = PROVIDER.build("google", GoogleSettings())
    assert isinstance(provider, Google)
    return provider


@asynccontextmanager
async def reached() -> AsyncIterator[tuple[FakeGoogle, HttpClient]]:
    """Run a fake and a client of it."""
    async with fake_google() as fake:
        http = HttpClient(HttpSettings(fake.base_url))
        try:
            yield fake, http
        finally:
            await http.close()


async def test_the_list_is_the_vendors() -> None:
    """Image models of the list, also those that are newer than this server; no others."""
    async with reached() as (fake, http):
        listed = await google().list_models(http, SECRET)

    assert [model.id for model in listed] == [*MODELS, "gemini-9-image-of-tomorrow"]
    assert all(model.known for model in listed)
    assert listed[0].display_name
    assert fake.requests[0].query == "pageSize=1000"
    assert fake.requests[0].headers["x-goog-api-key"] == KEY


async def test_all_pages_are_read() -> None:
    """A list in pages is read to its end."""
    first = {"models": [{"name": "models/a-image", "supportedGenerationMethods": METHODS}], "nextPageToken": "p 2"}
    last = {"models": [{"name": "models/b-image", "supportedGenerationMethods": METHODS}]}
    async with reached() as (fake, http):
        fake.answer_next(json_answer(200, first), json_answer(200, last))
        listed = await google().list_models(http, SECRET)

    assert [model.id for model in listed] == ["a-image", "b-image"]
    assert fake.requests[1].query == "pageSize=1000&pageToken=p+2"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (json_answer(503, error(503, "UNAVAILABLE", "overloaded")), Reason.PROVIDER_UNAVAILABLE),
        (json_answer(200, []), Reason.INVALID_RESPONSE),
        (Answer(200, {"content-type": "text/html"}, [b"<html>"]), Reason.INVALID_RESPONSE),
    ],
    ids=["down", "no object", "no JSON"],
)
async def test_a_list_that_cannot_be_read(answer: Answer, reason: Reason) -> None:
    """What is wrong is an error with its reason, by which ListModels tells that the provider is unreachable."""
    async with reached() as (fake, http):
        fake.answer_next(answer)
        with pytest.raises(ImageError) as caught:
            await google().list_models(http, SECRET)

    assert caught.value.reason is reason


async def test_ended_models_are_not_listed_and_known_all_the_same() -> None:
    """Their last day is told; a call by such a name is still made."""
    after = {model.id for model in living_models(datetime(2026, 11, 1, tzinfo=UTC))}

    assert "gemini-2.5-flash-image" not in after
    assert find_model("gemini-2.5-flash-image").retire_time == datetime(2026, 10, 2, tzinfo=UTC)
    assert set(MODELS) <= after
    assert [model.id for model in await google().models()] == [model.id for model in living_models(datetime.now(UTC))]


def test_families() -> None:
    """What differs: previews, resolutions and ratios; an id of tomorrow has no list to be held against."""
    second, third = find_model("gemini-2.5-flash-image").capabilities, find_model("gemini-3-pro-image").capabilities
    unknown = find_model("imagine-this")

    assert (second.previews, third.previews) == (PreviewSupport.NONE, PreviewSupport.IMAGES)
    assert third.resolutions == ("1K", "2K", "4K")
    assert find_model("gemini-3.1-flash-lite-image").capabilities.resolutions == ("1K",)
    assert "8:1" in find_model("gemini-3.1-flash-image").capabilities.aspect_ratios
    assert not unknown.known
    assert unknown.capabilities.generate is None
    assert unknown.capabilities.aspect_ratios == ()
