"""The provider as the engine runs it, on a strict fake of the vendor."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.result import AttemptOutcome, Cost, Warning, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Wish
from imagegen_server.generation import result_url
from PIL import Image

from tests.support.generation import drawing, editing, events_of, told
from tests.support.http_server import PATIENCE
from tests.support.openrouter_api import COST, KEY, event, images_body, usage
from tests.support.openrouter_provider import MODEL, SEEDREAM, openrouter_workshop
from tests.support.pictures import encoded, png
from tests.support.vendor import Answer, event_answer, hanging_answer, json_answer

JPEG = encoded(Image.new("RGB", (8, 8), "red"), "JPEG")
PLAIN = {"model": "openai/gpt-image-2", "prompt": "a boat"}


def changing(*images: bytes, model: str = MODEL, params: dict[str, Any] | None = None, **options: Any) -> Wish:
    """Wish for changed pictures."""
    return replace(editing(*images, model=model), options=Options(**options), params={"openrouter": params or {}})


async def asked(wish: Wish, *, listed: bool = True) -> tuple[dict[str, Any], list[Warning]]:
    """Do a wish; tells what the vendor was sent, and what the caller is warned of."""
    async with openrouter_workshop(listed=listed) as made:
        result = await made.workshop.result(wish)
    return made.fake.requests[0].json, list(result.warnings)


async def test_a_picture_is_drawn() -> None:
    """With its price, which is no estimate, and the vendor's id of the generation."""
    async with openrouter_workshop(listed=True) as made:
        result = await made.workshop.result(drawing(MODEL, count=2, preview_count=0))
    (request,) = made.fake.requests

    assert (request.method, request.path) == ("POST", "/api/v1/images")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json == PLAIN | {"n": 2}
    assert [image.image.facts.media_type for image in result.images] == ["image/png"] * 2
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (2, Cost(2 * COST, "USD"))
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == "gen-2"


async def test_what_a_model_draws_at_once_is_asked_for_at_once() -> None:
    """Four in one request of this model; of one that the list has not told of, one by one. Prices are added up."""
    async with openrouter_workshop(listed=True) as made:
        result = await made.workshop.result(drawing(SEEDREAM, count=6))
    async with openrouter_workshop() as blind:
        await blind.workshop.result(drawing(SEEDREAM, count=2))

    assert sorted(request.json.get("n", 1) for request in made.fake.requests) == [2, 4]
    assert [request.json.get("n", 1) for request in blind.fake.requests] == [1, 1]
    assert result.usage is not None
    assert result.usage.cost is not None
    assert result.usage.cost.amount == pytest.approx(6 * COST)


async def test_every_option_that_the_vendor_knows_is_sent() -> None:
    """In its own names; what is not set is not sent."""
    plain, _ = await asked(drawing(MODEL, preview_count=0))
    sent, warned = await asked(
        drawing(
            MODEL,
            aspect_ratio="3:2",
            resolution="2K",
            quality="low",
            background="opaque",
            format="webp",
            compression=80,
            preview_count=0,
        )
    )

    assert plain == PLAIN
    assert sent == PLAIN | {
        "aspect_ratio": "3:2",
        "resolution": "2K",
        "quality": "low",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": 80,
    }
    assert warned == []


async def test_a_size_is_sent_in_pixels_and_alone() -> None:
    """The vendor would refuse a ratio or a resolution that does not agree with it."""
    sent, warned = await asked(drawing(SEEDREAM, size=PixelSize(2048, 1024), aspect_ratio="1:1", resolution="1K"))

    assert sent["size"] == "2048x1024"
    assert not sent.keys() & {"aspect_ratio", "resolution"}
    assert [(warning.field, warning.reason) for warning in warned] == [
        ("options.aspect_ratio", WarningReason.IGNORED),
        ("options.resolution", WarningReason.IGNORED),
    ]


async def test_what_the_list_does_not_name_is_warned_about() -> None:
    """Options and values; each is left out."""
    options: dict[str, Any] = {"quality": "low", "background": "opaque", "format": "webp", "aspect_ratio": "3:2"}
    sent, warned = await asked(drawing(SEEDREAM, seed=7, preview_count=2, negative_prompt="rain", **options))

    assert sent == {"model": "bytedance-seed/seedream-4.5", "prompt": "a boat", "seed": 7}
    assert {(warning.field, warning.reason) for warning in warned} == {
        (f"options.{name}", WarningReason.IGNORED) for name in (*options, "preview_count", "negative_prompt")
    }


async def test_before_the_list_was_read_nothing_is_left_out() -> None:
    """But what no model of this vendor has a field for."""
    sent, warned = await asked(drawing(SEEDREAM, seed=7, quality="low", negative_prompt="rain"), listed=False)

    assert (sent["seed"], sent["quality"]) == (7, "low")
    assert [warning.field for warning in warned] == ["options.negative_prompt"]


async def test_params_reach_the_vendor_as_they_are() -> None:
    """Those that say what an option says are that option; routing and the vendors' own options are handed on."""
    routing = {"only": ["openai"], "options": {"openai": {"moderation": "low"}}}
    params = {"provider": routing, "user": "u-1", "size": "2K", "output_format": "jpeg"}
    sent, warned = await asked(drawing(MODEL, params={"openrouter": params}, format="png", preview_count=0))

    assert sent == PLAIN | params
    assert [warning.reason for warning in warned] == [WarningReason.OVERRIDDEN_BY_PARAMS]


@pytest.mark.parametrize("name", ["model", "prompt", "stream", "input_references"])
async def test_params_that_the_server_sets_are_refused(name: str) -> None:
    """Before anything is sent."""
    async with openrouter_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(drawing(MODEL, params={"openrouter": {name: "x"}}))

    assert told(caught.value) == [f"params.openrouter.{name}"]
    assert made.fake.requests == []


async def test_an_edit() -> None:
    """Input images are references, as data URLs in their order."""
    sent, warned = await asked(changing(png(), JPEG, aspect_ratio="1:1", preview_count=0))

    kinds = [(png(), "png"), (JPEG, "jpeg")]
    assert sent["input_references"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{base64.b64encode(data).decode()}"}}
        for data, kind in kinds
    ]
    assert sent["aspect_ratio"] == "1:1"
    assert warned == []


async def test_previews_come_by_a_stream() -> None:
    """One picture in each request, as events do not say to which image they belong; no more previews than wanted."""
    async with openrouter_workshop(listed=True) as made:
        events = await made.workshop.run(drawing(MODEL, count=2, preview_count=2))
    last = events[-1]

    assert isinstance(last, Finished)
    assert [request.json for request in made.fake.requests] == [PLAIN | {"stream": True}] * 2
    shown = [event for event in events if isinstance(event, PreviewShown)]
    assert sorted((event.index, event.number) for event in shown) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert len(last.result.images) == 2
    assert last.result.usage is not None
    assert last.result.usage.cost == Cost(2 * COST, "USD")


async def test_a_model_that_does_not_stream_answers_all_the_same() -> None:
    """A stranger is asked for a stream if the caller wants one, and may ignore that."""
    async with openrouter_workshop() as made:
        result = await made.workshop.result(drawing(SEEDREAM, preview_count=2))

    assert made.fake.requests[0].json["stream"] is True
    assert len(result.images) == 1


async def test_the_picture_is_there_before_the_stream_ends() -> None:
    """Whoever waits for the end of the connection waits for nothing."""
    done = {"b64_json": base64.b64encode(JPEG).decode(), "created": 1, "usage": usage()}
    never = asyncio.Event()
    async with openrouter_workshop(listed=True) as made:
        made.fake.answer_next(event_answer(event({"type": "image_generation.completed", **done}), never))
        async with asyncio.timeout(PATIENCE):
            result = await made.workshop.result(drawing(MODEL, preview_count=1))

    assert [image.image.size_bytes for image in result.images] == [len(JPEG)]


@pytest.mark.parametrize(
    ("wish", "reason", "fields"),
    [
        (drawing(MODEL, background="transparent", format="jpeg"), Reason.INVALID_REQUEST, ["options.background"]),
        (changing(*[png()] * 17), Reason.INVALID_REQUEST, ["input.images"]),
        (editing(png(), mask=png(shade=255), model=MODEL), Reason.OPERATION_NOT_SUPPORTED, []),
    ],
    ids=["transparent jpeg", "seventeen", "mask"],
)
async def test_what_the_vendor_would_refuse_is_refused_here(wish: Wish, reason: Reason, fields: list[str]) -> None:
    """With the field that is wrong, before anything is sent, for models of which nothing is known."""
    async with openrouter_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert (caught.value.reason, told(caught.value)) == (reason, fields)
    assert made.fake.requests == []


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (changing(png(), model="openrouter/quiver/arrow-1"), Reason.OPERATION_NOT_SUPPORTED),
        (drawing("openrouter/quiver/trace-1"), Reason.OPERATION_NOT_SUPPORTED),
        (changing(*[png()] * 15, model=SEEDREAM), Reason.INVALID_REQUEST),
    ],
    ids=["words only", "images only", "fifteen"],
)
async def test_what_the_list_rules_out_is_refused_here(wish: Wish, reason: Reason) -> None:
    """Once the list was read."""
    async with openrouter_workshop(listed=True) as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert caught.value.reason is reason
    assert made.fake.requests == []


async def test_a_wrong_key_is_told() -> None:
    """As the vendor says it, without the key."""
    async with openrouter_workshop(key="sk-or-v1-wrong-9876543210") as made:
        broken = await made.workshop.broken(drawing(MODEL))

    assert broken.error.reason is Reason.AUTHENTICATION_FAILED
    assert "9876543210" not in str(broken.error)


async def test_what_is_explained_is_what_is_sent() -> None:
    """Nothing is sent for it, and no key is shown."""
    wish = changing(png(), JPEG, resolution="2K", params={"user": "u-1"})
    async with openrouter_workshop() as made:
        (planned,) = await made.workshop.explained(wish)
        assert made.fake.requests == []
        await made.workshop.result(wish)
    shown = repr(planned)

    assert KEY not in shown
    assert "/images" in shown
    assert made.fake.requests[0].path == "/api/v1/images"


async def test_a_url_is_fetched_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the documents do not know; one that cannot be fetched fails alone, and nothing is bought again."""
    monkeypatch.setattr(result_url, "WAITS", (0.0, 0.0))
    async with openrouter_workshop(listed=True) as made:
        place = made.fake.base_url.removesuffix("/api/v1")
        items = [{"url": f"{place}/1.jpg"}, {"url": "http://10.0.0.1/2.jpg"}]
        file = Answer(200, {"content-type": "image/jpeg"}, [JPEG], checks=False)
        made.fake.answer_next(json_answer(200, {"created": 1, "data": items, "usage": usage(2)}), file)
        result = await made.workshop.result(drawing(SEEDREAM, count=2))
    _, fetched = made.fake.requests

    assert [image.image.size_bytes for image in result.images] == [len(JPEG)]
    assert [failure.error.reason for failure in result.failures] == [Reason.INVALID_RESPONSE]
    assert (fetched.method, fetched.path) == ("GET", "/1.jpg")
    assert "authorization" not in {name.lower() for name in fetched.headers}


@pytest.mark.parametrize("place", ["headers", "body", "stream"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """The vendor sees its socket closed, the generation is CANCELLED, and the next call works."""
    never = asyncio.Event()
    answer = {
        "headers": Answer(before=never),
        "body": hanging_answer(never),
        "stream": event_answer(b": OPENROUTER PROCESSING\n\n", never),
    }[place]
    async with openrouter_workshop() as made:
        made.fake.answer_next(answer)
        async with made.workshop.opened(drawing(MODEL, preview_count=1)) as generation:
            made.workshop.engine.launch(generation)
            await (answer.asked if place == "headers" else answer.begun).wait()
        async with asyncio.timeout(PATIENCE):
            await answer.client_gone.wait()
        last = (await events_of(generation))[-1]
        assert len((await made.workshop.result(drawing(MODEL))).images) == 1

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)


SECRET = "sk-or-v1-Zx81Kq77abcdefghijklmnopqrstuvwxyz"
PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"
RAW = {"raw": f'{{"error":{{"message":"{SECRET} {PROMPT}","code":"{SECRET}","param":"{SECRET}"}}}}'}
FLAGGED = {"reasons": [PROMPT], "flagged_input": PROMPT, "provider_name": SECRET}


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(400, {"error": {"message": f"{SECRET} said {PROMPT}", "code": 400}, "user_id": "user_Zx81"}),
        json_answer(400, {"error": {"message": "Provider returned error", "code": 400, "metadata": RAW}}),
        json_answer(403, {"error": {"message": "Flagged", "code": 403, "metadata": FLAGGED}}),
        json_answer(400, {"error": {"message": "x", "code": 400, "metadata": {"error_type": SECRET}}}),
        json_answer(200, {"error": {"message": f"{SECRET}: {PROMPT}", "code": 502, "metadata": RAW}}),
        json_answer(200, {"data": [{"url": f"{SECRET}://{PROMPT}"}]}),
        json_answer(200, {"data": [{"b64_json": f"{SECRET}{PROMPT}"}]}),
        event_answer(event({"type": "error", "error": {"message": f"{SECRET} {PROMPT}", "code": SECRET}})),
        Answer(502, {"content-type": "text/html"}, [f"<html>{SECRET} {PROMPT}</html>".encode()]),
    ],
    ids=range(9),
)
async def test_what_the_vendor_repeats_goes_no_further(answer: Answer) -> None:
    """Neither key nor prompt nor the account's id is in an error."""
    async with openrouter_workshop(key=SECRET) as made:
        made.fake.answer_next(replace(answer, checks=False))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=PROMPT))
    shown = repr((broken, vars(broken.error), broken.error.facts()))

    assert "Zx81" not in shown
    assert "Ermintrude" not in shown


async def test_words_of_the_caller_do_not_decide_what_is_wrong() -> None:
    """A prompt that speaks of moderation, repeated in an error of another kind."""
    prompt = "a poster: flagged by content moderation"
    async with openrouter_workshop() as made:
        made.fake.answer_next(json_answer(400, {"error": {"code": 400, "message": f"n is wrong for {prompt}"}}))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))

    assert broken.error.reason is Reason.INVALID_REQUEST


async def test_fewer_pictures_than_asked_for_are_kept() -> None:
    """The number is an upper bound; what did not come is said, and is not bought again."""
    async with openrouter_workshop(listed=True) as made:
        made.fake.answer_next(json_answer(200, images_body({"n": 2})))
        result = await made.workshop.result(drawing(SEEDREAM, count=3))

    assert len(made.fake.requests) == 1
    assert [image.index for image in result.images] == [0, 1]
    assert [(failure.index, failure.error.reason) for failure in result.failures] == [(2, Reason.INVALID_RESPONSE)]
