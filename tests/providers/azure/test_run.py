"""The provider as the engine runs it, on a strict fake of the vendor. What it shares with openai is tested there."""

import asyncio
import io
from dataclasses import replace
from typing import Any, Literal

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, PreviewShown
from imagegen_server.domain.result import AttemptOutcome, WarningReason
from imagegen_server.domain.task import PixelSize, Wish
from imagegen_server.providers.azure import AzureSettings
from PIL import Image

from tests.support.azure_api import KEY, TOKEN
from tests.support.azure_provider import MODEL, azure_workshop
from tests.support.generation import drawing, editing, events_of, told
from tests.support.http_server import PATIENCE
from tests.support.openai_wire import picture
from tests.support.pictures import png
from tests.support.vendor import Answer, hanging_answer, json_answer

URLStyle = Literal["v1", "deployments"]
V1 = AzureSettings()
OLDER = AzureSettings(url_style="deployments")
STYLES = pytest.mark.parametrize("settings", [V1, OLDER], ids=["v1", "deployments"])
OLD = "azure/old"
"""Served by a model of three sizes that the vendor ends."""


@STYLES
async def test_a_picture_is_drawn(settings: AzureSettings) -> None:
    """By the deployment, with the key in the vendor's own header, the vendor's id and what its filters found."""
    async with azure_workshop(settings) as made:
        result = await made.workshop.result(drawing(MODEL, count=2, format="jpeg"))
    (request,) = made.fake.requests

    place = "/openai/v1" if settings is V1 else "/openai/deployments/pictures"
    assert (request.method, request.path) == ("POST", f"{place}/images/generations")
    assert request.query == ("" if settings is V1 else "api-version=2025-04-01-preview")
    assert request.headers["api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.json == {"model": "pictures", "prompt": "a boat", "n": 2, "output_format": "jpeg"}
    assert [image.image.facts.media_type for image in result.images] == ["image/jpeg"] * 2
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == "apim-1"
    said = result.images[0].metadata["azure"]
    assert said["quality"] == "high"
    assert isinstance(said["content_filter_results"], dict)


@STYLES
async def test_a_picture_is_changed_where_the_mask_lets_it(settings: AzureSettings) -> None:
    """As a form, at the deployment's address; the mask arrives transparent where the caller's is white."""
    white = io.BytesIO()
    mask = Image.new("L", (16, 16), 0)
    mask.paste(255, (0, 0, 8, 16))
    mask.save(white, "PNG")
    async with azure_workshop(settings) as made:
        await made.workshop.result(editing(png(16, 16), png(8, 8), mask=white.getvalue(), model="azure/art/late"))
    (request,) = made.fake.requests

    assert request.path.endswith("/v1/images/edits" if settings is V1 else "/deployments/art%2Flate/images/edits")
    assert [file.name for file in request.files] == ["image[]", "image[]", "mask"]
    assert request.fields == {"model": "art/late", "prompt": "a boat", "size": "auto"}
    sent = Image.open(io.BytesIO(request.files[2].data))
    assert sent.getchannel("A").tobytes() == (bytes(8) + bytes([255] * 8)) * 16


@STYLES
async def test_previews_are_shown(settings: AzureSettings) -> None:
    """One request for each image, as with OpenAI."""
    async with azure_workshop(settings) as made:
        events = await made.workshop.run(drawing(MODEL, count=2, preview_count=2))

    assert sum(isinstance(event, PreviewShown) for event in events) == 4
    assert [call.json["partial_images"] for call in made.fake.requests] == [2, 2]


async def test_a_version_may_be_said() -> None:
    """It follows every path; without one the newer URLs have none."""
    for settings in (replace(V1, api_version="preview"), replace(OLDER, api_version="2026-01-01-preview")):
        async with azure_workshop(settings) as made:
            await made.workshop.result(drawing(MODEL))
        assert made.fake.requests[0].query == f"api-version={settings.api_version}"


async def test_a_token_is_sent_as_one() -> None:
    """Where the key comes from a program that gets tokens of Microsoft Entra."""
    async with azure_workshop(replace(V1, credential="token"), key=TOKEN) as made:
        await made.workshop.result(drawing(MODEL))
    (request,) = made.fake.requests

    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert "api-key" not in request.headers


async def test_what_a_named_model_does_not_do_is_warned_about() -> None:
    """By the model behind the deployment; its end is told, too."""
    async with azure_workshop() as made:
        result = await made.workshop.result(drawing(OLD, seed=7, quality="max", size=PixelSize(1024, 1024)))

    warned = {(warning.field, warning.reason) for warning in result.warnings}
    assert warned == {
        ("model", WarningReason.MODEL_RETIRING),
        ("options.seed", WarningReason.IGNORED),
        ("options.quality", WarningReason.IGNORED),
    }
    assert made.fake.requests[0].json == {"model": "old", "prompt": "a boat", "size": "1024x1024"}


async def test_a_deployment_that_nobody_named_is_asked_as_its_name_says() -> None:
    """A name like a model's is taken for that model, others for anything; nothing is refused for a guess."""
    async with azure_workshop(named=False) as made:
        await made.workshop.result(drawing("azure/gpt-image-2", aspect_ratio="16:9", resolution="1K"))
        await made.workshop.result(drawing(MODEL, quality="low"))
    first, second = made.fake.requests

    assert first.json["size"] == "1280x720"
    assert second.json == {"model": "pictures", "prompt": "a boat", "quality": "low"}


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        (drawing(MODEL, size=PixelSize(1000, 1000)), ["options.size"]),
        (drawing(MODEL, background="transparent", format="jpeg"), ["options.background"]),
        (editing(picture((8, 8), "gif"), model=MODEL), ["input.images[0]"]),
    ],
)
async def test_what_the_vendor_would_refuse_is_refused_here(wish: Wish, fields: list[str]) -> None:
    """With the field that is wrong, before anything is sent."""
    async with azure_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert (caught.value.reason, told(caught.value)) == (Reason.INVALID_REQUEST, fields)
    assert made.fake.requests == []


@pytest.mark.parametrize("name", ["model", "prompt", "stream", "image", "image[]", "images", "mask", "response_format"])
async def test_params_that_the_server_sets_are_refused(name: str) -> None:
    """Before anything is sent."""
    async with azure_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(drawing(MODEL, params={"azure": {name: "x"}}))

    assert told(caught.value) == [f"params.azure.{name}"]
    assert made.fake.requests == []


async def test_what_is_explained_is_what_is_sent() -> None:
    """The address with its version and the fields; no key."""
    async with azure_workshop(OLDER) as made:
        (planned,) = await made.workshop.explained(editing(png(16, 16), model=MODEL))
        assert made.fake.requests == []
    shown = repr(planned)

    assert "/openai/deployments/pictures/images/edits?api-version=2025-04-01-preview" in shown
    assert KEY not in shown


@pytest.mark.parametrize("place", ["headers", "body"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """The vendor sees its socket closed, the generation is CANCELLED, and the next call works."""
    answer = Answer(before=asyncio.Event()) if place == "headers" else hanging_answer(asyncio.Event())
    async with azure_workshop() as made:
        made.fake.answer_next(answer)
        async with made.workshop.opened(drawing(MODEL)) as generation:
            made.workshop.engine.launch(generation)
            await (answer.asked if place == "headers" else answer.begun).wait()
        async with asyncio.timeout(PATIENCE):
            await answer.client_gone.wait()
        last = (await events_of(generation))[-1]
        assert len((await made.workshop.result(drawing(MODEL))).images) == 1

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)


SECRET = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"


@pytest.mark.parametrize("credential", ["key", "token"])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": f"c {SECRET}", "message": f"{PROMPT} by {SECRET}", "param": f"p {SECRET}"}},
        {"error": {"code": None, "message": PROMPT, "innererror": {"code": f"{SECRET}"}}},
        {"statusCode": 401, "message": f"{SECRET} {PROMPT}"},
        {"data": [{"content_filter_results": {SECRET: {"filtered": True, "severity": PROMPT}}}]},
    ],
)
async def test_what_the_vendor_repeats_goes_no_further(
    body: dict[str, Any], credential: Literal["key", "token"]
) -> None:
    """Neither key nor prompt is in an error."""
    async with azure_workshop(replace(V1, credential=credential), key=SECRET) as made:
        answer = json_answer(200 if "data" in body else 400, body)
        made.fake.answer_next(replace(answer, checks=False))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=PROMPT))
    shown = repr((broken, vars(broken.error), broken.error.facts()))

    assert SECRET not in shown
    assert "Ermintrude" not in shown
