"""The fake and the adapter held against the vendor's own package, `google-genai`.

Two differences are none to the vendor, whose JSON is protobuf's: the package writes some names in snake case and
base64 in its URL-safe form, we write camel case and the usual form.
"""

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.task import Operation, Options, Task
from imagegen_server.providers.google import PROVIDER, GoogleSettings

from tests.support.generation import as_input
from tests.support.google_api import KEY, fake_google
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
from tests.support.wire import WireFixture, wire_fixtures

MODEL = "gemini-3-pro-image"
SIGNATURE = b"a thought"


async def sent(task: Task) -> RecordedRequest:
    """Tell what the adapter sends."""
    return await sent_by_adapter(PROVIDER.build("google", GoogleSettings()), task, f"{NOBODY}/v1beta")


@given(
    options=st.fixed_dictionaries({}, optional=OPTIONS),
    pictures=st.integers(0, 3),
    previews=st.sampled_from([0, 2]),
    safe=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_the_adapter_sends_what_the_package_sends(
    options: dict[str, Any], pictures: int, previews: int, *, safe: bool
) -> None:
    """For the same wish both send the same method, path, query, key and JSON."""
    types = require_package("google.genai").types
    data = [png(8, 8, shade=shade) for shade in range(pictures)]
    strict: list[Any] = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}] if safe else []
    task = Task(
        Operation.EDIT if pictures else Operation.GENERATE,
        MODEL,
        "a boat, ein Böötchen",
        Options(count=1, preview_count=previews, **options),
        tuple(as_input(item) for item in data),
        params={"safetySettings": strict} if strict else {},
    )
    image = {"aspect_ratio": options.get("aspect_ratio"), "image_size": options.get("resolution")}
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        seed=options.get("seed"),
        image_config=types.ImageConfig(**image) if any(image.values()) else None,
        thinking_config=types.ThinkingConfig(include_thoughts=True) if previews else None,
        safety_settings=[types.SafetySetting(**item) for item in strict] or None,
    )
    contents = [types.Content(role="user", parts=[types.Part(text=task.prompt), *(blob(types, item) for item in data)])]

    def call(models: Any) -> Any:
        generate = models.generate_content_stream if previews else models.generate_content
        return generate(model=MODEL, contents=contents, config=config)

    ours, theirs = await sent(task), await sent_by_package(call)

    assert (ours.method, ours.path, ours.query) == (theirs.method, theirs.path, theirs.query)
    assert ours.headers["x-goog-api-key"] == theirs.headers["x-goog-api-key"] == KEY
    assert plain(ours) == plain(theirs)


async def test_a_further_turn_is_the_conversation_that_the_package_holds() -> None:
    """An image with its signature is sent as the turn of the model that drew it, behind the words that asked for it."""
    types = require_package("google.genai").types
    drawn, other = png(8, 8, shade=1), png(8, 8, shade=2)
    told = {"google": {"prompt": "a boat", "thought_signature": base64.b64encode(SIGNATURE).decode()}}
    first = InputImage(drawn, as_input(drawn).facts, told)
    task = Task(Operation.EDIT, MODEL, "make it red", Options(count=1), (first, as_input(other)))
    config = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
    contents = [
        types.Content(role="user", parts=[types.Part(text="a boat")]),
        types.Content(role="model", parts=[blob(types, drawn, thought_signature=SIGNATURE)]),
        types.Content(role="user", parts=[types.Part(text="make it red"), blob(types, other)]),
    ]

    ours = await sent(task)
    theirs = await sent_by_package(
        lambda models: models.generate_content(model=MODEL, contents=contents, config=config)
    )

    assert plain(ours) == plain(theirs)


async def test_the_package_draws_with_the_fake() -> None:
    """Whole and in pieces, with interim images; and it lists the models."""
    types = require_package("google.genai").types
    async with fake_google() as fake, package_client(fake.base_url.removesuffix("/v1beta")) as models:
        whole = await models.generate_content(model=MODEL, contents="a boat")
        config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
        pieces = [
            piece async for piece in await models.generate_content_stream(model=MODEL, contents="a boat", config=config)
        ]
        listed = [model.name async for model in await models.list()]

    assert whole.parts[0].inline_data.data.startswith(b"\x89PNG")
    assert whole.parts[0].thought_signature == b"signature"
    thoughts = [bool(part.thought) for piece in pieces for part in piece.parts if part.inline_data]
    assert thoughts == [True, True, False]
    assert pieces[-1].usage_metadata.candidates_token_count == 1130
    assert f"models/{MODEL}" in listed


async def test_the_fake_refuses_as_the_package_reads_it() -> None:
    """A bad key, an unknown model and a picture without its signature are the package's ClientError."""
    errors, types = require_package("google.genai.errors"), require_package("google.genai").types
    unsigned = types.Content(role="model", parts=[blob(types, png(8, 8))])
    ask = types.Content(role="user", parts=[types.Part(text="red")])
    seen = []
    async with fake_google() as fake:
        base = fake.base_url.removesuffix("/v1beta")
        for key, model, contents in (
            ("AIza-other", MODEL, "a boat"),
            (KEY, "gemini-0", "a boat"),
            (KEY, MODEL, [unsigned, ask]),
        ):
            async with package_client(base, api_key=key) as models:
                with pytest.raises(errors.ClientError) as caught:
                    await models.generate_content(model=model, contents=contents)
            seen.append((caught.value.code, caught.value.status))

    assert seen == [(400, "INVALID_ARGUMENT"), (404, "NOT_FOUND"), (400, "INVALID_ARGUMENT")]


WITH_STATUS = [
    fixture
    for fixture in wire_fixtures("google")
    if fixture.status >= 400 and isinstance(fixture.content.get("body_json"), dict)
]


@pytest.mark.parametrize("fixture", WITH_STATUS, ids=lambda fixture: fixture.name)
async def test_the_package_reads_a_recorded_failure_alike(fixture: WireFixture) -> None:
    """Number and status are those that the file holds."""
    errors = require_package("google.genai.errors")
    async with fake_google() as fake, package_client(fake.base_url.removesuffix("/v1beta")) as models:
        fake.answer_next(fixture.answer())
        with pytest.raises(errors.APIError) as caught:
            await models.generate_content(model=MODEL, contents="a boat")

    said = fixture.content["body_json"]["error"]
    assert (caught.value.code, caught.value.status, caught.value.message) == (
        fixture.status,
        said["status"],
        said["message"],
    )


IMAGES = [
    fixture
    for fixture in wire_fixtures("google")
    if fixture.expect["images"] and fixture.status == 200 and fixture.operation == "generate"
]


@pytest.mark.parametrize("fixture", IMAGES, ids=lambda fixture: fixture.name)
async def test_the_package_finds_the_pictures_of_a_recorded_answer(fixture: WireFixture) -> None:
    """What we make a picture of is one to the package, too."""
    require_package("google.genai")
    async with fake_google() as fake, package_client(fake.base_url.removesuffix("/v1beta")) as models:
        fake.answer_next(fixture.answer())
        read = await models.generate_content(model=MODEL, contents="a boat")

    assert any(part.inline_data and part.inline_data.data for part in read.parts)
