"""The provider `vertex` behind the engine, in front of the fake."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import Operation, Options, Wish
from imagegen_server.http.client import HttpSettings
from imagegen_server.providers.vertex import VertexSettings
from imagegen_server.providers.vertex.settings import base_url_of

from tests.support.generation import CALLER, as_input
from tests.support.google_api import error
from tests.support.pictures import png
from tests.support.vendor import Answer, json_answer
from tests.support.vertex_api import KEY, PROJECT
from tests.support.vertex_provider import MODEL, vertex_workshop

DRAW = Wish(Operation.GENERATE, MODEL, "a lighthouse at dusk", Options())


def edit(*images: InputImage) -> Wish:
    """Change pictures."""
    return Wish(Operation.EDIT, MODEL, "make it red", Options(), images)


def with_params(wish: Wish, params: dict[str, Any]) -> Wish:
    """Say something in the vendor's own words."""
    return replace(wish, params={"vertex": params})


async def test_a_key_is_express_mode() -> None:
    """The paths name no project, though one is set up, and the key stands in its header."""
    async with vertex_workshop(VertexSettings(PROJECT)) as made:
        await made.workshop.result(DRAW)
        await made.workshop.result(replace(DRAW, options=Options(preview_count=1)))
    drawn, shown = made.fake.requests

    assert drawn.path == "/v1/publishers/google/models/gemini-3-pro-image:generateContent"
    assert shown.path == "/v1/publishers/google/models/gemini-3-pro-image:streamGenerateContent"
    assert shown.query == "alt=sse"
    assert drawn.headers["x-goog-api-key"] == KEY
    assert "authorization" not in drawn.headers


async def test_the_version_of_the_paths_can_be_chosen() -> None:
    """For what only a newer one knows."""
    async with vertex_workshop(VertexSettings(api_version="v1beta1")) as made:
        await made.workshop.result(DRAW)

    assert made.fake.requests[0].path.startswith("/v1beta1/publishers/")


async def test_previews_are_the_thoughts() -> None:
    """Interim images are shown if they are asked for."""
    async with vertex_workshop() as made:
        events = await made.workshop.run(replace(DRAW, options=Options(preview_count=2)))

    assert sum(isinstance(event, PreviewShown) for event in events) == 2
    assert isinstance(events[-1], Finished)


async def test_the_format_can_be_chosen() -> None:
    """With its degree of compression; the picture is of that format."""
    options = Options(format="jpeg", compression=80, aspect_ratio="16:9", resolution="2K", seed=7)
    async with vertex_workshop() as made:
        result = await made.workshop.result(replace(DRAW, options=options))

    assert not result.warnings
    assert result.images[0].image.facts.media_type == "image/jpeg"
    assert made.fake.requests[0].json["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"],
        "imageConfig": {
            "aspectRatio": "16:9",
            "imageSize": "2K",
            "imageOutputOptions": {"mimeType": "image/jpeg", "compressionQuality": 80},
        },
        "seed": 7,
    }


@pytest.mark.parametrize(("chosen", "told"), [(None, "no format was chosen"), ("png", "image/png has none")])
async def test_a_compression_of_nothing_is_a_warning(chosen: str | None, told: str) -> None:
    """The vendor has it for JPEG alone."""
    async with vertex_workshop() as made:
        result = await made.workshop.result(replace(DRAW, options=Options(format=chosen, compression=80)))

    assert [(item.field, item.reason) for item in result.warnings] == [("options.compression", WarningReason.IGNORED)]
    assert told in result.warnings[0].message
    assert "compressionQuality" not in made.fake.requests[0].body.decode()


async def test_params_choose_the_format_too() -> None:
    """In the vendor's own place; the option beside it is a warning, and a compression is of what params say."""
    output = {"generationConfig": {"imageConfig": {"imageOutputOptions": {"mimeType": "image/jpeg"}}}}
    async with vertex_workshop() as made:
        wish = with_params(replace(DRAW, options=Options(format="png", compression=80)), output)
        result = await made.workshop.result(wish)

    assert [(item.field, item.reason) for item in result.warnings] == [
        ("options.format", WarningReason.OVERRIDDEN_BY_PARAMS)
    ]
    sent = made.fake.requests[0].json["generationConfig"]["imageConfig"]["imageOutputOptions"]
    assert sent == {"mimeType": "image/jpeg", "compressionQuality": 80}


async def test_labels_and_people_are_params() -> None:
    """What is the vendor's alone goes through as it is."""
    params = {"labels": {"team": "posters"}, "generationConfig": {"imageConfig": {"personGeneration": "ALLOW_NONE"}}}
    async with vertex_workshop() as made:
        await made.workshop.result(with_params(DRAW, params))
    sent = made.fake.requests[0].json

    assert sent["labels"] == {"team": "posters"}
    assert sent["generationConfig"]["imageConfig"] == {"personGeneration": "ALLOW_NONE"}


@pytest.mark.parametrize("several", [False, True])
async def test_files_in_a_bucket_are_parts(several: bool) -> None:
    """They stand behind the words and the input images, and are no field of the request."""
    file = {"fileUri": "gs://pictures/harbour.png", "mimeType": "image/png"}
    async with vertex_workshop() as made:
        await made.workshop.result(with_params(DRAW, {"fileData": [file, file] if several else file}))
        await made.workshop.result(with_params(edit(as_input(png(8, 8))), {"fileData": file}))
    drawn, edited = (call.json for call in made.fake.requests)

    assert drawn["contents"][0]["parts"] == [{"text": DRAW.prompt}] + [{"fileData": file}] * (2 if several else 1)
    assert [*map(list, edited["contents"][0]["parts"])] == [["text"], ["inlineData"], ["fileData"]]
    assert "fileData" not in drawn


@pytest.mark.parametrize("files", ["gs://x", [{"mimeType": "image/png"}], [{"fileUri": 1}], None, [["x"]]])
async def test_files_that_are_none_are_refused(files: object) -> None:
    """By the name of the param, before anything is sent."""
    async with vertex_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(with_params(DRAW, {"fileData": files}))

    assert [violation.field for violation in caught.value.violations] == ["params.vertex.fileData"]
    assert not made.fake.requests


async def test_what_came_can_be_changed_in_a_further_turn() -> None:
    """The result has all that an edit needs for the vendor to know its own picture again."""
    async with vertex_workshop() as made:
        [image] = (await made.workshop.result(DRAW)).images
        _, data = await made.workshop.store.get(CALLER.name, image.image.image_id)
        await made.workshop.result(edit(replace(as_input(data), metadata=image.metadata)))
    contents = made.fake.requests[-1].json["contents"]

    assert [turn["role"] for turn in contents] == ["user", "model", "user"]
    assert contents[1]["parts"][0]["thoughtSignature"] == image.metadata["vertex"]["thought_signature"]


@pytest.mark.parametrize("name", ["contents", "model"])
async def test_what_the_adapter_sets_cannot_be_given(name: str) -> None:
    """Params that are the adapter's own are refused before anything is sent."""
    async with vertex_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(with_params(DRAW, {name: "x"}))

    assert [violation.field for violation in caught.value.violations] == [f"params.vertex.{name}"]
    assert not made.fake.requests


async def test_a_refused_format_is_named_as_the_option() -> None:
    """The vendor's field is one of ours."""
    field = "generation_config.image_config.image_output_options.mime_type"
    details = {"fieldViolations": [{"field": field, "description": "Not here."}]}
    async with vertex_workshop() as made:
        made.fake.answer_next(json_answer(400, error(400, "INVALID_ARGUMENT", "Not here.", details)))
        broken = await made.workshop.broken(replace(DRAW, options=Options(format="png")))

    assert broken.error.reason is Reason.INVALID_REQUEST
    assert [violation.field for violation in broken.error.violations] == ["options.format"]


@pytest.mark.parametrize("previews", [0, 2])
async def test_leaving_closes_the_connection(previews: int) -> None:
    """When the last reader leaves, the vendor sees its connection closed."""
    answer = Answer(before=asyncio.Event())
    async with vertex_workshop() as made:
        made.fake.answer_next(answer)
        reading = await made.workshop.open(replace(DRAW, options=Options(preview_count=previews)))
        made.workshop.engine.launch(reading.generation)
        async with asyncio.timeout(10):
            await answer.asked.wait()
            await reading.close()
            await answer.client_gone.wait()


async def test_a_failure_repeats_neither_key_nor_prompt() -> None:
    """Whatever a vendor echoes is taken out of the message."""
    echo = f"key {KEY} may not ask for: {DRAW.prompt}"
    async with vertex_workshop() as made:
        made.fake.answer_next(json_answer(400, error(400, "INVALID_ARGUMENT", echo)))
        last = (await made.workshop.run(DRAW))[-1]

    assert isinstance(last, Broken)
    assert KEY not in last.error.message
    assert DRAW.prompt not in last.error.message


async def test_explain_tells_the_address_of_express_mode() -> None:
    """It is the global one, whatever the location."""
    settings = VertexSettings(PROJECT, "europe-west4")
    async with vertex_workshop(settings, http=HttpSettings(base_url_of(settings))) as made:
        [planned] = await made.workshop.explained(DRAW)

    assert planned.url.startswith("https://aiplatform.googleapis.com/v1/publishers/google/models/")


async def test_explain_tells_what_would_be_sent() -> None:
    """With a key and without; nothing is sent, and nobody is asked for a token."""
    async with vertex_workshop(VertexSettings(PROJECT)) as made:
        [express] = await made.workshop.explained(DRAW)
        assert not made.fake.requests
    async with vertex_workshop(VertexSettings(PROJECT, "eu", credentials_file="/nowhere"), key="") as made:
        [placed] = await made.workshop.explained(DRAW)
        assert not made.fake.requests

    assert express.url.endswith("/v1/publishers/google/models/gemini-3-pro-image:generateContent")
    place = f"/v1/projects/{PROJECT}/locations/eu/publishers/google/models/gemini-3-pro-image:generateContent"
    assert placed.url.endswith(place)
    assert KEY not in repr(express)
