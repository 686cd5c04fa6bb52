"""What the adapter sends is what the official package sends to Azure for the same wish, in both styles of URLs.

Two differences are wanted. An edit always says its size, as with OpenAI; the package is asked for "auto" there. With
the newer URLs, for which the vendor's pages use OpenAI's own client, that sends a key like a token; we send it as
`api-key`, which is as good there.
"""

import time
from dataclasses import replace
from typing import Any, Literal

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Operation, Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.azure import PROVIDER, AzureSettings
from imagegen_server.providers.azure.settings import base_url_of
from imagegen_server.providers.base import Call

from tests.support.azure_package import ENDPOINT, sent_to_azure
from tests.support.openai_wishes import Asked, asked
from tests.support.recording import RecordedRequest, recorded

SECRET = "0123456789abcdef"
HEADERS = ("api-key", "authorization")
DEPLOYMENTS = st.sampled_from(["pictures", "gpt-image-2", "a b", "team/art", "größe"])

URLStyle = Literal["v1", "deployments"]
Credential = Literal["key", "token"]


async def sent_by_adapter(task: Task, provider_settings: AzureSettings) -> RecordedRequest:
    """Run a task against a transport that answers without images, and return what was sent."""
    requests: list[RecordedRequest] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), request.content))
        return httpx.Response(200, json={"created": 0, "data": []})

    provider = PROVIDER.build("azure", provider_settings)
    http = HttpClient(HttpSettings(base_url_of(provider_settings)), httpx.MockTransport(answer))
    call = Call(time.monotonic() + 60, structlog.get_logger(), lambda _: None, http, Secret(SECRET))
    prepared, warnings = provider.prepare(task)
    assert not warnings
    with pytest.raises(ImageError, match="no image"):
        async for _ in provider.run(prepared, call):
            pass
    (request,) = requests
    return request


async def both(
    wish: Asked, deployment: str, url_style: URLStyle, credential: Credential
) -> tuple[RecordedRequest, RecordedRequest]:
    """Ask for the same by a deployment: what we send, and what the package sends."""
    ours = await sent_by_adapter(
        replace(wish.task, model=deployment),
        AzureSettings(ENDPOINT, url_style, deployments={deployment: wish.task.model}, credential=credential),
    )
    arguments: dict[str, Any] = wish.arguments | {"model": deployment}
    named = {"api_key": SECRET} if credential == "key" else {"azure_ad_token": SECRET}
    edits = wish.task.operation is Operation.EDIT
    theirs = await sent_to_azure(
        lambda client: client.images.edit(**arguments) if edits else client.images.generate(**arguments),
        url_style,
        named,
    )
    assert (ours.method, ours.path, ours.query, ours.media_type) == (
        theirs.method,
        theirs.path,
        theirs.query,
        theirs.media_type,
    )
    if (url_style, credential) == ("v1", "key"):
        assert [ours.headers.get(header) for header in HEADERS] == [SECRET, None]
        assert [theirs.headers.get(header) for header in HEADERS] == [None, f"Bearer {SECRET}"]
    else:
        for header in HEADERS:
            assert ours.headers.get(header) == theirs.headers.get(header)
    return ours, theirs


@pytest.mark.parametrize("credential", ["key", "token"])
@pytest.mark.parametrize("url_style", ["v1", "deployments"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wish=asked(Operation.GENERATE), deployment=DEPLOYMENTS)
async def test_a_generation_is_asked_for_in_the_same_words(
    wish: Asked, deployment: str, url_style: URLStyle, credential: Credential
) -> None:
    """Address, credentials and JSON are equal."""
    ours, theirs = await both(wish, deployment, url_style, credential)

    assert ours.json == theirs.json


@pytest.mark.parametrize("credential", ["key", "token"])
@pytest.mark.parametrize("url_style", ["v1", "deployments"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wish=asked(Operation.EDIT), deployment=DEPLOYMENTS)
async def test_an_edit_is_asked_for_in_the_same_words(
    wish: Asked, deployment: str, url_style: URLStyle, credential: Credential
) -> None:
    """Address, credentials, fields and files are equal."""
    ours, theirs = await both(wish, deployment, url_style, credential)

    assert ours.fields == theirs.fields
    assert ours.files == theirs.files
