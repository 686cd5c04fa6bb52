"""The provider as the engine runs it, on a strict fake of the vendor."""

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.result import AttemptOutcome, Warning, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Wish
from PIL import Image

from tests.support.fal_api import KEY, SEED, UNITS
from tests.support.fal_provider import HERE, MODEL, fal_workshop
from tests.support.generation import drawing, editing, told
from tests.support.pictures import encoded, png
from tests.support.vendor import json_answer

BANANA = "fal/fal-ai/nano-banana-pro"
GPT = "fal/fal-ai/gpt-image-1.5"
FILL = "fal/fal-ai/flux-pro/v1/fill"
SEEDREAM = "fal/fal-ai/bytedance/seedream/v4.5/text-to-image"
JPEG = encoded(Image.new("RGB", (8, 8), "red"), "JPEG")


def changing(*images: bytes, model: str, mask: bytes | None = None, **options: Any) -> Wish:
    """Wish for changed pictures."""
    return replace(editing(*images, model=model, mask=mask), options=Options(**options))


def half_mask(*, alpha: bool = False) -> bytes:
    """Let the left half of 8 by 8 pixels change."""
    mask = Image.new("L", (8, 8), 0)
    mask.paste(255, (0, 0, 4, 8))
    if not alpha:
        return encoded(mask, "PNG")
    holes = mask.point(lambda value: 255 - value)
    return encoded(Image.merge("RGBA", (mask, mask, mask, holes)), "PNG")


async def asked(wish: Wish) -> tuple[dict[str, Any], list[Warning]]:
    """Do a wish; tells what the vendor was sent, and what the caller is warned of."""
    async with fal_workshop() as made:
        result = await made.workshop.result(wish)
    return made.fake.requests[0].json, list(result.warnings)


async def test_pictures_are_drawn() -> None:
    """With what the vendor says of them: the seed, the units that it bills, its id of the request."""
    async with fal_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=2))
    submitted, *questions = made.fake.requests

    assert (submitted.method, submitted.path) == ("POST", "/queue/fal-ai/flux/dev")
    assert submitted.json == {"prompt": "a boat", "num_images": 2, "sync_mode": True}
    assert all(request.headers["authorization"] == f"Key {KEY}" for request in made.fake.requests)
    (request_id,) = made.fake.queue.works
    place = f"/queue/fal-ai/flux/requests/{request_id}"
    assert [(request.method, request.path) for request in questions] == [("GET", f"{place}/status")] * 3 + [
        ("GET", place)
    ]
    assert [image.image.facts.media_type for image in result.images] == ["image/png"] * 2
    assert [image.seed for image in result.images] == [SEED] * 2
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (2, None)
    assert result.metadata["fal"] == {"billable_units": float(UNITS), "inference_seconds": 0.5}
    (attempt,) = result.attempts
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == request_id


async def test_more_than_four_are_asked_for_side_by_side() -> None:
    """A request makes four at most; the seed goes along."""
    async with fal_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=6, seed=7))
    bodies = [request.json for request in made.fake.requests if request.method == "POST"]

    assert sorted(body.get("num_images", 1) for body in bodies) == [2, 4]
    assert len(result.images) == 6
    assert sorted(body["seed"] for body in bodies) == [7, 11]


@pytest.mark.parametrize(
    ("wish", "sent"),
    [
        (drawing(MODEL), {}),
        (drawing(MODEL, size=PixelSize(640, 480)), {"image_size": {"width": 640, "height": 480}}),
        (drawing(MODEL, aspect_ratio="9:16"), {"image_size": "portrait_16_9"}),
        (drawing(MODEL, format="png", seed=5), {"output_format": "png", "seed": 5}),
        (drawing("fal/fal-ai/qwen-image", negative_prompt="rain"), {"negative_prompt": "rain"}),
        (drawing(BANANA, aspect_ratio="21:9", resolution="4K"), {"aspect_ratio": "21:9", "resolution": "4K"}),
        (drawing(SEEDREAM, resolution="4K"), {"image_size": "auto_4K"}),
        (
            drawing(GPT, size=PixelSize(1536, 1024), quality="low", background="transparent", format="webp"),
            {"image_size": "1536x1024", "quality": "low", "background": "transparent", "output_format": "webp"},
        ),
    ],
    ids=["plain", "size", "ratio", "format", "negative", "ratio and resolution", "resolution as a size", "gpt"],
)
async def test_every_option_is_sent_in_the_fields_of_its_model(wish: Wish, sent: dict[str, Any]) -> None:
    """What is not set is not sent, but that the picture shall stand in the answer."""
    body, warned = await asked(wish)

    assert body == {"prompt": "a boat", "sync_mode": True} | sent
    assert warned == []


@pytest.mark.parametrize(
    ("wish", "fields", "sent"),
    [
        (
            drawing(MODEL, resolution="2K", quality="low", background="opaque", compression=5, negative_prompt="x"),
            {"resolution", "quality", "background", "compression", "negative_prompt"},
            {},
        ),
        (drawing(MODEL, aspect_ratio="21:9"), {"aspect_ratio"}, {}),
        (drawing(BANANA, size=PixelSize(1024, 1024)), {"size"}, {}),
        (drawing(GPT, size=PixelSize(640, 480)), {"size"}, {}),
        (
            drawing(MODEL, size=PixelSize(640, 480), aspect_ratio="1:1"),
            {"aspect_ratio"},
            {"image_size": {"width": 640, "height": 480}},
        ),
        (drawing(SEEDREAM, aspect_ratio="1:1", resolution="4K"), {"resolution"}, {"image_size": "square_hd"}),
    ],
    ids=["unknown", "no such ratio", "no size", "no such size", "size wins", "one field"],
)
async def test_what_a_model_cannot_say_is_warned_about(wish: Wish, fields: set[str], sent: dict[str, Any]) -> None:
    """By the option's name; the rest is done."""
    body, warned = await asked(wish)

    assert body == {"prompt": "a boat", "sync_mode": True} | sent
    assert {(warning.field, warning.reason) for warning in warned} == {
        (f"options.{name}", WarningReason.IGNORED) for name in fields
    }


async def test_params_reach_the_vendor_as_they_are() -> None:
    """Those that say what an option says are that option; `image_size` says two, and wins over both."""
    params = {"num_inference_steps": 30, "guidance_scale": 2.5, "image_size": "square", "num_images": 2, "seed": 3}
    body, warned = await asked(
        drawing(MODEL, params={"fal": params | {"sync_mode": False}}, aspect_ratio="1:1", seed=4)
    )

    assert body == {"prompt": "a boat", "sync_mode": False} | params
    assert [(warning.field, warning.reason) for warning in warned] == [
        ("options.seed", WarningReason.OVERRIDDEN_BY_PARAMS),
        ("options.aspect_ratio", WarningReason.OVERRIDDEN_BY_PARAMS),
    ]


@pytest.mark.parametrize("name", ["prompt", "image_url", "image_urls", "mask_url", "mask_image_url"])
async def test_params_that_the_server_sets_are_refused(name: str) -> None:
    """Before anything is sent."""
    async with fal_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(drawing(MODEL, params={"fal": {name: "x"}}))

    assert told(caught.value) == [f"params.fal.{name}"]
    assert made.fake.requests == []


async def test_an_edit_of_several_images() -> None:
    """In their order, as data URLs with their own types."""
    body, _ = await asked(changing(png(), JPEG, model="fal/fal-ai/flux-2/edit", aspect_ratio="1:1"))

    urls = [
        f"data:image/{kind};base64,{base64.b64encode(data).decode()}" for kind, data in (("png", png()), ("jpeg", JPEG))
    ]
    assert body == {"prompt": "a boat", "sync_mode": True, "image_urls": urls, "image_size": "square_hd"}


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(
    ("model", "field", "left", "right"),
    [
        (FILL, "mask_url", 255, 0),
        ("fal/fal-ai/ideogram/v3/edit", "mask_url", 0, 255),
        ("fal/fal-ai/gpt-image-1.5/edit", "mask_image_url", (0, 0), (255, 255)),
    ],
    ids=["white", "black", "transparent"],
)
async def test_a_mask_is_sent_as_the_model_reads_it(model: str, field: str, left: Any, right: Any, alpha: bool) -> None:
    """Whatever its form here: white, black or transparent where the picture may change."""
    body, warned = await asked(changing(png(), model=model, mask=half_mask(alpha=alpha)))
    sent = Image.open(io.BytesIO(base64.b64decode(body[field].partition(",")[2])))

    assert warned == []
    assert body["image_url" if "image_url" in body else "image_urls"]
    assert sent.size == (8, 8)
    assert (sent.mode == "RGBA") is ("gpt" in model)
    channel = sent.getchannel("A") if sent.mode == "RGBA" else sent
    wanted = [value[0] if isinstance(value, tuple) else value for value in (left, right)]
    assert [channel.getpixel((1, 1)), channel.getpixel((6, 6))] == wanted


@pytest.mark.parametrize(
    ("wish", "reason", "fields"),
    [
        (changing(png(), model=MODEL), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing(FILL), Reason.OPERATION_NOT_SUPPORTED, []),
        (changing(png(), png(), model=FILL, mask=png(shade=9)), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(png(), model=FILL), Reason.INVALID_REQUEST, ["input.mask"]),
        (changing(png(), model=f"{BANANA}/edit", mask=half_mask()), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing("fal/fal-ai/../requests"), Reason.MODEL_NOT_FOUND, []),
        (drawing("fal/fal-ai/flux?fal_webhook=x"), Reason.MODEL_NOT_FOUND, []),
    ],
    ids=["no edits", "no words alone", "two images", "no mask", "no masks", "path", "query"],
)
async def test_what_the_vendor_would_refuse_is_refused_here(wish: Wish, reason: Reason, fields: list[str]) -> None:
    """With the field that is wrong, before anything is sent."""
    async with fal_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert (caught.value.reason, told(caught.value)) == (reason, fields)
    assert made.fake.requests == []


async def test_a_model_that_nobody_knows() -> None:
    """It is asked for with the fields that most models have, and what it says is told."""
    async with fal_workshop() as made:
        drawn = await made.workshop.result(drawing("fal/fal-ai/of-tomorrow", aspect_ratio="4:3", seed=2))
        broken = await made.workshop.broken(drawing("fal/fal-ai/of-yesterday"))

    assert made.fake.requests[0].json == {"prompt": "a boat", "image_size": "landscape_4_3", "seed": 2}
    assert len(drawn.images) == 1
    assert (broken.error.reason, broken.error.billed) == (Reason.MODEL_NOT_FOUND, Billed.NO)


async def test_a_picture_at_an_address_is_fetched_without_the_key() -> None:
    """Where the table says that pictures shall not stand in the answer."""
    async with fal_workshop(settings=replace(HERE, sync_mode=False)) as made:
        result = await made.workshop.result(drawing(MODEL, format="jpeg"))
    submitted, *_, fetched = made.fake.requests

    assert "sync_mode" not in submitted.json
    assert [image.image.facts.media_type for image in result.images] == ["image/jpeg"]
    assert fetched.path == "/queue/files/jpeg-0"
    assert "authorization" not in {name.lower() for name in fetched.headers}


@pytest.mark.parametrize("previews", [0, 1])
async def test_what_is_explained_is_what_is_sent(previews: int) -> None:
    """Nothing is sent for it, and no key is shown."""
    wish = drawing(MODEL, params={"fal": {"num_inference_steps": 9}}, preview_count=previews)
    async with fal_workshop() as made:
        (planned,) = await made.workshop.explained(wish)
        assert made.fake.requests == []
        await made.workshop.result(wish)
    shown = repr(planned)

    assert KEY not in shown
    assert made.fake.requests[0].path in shown
    assert made.fake.queue.cancelled == []


PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"detail": f"{KEY} said {PROMPT}", "error_type": f"{KEY}"}),
        (422, {"detail": [{"loc": ["body", f"x{KEY}"], "msg": f"{PROMPT}", "type": f"{PROMPT}", "input": PROMPT}]}),
        (200, {"error": f"{KEY}: {PROMPT}"}),
        (200, {"request_id": f"{KEY}"}),
        (403, {"message": f"{PROMPT} {KEY}"}),
    ],
    ids=range(5),
)
async def test_what_the_vendor_repeats_goes_no_further(status: int, body: object) -> None:
    """Neither key nor prompt is in an error."""
    async with fal_workshop() as made:
        made.fake.answer_next(replace(json_answer(status, body), checks=False))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=PROMPT))
    shown = repr((broken, vars(broken.error), broken.error.facts()))

    assert KEY not in shown
    assert "Ermintrude" not in shown


async def test_words_of_the_caller_do_not_decide_what_is_wrong() -> None:
    """A prompt that speaks of moderation, repeated in an error of another kind."""
    prompt = "a poster: flagged by a content checker of the safety system"
    async with fal_workshop() as made:
        made.fake.answer_next(json_answer(400, {"detail": f"n is wrong for {prompt}"}))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))

    assert broken.error.reason is Reason.INVALID_REQUEST
