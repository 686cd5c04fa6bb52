"""The fake and the adapter held against the vendor's own package, `google-genai`, as it speaks to Vertex AI.

What is no difference to the vendor is told in tests/providers/google. One is on purpose: the package's paths have the
version v1beta1 unless it is told another; ours have v1, as the vendor's pages do.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.providers.vertex import PROVIDER, VertexSettings
from imagegen_server.providers.vertex.models import FORMATS
from imagegen_server.providers.vertex.settings import base_url_of

from tests.support.generation import as_input
from tests.support.google_package import (
    NOBODY,
    OPTIONS,
    blob,
    package_client,
    plain,
    sent_by_adapter,
    sent_by_package,
)
from tests.support.pictures import png
from tests.support.recording import RecordedRequest
from tests.support.tools import require_package
from tests.support.vertex_api import KEY, PROJECT, TOKEN, fake_vertex
from tests.support.wire import WireFixture, wire_fixtures

MODEL = "gemini-3-pro-image"
PLACES = ["global", "us", "eu", "europe-west4", "us-central1", "northamerica-northeast1"]
FILE = {"fileUri": "gs://pictures/harbour.png", "mimeType": "image/png"}


def credentials(token: str = TOKEN, quota_project: str | None = None) -> Any:
    """Credentials that have their token."""
    return require_package("google.oauth2.credentials").Credentials(token, quota_project_id=quota_project)


def who(key: str, location: str = "global", quota_project: str | None = None) -> dict[str, Any]:
    """Tell the package who asks; "" = whoever has the token."""
    if key:
        return {"vertexai": True, "api_key": key}
    return {
        "vertexai": True,
        "project": PROJECT,
        "location": location,
        "credentials": credentials(quota_project=quota_project),
    }


async def sent(task: Task, key: str, location: str, quota_project: str | None) -> RecordedRequest:
    """Tell what the adapter sends."""
    provider = PROVIDER.build("vertex", VertexSettings(PROJECT, location))
    with pytest.MonkeyPatch.context() as patch:
        found = (credentials(quota_project=quota_project), None)
        patch.setattr(require_package("google.auth"), "default", lambda **_options: found)
        request = await sent_by_adapter(provider, task, NOBODY, key)
    await provider.close()
    return request


@given(
    options=st.fixed_dictionaries({}, optional={**OPTIONS, "format": st.sampled_from(FORMATS)}),
    compression=st.none() | st.integers(0, 100),
    pictures=st.integers(0, 3),
    previews=st.sampled_from([0, 2]),
    params=st.sets(st.sampled_from(["labels", "safetySettings", "fileData"])),
    key=st.sampled_from(["", KEY]),
    location=st.sampled_from(PLACES),
    quota_project=st.sampled_from([None, "shared"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_the_adapter_sends_what_the_package_sends(
    *,
    options: dict[str, Any],
    compression: int | None,
    pictures: int,
    previews: int,
    params: set[str],
    key: str,
    location: str,
    quota_project: str | None,
) -> None:
    """For the same wish both send the same method, path, query, proof of who asks, and JSON."""
    types = require_package("google.genai").types
    if compression is not None:
        options |= {"format": "jpeg", "compression": compression}
    data = [png(8, 8, shade=shade) for shade in range(pictures)]
    said: dict[str, Any] = {
        "labels": {"team": "posters"},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}],
        "fileData": FILE,
    }
    task = Task(
        Operation.EDIT if pictures else Operation.GENERATE,
        MODEL,
        "a boat, ein Böötchen",
        Options(count=1, preview_count=previews, **options),
        tuple(as_input(item) for item in data),
        params={name: value for name, value in said.items() if name in params},
    )
    image = {
        "aspect_ratio": options.get("aspect_ratio"),
        "image_size": options.get("resolution"),
        "output_mime_type": f"image/{options['format']}" if "format" in options else None,
        "output_compression_quality": compression,
    }
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        seed=options.get("seed"),
        image_config=types.ImageConfig(**image) if any(value is not None for value in image.values()) else None,
        thinking_config=types.ThinkingConfig(include_thoughts=True) if previews else None,
        safety_settings=said["safetySettings"] if "safetySettings" in params else None,
        labels=said["labels"] if "labels" in params else None,
    )
    parts = [types.Part(text=task.prompt), *(blob(types, item) for item in data)]
    if "fileData" in params:
        parts.append(types.Part.from_uri(file_uri=FILE["fileUri"], mime_type=FILE["mimeType"]))
    contents = [types.Content(role="user", parts=parts)]

    def call(models: Any) -> Any:
        generate = models.generate_content_stream if previews else models.generate_content
        return generate(model=MODEL, contents=contents, config=config)

    ours = await sent(task, key, location, quota_project)
    theirs = await sent_by_package(call, api_version="v1", **who(key, location, quota_project))

    assert (ours.method, ours.path, ours.query) == (theirs.method, theirs.path, theirs.query)
    for name in ("x-goog-api-key", "authorization", "x-goog-user-project"):
        assert ours.headers.get(name) == theirs.headers.get(name)
    assert plain(ours) == plain(theirs)


@pytest.mark.parametrize("place", PLACES)
def test_a_location_is_where_the_package_says(place: str) -> None:
    """The host of each; and with a key the global one."""
    client = require_package("google.genai").Client
    placed = client(vertexai=True, project=PROJECT, location=place, credentials=credentials())
    express = client(vertexai=True, api_key=KEY)

    assert placed._api_client._http_options.base_url == f"{base_url_of(VertexSettings(PROJECT, place))}/"
    assert express._api_client._http_options.base_url == f"{base_url_of(VertexSettings())}/"
    for made in (placed, express):
        made.close()


@pytest.mark.parametrize("key", ["", KEY])
async def test_the_package_draws_with_the_fake(key: str) -> None:
    """Whole and in pieces, with interim images, in the format that was asked for."""
    types = require_package("google.genai").types
    async with fake_vertex() as fake, package_client(fake.base_url, api_version="v1", **who(key)) as models:
        jpeg = types.GenerateContentConfig(image_config=types.ImageConfig(output_mime_type="image/jpeg"))
        whole = await models.generate_content(model=MODEL, contents="a boat", config=jpeg)
        config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
        pieces = [
            piece async for piece in await models.generate_content_stream(model=MODEL, contents="a boat", config=config)
        ]

    assert whole.parts[0].inline_data.data.startswith(b"\xff\xd8")
    thoughts = [bool(part.thought) for piece in pieces for part in piece.parts if part.inline_data]
    assert thoughts == [True, True, False]


async def test_the_package_lists_what_the_fake_has() -> None:
    """In the version that has a list, which is the package's own default."""
    async with fake_vertex() as fake, package_client(fake.base_url, api_version="v1beta1", **who("")) as models:
        listed = [model.name async for model in await models.list()]

    assert f"publishers/google/models/{MODEL}" in listed
    assert fake.requests[0].path == "/v1beta1/publishers/google/models"


async def test_the_fake_refuses_as_the_package_reads_it() -> None:
    """A bad token, a bad key, another project, an unknown model, another location: the package's ClientError."""
    genai = require_package("google.genai")
    errors = require_package("google.genai.errors")
    token = who("")
    seen = []
    async with fake_vertex() as fake:
        for asking, model in (
            ({**token, "credentials": credentials("ya29.other")}, MODEL),
            ({"vertexai": True, "api_key": "other"}, MODEL),
            ({**token, "project": "another"}, MODEL),
            (token, "gemini-0"),
            ({**token, "location": "europe-west4"}, MODEL),
        ):
            async with package_client(fake.base_url, api_version="v1", **asking) as models:
                with pytest.raises(errors.ClientError) as caught:
                    await models.generate_content(model=model, contents="a boat")
            seen.append((caught.value.code, caught.value.status))
        turns = [genai.types.Content(parts=[genai.types.Part(text="a boat")])]
        async with package_client(fake.base_url, api_version="v1", **token) as models:
            with pytest.raises(errors.ClientError, match="valid role"):
                await models.generate_content(model=MODEL, contents=turns)

    assert seen == [
        (401, "UNAUTHENTICATED"),
        (400, "INVALID_ARGUMENT"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (404, "NOT_FOUND"),
    ]


@pytest.mark.parametrize(
    "fixture",
    [fixture for fixture in wire_fixtures("vertex") if fixture.status >= 400 and "body_json" in fixture.content],
    ids=lambda fixture: fixture.name,
)
async def test_the_package_reads_a_recorded_failure_alike(fixture: WireFixture) -> None:
    """Number, status and message are those that the file holds."""
    errors = require_package("google.genai.errors")
    async with fake_vertex() as fake, package_client(fake.base_url, api_version="v1", **who(KEY)) as models:
        fake.answer_next(fixture.answer())
        with pytest.raises(errors.APIError) as caught:
            await models.generate_content(model=MODEL, contents="a boat")

    said = fixture.content["body_json"]["error"]
    assert (caught.value.code, caught.value.status, caught.value.message) == (
        fixture.status,
        said["status"],
        said["message"],
    )
