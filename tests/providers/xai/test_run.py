"""The provider as the engine runs it, on a strict fake of the vendor."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken
from imagegen_server.domain.result import AttemptOutcome, Cost, Warning, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Wish
from imagegen_server.generation import result_url
from PIL import Image

from tests.support.generation import drawing, editing, events_of, told
from tests.support.http_server import PATIENCE
from tests.support.pictures import encoded, png
from tests.support.vendor import Answer, hanging_answer, json_answer
from tests.support.xai_api import KEY, TICKS
from tests.support.xai_provider import MODEL, xai_workshop

FIRST = "xai/grok-imagine-image"
GIF = encoded(Image.new("P", (8, 8)), "GIF")
JPEG = encoded(Image.new("RGB", (8, 8), "red"), "JPEG")


def changing(*images: bytes, model: str = MODEL, params: dict[str, Any] | None = None, **options: Any) -> Wish:
    """Wish for changed pictures."""
    return replace(editing(*images, model=model), options=Options(**options), params={"xai": params or {}})


async def asked(wish: Wish) -> tuple[dict[str, Any], list[Warning]]:
    """Do a wish; tells what the vendor was sent, and what the caller is warned of."""
    async with xai_workshop() as made:
        result = await made.workshop.result(wish)
    return made.fake.requests[0].json, list(result.warnings)


async def test_a_picture_is_drawn() -> None:
    """With its price, which is no estimate, the vendor's id of the request, and the model that drew it."""
    async with xai_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=2))
    (request,) = made.fake.requests

    assert (request.method, request.path) == ("POST", "/v1/images/generations")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert [image.image.facts.media_type for image in result.images] == ["image/jpeg"] * 2
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (2, Cost(2 * TICKS / 10**10, "USD"))
    assert result.metadata["xai"] == {"model": "grok-imagine-image-2.0"}
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == "req-1"


async def test_more_than_ten_are_asked_for_side_by_side() -> None:
    """The prices are added up."""
    async with xai_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=12))

    assert sorted(request.json.get("n", 1) for request in made.fake.requests) == [2, 10]
    assert len(result.images) == 12
    assert result.usage is not None
    assert result.usage.cost is not None
    assert result.usage.cost.amount == pytest.approx(0.24)


async def test_every_option_that_the_vendor_knows_is_sent() -> None:
    """In its own spelling; what is not set is not sent."""
    plain, _ = await asked(drawing(MODEL))
    sent, warned = await asked(drawing(MODEL, aspect_ratio="21:9", resolution="1.5K", quality="low", count=3))

    assert plain == {"model": "grok-imagine-image-2.0", "prompt": "a boat", "response_format": "b64_json"}
    assert sent == plain | {"aspect_ratio": "21:9", "resolution": "1.5k", "quality": "low", "n": 3}
    assert warned == []


async def test_what_the_vendor_does_not_know_is_warned_about() -> None:
    """Each option by its name; nothing of it is sent."""
    options: dict[str, Any] = {
        "size": PixelSize(1024, 1024),
        "background": "transparent",
        "format": "webp",
        "compression": 5,
        "seed": 7,
        "negative_prompt": "rain",
        "preview_count": 2,
    }
    sent, warned = await asked(drawing(MODEL, **options))

    assert set(sent) == {"model", "prompt", "response_format"}
    assert {(warning.field, warning.reason) for warning in warned} == {
        (f"options.{name}", WarningReason.IGNORED) for name in options
    }


async def test_a_value_that_a_model_does_not_have_is_warned_about() -> None:
    """The first generation has no quality, and fewer ratios and resolutions."""
    sent, warned = await asked(drawing(FIRST, quality="low", aspect_ratio="21:9", resolution="1.5K"))

    assert set(sent) == {"model", "prompt", "response_format"}
    assert {warning.field for warning in warned} == {"options.quality", "options.aspect_ratio", "options.resolution"}


async def test_a_model_that_ended_is_warned_about() -> None:
    """The vendor still serves the name, so the call is made."""
    _, warned = await asked(drawing("xai/grok-imagine-image-quality"))

    assert [(warning.field, warning.reason) for warning in warned] == [("model", WarningReason.MODEL_RETIRING)]
    assert "2026-11-02" in warned[0].message


async def test_params_reach_the_vendor_as_they_are() -> None:
    """Those that say what an option says are that option, in the vendor's spelling or in ours."""
    params = {"user": "u-1", "storage_options": {"public_url": True}, "resolution": "2k", "n": 2, "aspect_ratio": "1:2"}
    sent, warned = await asked(drawing(MODEL, params={"xai": params}, resolution="1K"))

    assert sent == params | {"model": "grok-imagine-image-2.0", "prompt": "a boat", "response_format": "b64_json"}
    assert [warning.reason for warning in warned] == [WarningReason.OVERRIDDEN_BY_PARAMS]


@pytest.mark.parametrize(
    "name", ["model", "prompt", "image", "images", "mask", "stream", "response_format", "deferred", "output"]
)
async def test_params_that_the_server_sets_are_refused(name: str) -> None:
    """Before anything is sent."""
    async with xai_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(drawing(MODEL, params={"xai": {name: "x"}}))

    assert told(caught.value) == [f"params.xai.{name}"]
    assert made.fake.requests == []


async def test_an_edit_of_one_image() -> None:
    """As a data URL; the shape is that of the image, so a ratio is left out with a warning."""
    sent, warned = await asked(changing(png(), aspect_ratio="1:1", resolution="2K"))

    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    assert sent["image"] == {"url": url, "type": "image_url"}
    assert "images" not in sent
    assert "aspect_ratio" not in sent
    assert sent["resolution"] == "2k"
    assert [(warning.field, warning.reason) for warning in warned] == [("options.aspect_ratio", WarningReason.IGNORED)]


async def test_an_edit_of_several_images() -> None:
    """In their order, with their own types, and with a ratio."""
    sent, warned = await asked(changing(png(), JPEG, aspect_ratio="3:2"))

    assert [image["url"].partition(";")[0] for image in sent["images"]] == ["data:image/png", "data:image/jpeg"]
    assert "image" not in sent
    assert sent["aspect_ratio"] == "3:2"
    assert warned == []


@pytest.mark.parametrize(
    ("wish", "reason", "fields"),
    [
        (changing(GIF, png()), Reason.INVALID_REQUEST, ["input.images[0]"]),
        (changing(*[png()] * 6), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(*[png()] * 4, model=FIRST), Reason.INVALID_REQUEST, ["input.images"]),
        (editing(png(), mask=png(shade=255), model=MODEL), Reason.OPERATION_NOT_SUPPORTED, []),
        (changing(png(), model="xai/grok-2-image"), Reason.OPERATION_NOT_SUPPORTED, []),
    ],
    ids=["gif", "six", "four of the first", "mask", "no edits"],
)
async def test_what_the_vendor_would_refuse_is_refused_here(wish: Wish, reason: Reason, fields: list[str]) -> None:
    """With the field that is wrong, before anything is sent."""
    async with xai_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert (caught.value.reason, told(caught.value)) == (reason, fields)
    assert made.fake.requests == []


async def test_what_is_explained_is_what_is_sent() -> None:
    """Nothing is sent for it, and no key is shown."""
    wish = changing(png(), JPEG, resolution="2K", params={"user": "u-1"})
    async with xai_workshop() as made:
        (planned,) = await made.workshop.explained(wish)
        assert made.fake.requests == []
        await made.workshop.result(wish)
    shown = repr(planned)

    assert KEY not in shown
    assert "/images/edits" in shown
    assert made.fake.requests[0].path == "/v1/images/edits"


async def test_a_url_is_fetched_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although base64 was asked for; one that cannot be fetched fails alone, and nothing is bought again."""
    monkeypatch.setattr(result_url, "WAITS", (0.0, 0.0))
    async with xai_workshop() as made:
        place = made.fake.base_url.removesuffix("/v1")
        items = [{"url": f"{place}/1.jpg", "respect_moderation": True}, {"url": "http://10.0.0.1/2.jpg"}]
        body = {"data": items, "usage": {"cost_in_usd_ticks": 2 * TICKS}}
        file = Answer(200, {"content-type": "image/jpeg"}, [JPEG], checks=False)
        made.fake.answer_next(json_answer(200, body), file)
        result = await made.workshop.result(drawing(MODEL, count=2))
    _, fetched = made.fake.requests

    assert [image.image.size_bytes for image in result.images] == [len(JPEG)]
    assert [failure.error.reason for failure in result.failures] == [Reason.INVALID_RESPONSE]
    assert (fetched.method, fetched.path) == ("GET", "/1.jpg")
    assert "authorization" not in {name.lower() for name in fetched.headers}


@pytest.mark.parametrize("place", ["headers", "body"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """The vendor sees its socket closed, the generation is CANCELLED, and the next call works."""
    answer = Answer(before=asyncio.Event()) if place == "headers" else hanging_answer(asyncio.Event())
    async with xai_workshop() as made:
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


SECRET = "xai-Zx81Kq77abcdefghijklmnopqrstuvwxyz"
PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(400, {"code": f"c {SECRET}", "error": f"Bad request: {SECRET} said {PROMPT}"}),
        json_answer(403, {"error": {"message": f"{PROMPT} {SECRET}", "code": f"{SECRET}", "param": f"p {SECRET}"}}),
        json_answer(200, {"data": [], "block_reason": f"{SECRET}: {PROMPT}"}),
        json_answer(200, {"error": f"{SECRET}: {PROMPT}"}),
        json_answer(200, {"data": [{"url": f"{SECRET}://{PROMPT}"}]}),
        json_answer(200, {"data": [{"b64_json": f"{SECRET}{PROMPT}"}]}),
        Answer(422, {"content-type": "text/plain"}, [f"unknown field `{SECRET}` {PROMPT}".encode()]),
        Answer(502, {"content-type": "text/html"}, [f"<html>{SECRET} {PROMPT}</html>".encode()]),
    ],
    ids=range(8),
)
async def test_what_the_vendor_repeats_goes_no_further(answer: Answer) -> None:
    """Neither key nor prompt is in an error."""
    async with xai_workshop(key=SECRET) as made:
        made.fake.answer_next(replace(answer, checks=False))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=PROMPT))
    shown = repr((broken, vars(broken.error), broken.error.facts()))

    assert "Zx81" not in shown
    assert "Ermintrude" not in shown


async def test_words_of_the_caller_do_not_decide_what_is_wrong() -> None:
    """A prompt that speaks of moderation, repeated in an error of another kind."""
    prompt = "a poster: generated image rejected by content moderation"
    async with xai_workshop() as made:
        made.fake.answer_next(json_answer(400, {"code": "invalid-argument", "error": f"n is wrong for {prompt}"}))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))

    assert broken.error.reason is Reason.INVALID_REQUEST
