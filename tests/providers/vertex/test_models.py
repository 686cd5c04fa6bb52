"""Which models there are, and what they can do."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from imagegen_server.domain.capabilities import Model, PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.google import models as gemini
from imagegen_server.providers.google.request import PARAM_PATHS
from imagegen_server.providers.vertex import PROVIDER, VertexSettings
from imagegen_server.providers.vertex.models import find_vertex_model, known_models, listed_model
from imagegen_server.providers.vertex.provider import Vertex

from tests.support.google_api import error
from tests.support.vendor import Answer, json_answer
from tests.support.vertex_api import KEY, MODELS, PROJECT, FakeVertex, fake_vertex


class Signed:
    """Stands for credentials that have their token."""

    valid = True
    quota_project_id = None

    def __init__(self, token: str) -> None:
        """Take the token."""
        self.token = token


@asynccontextmanager
async def reached() -> AsyncIterator[tuple[FakeVertex, Vertex, HttpClient]]:
    """Run a fake, a provider that has its token, and a client of the fake."""
    async with fake_vertex() as fake:
        http = HttpClient(HttpSettings(fake.base_url))
        provider = PROVIDER.build("vertex", VertexSettings(PROJECT))
        assert isinstance(provider, Vertex)
        (token,) = fake.tokens
        provider._tokens._credentials = Signed(token)
        try:
            yield fake, provider, http
        finally:
            await provider.close()
            await http.close()


def ids(models: Sequence[Model]) -> list[str]:
    """Name models."""
    return [model.id for model in models]


async def test_the_list_is_the_vendors() -> None:
    """Gemini's image models of it, also those that are newer than this server; none of the others about images."""
    async with reached() as (fake, provider, http):
        listed = await provider.list_models(http, None)

    assert ids(listed) == [*MODELS, "gemini-9-image-of-tomorrow"]
    assert all(model.known for model in listed)
    assert (fake.requests[0].path, fake.requests[0].query) == ("/v1beta1/publishers/google/models", "pageSize=100")
    assert fake.requests[0].headers["authorization"].startswith("Bearer ya29.")


async def test_all_pages_are_read() -> None:
    """To the end; a model that stands there twice, in two versions, is one."""
    name = "publishers/google/models/gemini-1-image"
    first = {"publisherModels": [{"name": name, "versionId": "1"}], "nextPageToken": "p 2"}
    last = {"publisherModels": [{"name": name, "versionId": "2"}, "odd", {"name": None}]}
    async with reached() as (fake, provider, http):
        fake.answer_next(json_answer(200, first), json_answer(200, last))
        listed = await provider.list_models(http, None)

    assert ids(listed) == ["gemini-1-image"]
    assert fake.requests[1].query == "pageSize=100&pageToken=p+2"


async def test_express_mode_has_no_list() -> None:
    """With a key nobody is asked, and the known models are listed."""
    async with reached() as (fake, provider, http):
        listed = await provider.list_models(http, Secret(KEY))

    assert ids(listed) == ids(known_models()) == ids(await provider.models())
    assert not fake.requests


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (json_answer(503, error(503, "UNAVAILABLE", "overloaded")), Reason.PROVIDER_UNAVAILABLE),
        (json_answer(403, error(403, "PERMISSION_DENIED", "requires a quota project")), Reason.AUTHENTICATION_FAILED),
        (json_answer(200, []), Reason.INVALID_RESPONSE),
        (Answer(200, {"content-type": "text/html"}, [b"<html>"]), Reason.INVALID_RESPONSE),
    ],
    ids=["down", "forbidden", "no object", "no JSON"],
)
async def test_a_list_that_cannot_be_read(answer: Answer, reason: Reason) -> None:
    """What is wrong is an error with its reason, by which ListModels tells that the provider is unreachable."""
    async with reached() as (fake, provider, http):
        fake.answer_next(answer)
        with pytest.raises(ImageError) as caught:
            await provider.list_models(http, None)

    assert caught.value.reason is reason


async def test_a_refused_token_is_forgotten_by_the_list_too() -> None:
    """Whoever asks next gets another."""
    async with reached() as (fake, provider, http):
        fake.tokens.clear()
        with pytest.raises(ImageError):
            await provider.list_models(http, None)

        assert provider._tokens._credentials is None


@pytest.mark.parametrize(
    "entry", [{}, {"name": 5}, {"name": "publishers/google/models/imagetext"}, {"name": "a-image"}]
)
def test_entries_of_other_kinds(entry: Mapping[str, Any]) -> None:
    """They are no models of ours."""
    assert listed_model(entry) is None


def test_ends_are_those_of_this_interface() -> None:
    """They differ from those of the Gemini API."""
    here, there = find_vertex_model("gemini-2.5-flash-image"), gemini.find_model("gemini-2.5-flash-image")

    assert here.retire_time == datetime(2027, 3, 15, tzinfo=UTC)
    assert there.retire_time == datetime(2026, 10, 2, tzinfo=UTC)
    assert find_vertex_model("gemini-3-pro-image-preview").retire_time == datetime(2026, 7, 19, tzinfo=UTC)
    assert find_vertex_model("gemini-3-pro-image").retire_time is None
    assert all(model.retire_time is None or model.retire_time > datetime.now(UTC) for model in known_models())


def test_families() -> None:
    """As with the Gemini API, and with formats; of an id of tomorrow nothing is promised."""
    second, third = find_vertex_model("gemini-2.5-flash-image"), find_vertex_model("gemini-3-pro-image")
    unknown = find_vertex_model("imagine-this")

    assert third.capabilities.options == frozenset({*PARAM_PATHS, "format", "compression"})
    assert third.capabilities.formats == second.capabilities.formats == ("png", "jpeg")
    assert (second.capabilities.previews, third.capabilities.previews) == (PreviewSupport.NONE, PreviewSupport.IMAGES)
    assert not unknown.known
    assert unknown.capabilities.generate is None
    assert unknown.capabilities.formats == ()
