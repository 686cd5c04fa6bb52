"""The provider as the engine runs it, on a strict fake of the vendor."""

import asyncio
import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken
from imagegen_server.domain.result import AttemptOutcome, Warning, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Wish
from PIL import Image

from tests.support.bedrock_api import ENDED, KEY, MODELS
from tests.support.bedrock_provider import EDITOR, MODEL, bedrock_workshop
from tests.support.generation import drawing, editing, events_of, told
from tests.support.http_server import PATIENCE
from tests.support.pictures import encoded, noisy_png, png
from tests.support.vendor import Answer, hanging_answer, json_answer

ULTRA, SD35 = "bedrock/stability.stable-image-ultra-v1:1", "bedrock/stability.sd3-5-large-v1:0"
INPAINT, ERASE = (f"bedrock/us.stability.stable-image-{name}-v1:0" for name in ("inpaint", "erase-object"))
OUTPAINT, TRANSFER = "bedrock/us.stability.stable-outpaint-v1:0", "bedrock/us.stability.stable-style-transfer-v1:0"
UPSCALE, STYLE = "bedrock/us.stability.stable-fast-upscale-v1:0", "bedrock/us.stability.stable-image-style-guide-v1:0"
REPLACE = "bedrock/us.stability.stable-image-search-replace-v1:0"
PICTURE, OTHER = png(64, 64), png(64, 64, shade=200)
CLEAR = encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG")


def changing(
    *images: bytes,
    model: str = EDITOR,
    params: dict[str, Any] | None = None,
    mask: bytes | None = None,
    prompt: str = "a boat",
    **options: Any,
) -> Wish:
    """Wish for changed pictures."""
    wish = editing(*images, model=model, mask=mask, prompt=prompt)
    return replace(wish, options=Options(**options), params={"bedrock": params or {}})


def half(*, transparent: bool) -> bytes:
    """Make a mask whose left half is to be changed: transparent there, or white there."""
    if transparent:
        mask = Image.new("RGBA", (64, 64), (255, 255, 255, 255))
        mask.paste((255, 255, 255, 0), (0, 0, 32, 64))
    else:
        mask = Image.new("RGB", (64, 64), "black")
        mask.paste("white", (0, 0, 32, 64))
    return encoded(mask, "PNG")


async def asked(wish: Wish) -> tuple[dict[str, Any], list[Warning]]:
    """Do a wish; tells what the vendor was sent, and what the caller is warned of."""
    async with bedrock_workshop() as made:
        result = await made.workshop.result(wish)
    return made.fake.requests[0].json, list(result.warnings)


async def test_a_picture_is_drawn() -> None:
    """With its seed and the vendor's id of the request; what it cost nobody tells."""
    async with bedrock_workshop() as made:
        result = await made.workshop.result(drawing(MODEL))
    (request,) = made.fake.requests
    (attempt,) = result.attempts

    assert (request.method, request.path) == ("POST", "/model/stability.stable-image-core-v1%3A1/invoke")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json == {"prompt": "a boat"}
    assert [image.seed for image in result.images] == [2_130_420_379]
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (1, None)
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == "00000000-0000-0000-0000-000000000001"


async def test_several_are_asked_for_side_by_side() -> None:
    """One in a request, each with a seed of its own."""
    async with bedrock_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=3, seed=7))

    assert sorted(request.json["seed"] for request in made.fake.requests) == [7, 8, 9]
    assert sorted(image.seed or 0 for image in result.images) == [7, 8, 9]


async def test_every_option_that_the_vendor_knows_is_sent() -> None:
    """In its own words; what is not set is not sent."""
    sent, warned = await asked(
        drawing(MODEL, aspect_ratio="21:9", seed=5, format="jpeg", negative_prompt="rain", count=1)
    )

    assert sent == {
        "prompt": "a boat",
        "aspect_ratio": "21:9",
        "seed": 5,
        "output_format": "jpeg",
        "negative_prompt": "rain",
    }
    assert warned == []


async def test_what_the_vendor_does_not_know_is_warned_about() -> None:
    """Each option by its name; nothing of it is sent."""
    options: dict[str, Any] = {
        "size": PixelSize(1024, 1024),
        "resolution": "2K",
        "quality": "high",
        "background": "transparent",
        "compression": 5,
        "preview_count": 2,
    }
    sent, warned = await asked(drawing(MODEL, **options))

    assert sent == {"prompt": "a boat"}
    assert {(warning.field, warning.reason) for warning in warned} == {
        (f"options.{name}", WarningReason.IGNORED) for name in options
    }


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        (drawing(MODEL, format="webp", aspect_ratio="4:3"), ["options.aspect_ratio", "options.format"]),
        (drawing(MODEL, seed=0), ["options.seed"]),
        (changing(PICTURE, aspect_ratio="16:9", negative_prompt="x"), ["options.aspect_ratio"]),
        (changing(PICTURE, model=ULTRA, aspect_ratio="16:9"), ["options.aspect_ratio"]),
        (changing(PICTURE, model=UPSCALE, seed=3), ["input.prompt", "options.seed"]),
        (changing(CLEAR, model=ERASE, negative_prompt="x"), ["input.prompt", "options.negative_prompt"]),
        (changing(PICTURE, model=OUTPAINT, params={"up": 9}, negative_prompt="x"), ["options.negative_prompt"]),
    ],
)
async def test_what_a_model_cannot_do_is_warned_about(wish: Wish, fields: list[str]) -> None:
    """Values, options and words that it does not have; the fake would refuse them."""
    _, warned = await asked(wish)

    assert sorted(warning.field for warning in warned) == fields
    assert {warning.reason for warning in warned} == {WarningReason.IGNORED}


@pytest.mark.parametrize(
    ("wish", "body"),
    [
        (changing(PICTURE), {"prompt": "a boat", "image": PICTURE}),
        (changing(PICTURE, model=ULTRA, seed=4), {"prompt": "a boat", "image": PICTURE, "seed": 4}),
        (
            changing(PICTURE, model=SD35, params={"strength": 0.4}, format="webp"),
            {"prompt": "a boat", "image": PICTURE, "strength": 0.4, "mode": "image-to-image", "output_format": "webp"},
        ),
        (
            changing(PICTURE, model=STYLE, aspect_ratio="2:3"),
            {"prompt": "a boat", "image": PICTURE, "aspect_ratio": "2:3"},
        ),
        (changing(PICTURE, model=UPSCALE, prompt=""), {"image": PICTURE}),
        (changing(PICTURE, model=OUTPAINT, prompt="", params={"left": 10}), {"image": PICTURE, "left": 10}),
        (
            changing(PICTURE, model=REPLACE, params={"search_prompt": "hat"}),
            {"prompt": "a boat", "image": PICTURE, "search_prompt": "hat"},
        ),
        (changing(PICTURE, OTHER, model=TRANSFER, prompt=""), {"init_image": PICTURE, "style_image": OTHER}),
        (changing(CLEAR, model=INPAINT), {"prompt": "a boat", "image": CLEAR}),
    ],
    ids=["control", "ultra", "sd35", "style", "upscale", "outpaint", "replace", "transfer", "inpaint by alpha"],
)
async def test_an_edit(wish: Wish, body: dict[str, Any]) -> None:
    """Each service has its own fields; images are plain base64."""
    sent, warned = await asked(wish)

    assert sent == {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in body.items()
    }
    assert warned == []


@pytest.mark.parametrize("model", [INPAINT, ERASE])
@pytest.mark.parametrize("transparent", [False, True])
async def test_a_mask_is_white_where_the_picture_may_change(model: str, transparent: bool) -> None:
    """Whichever way the caller wrote it, the vendor gets one grey channel, as large as the picture."""
    prompt = "a boat" if model == INPAINT else ""
    sent, warned = await asked(changing(PICTURE, model=model, mask=half(transparent=transparent), prompt=prompt))
    mask = Image.open(io.BytesIO(base64.b64decode(sent["mask"])))

    assert (mask.mode, mask.size) == ("L", (64, 64))
    assert [mask.getpixel((x, 32)) for x in (0, 31, 32, 63)] == [255, 255, 0, 0]
    assert warned == []


@pytest.mark.parametrize(
    ("wish", "reason", "fields"),
    [
        (changing(encoded(Image.new("P", (64, 64)), "GIF")), Reason.INVALID_REQUEST, ["input.images[0]"]),
        (changing(png(63, 64)), Reason.INVALID_REQUEST, ["input.images[0]"]),
        (changing(png(64, 161)), Reason.INVALID_REQUEST, ["input.images[0]"]),
        (changing(png(3073, 3072)), Reason.INVALID_REQUEST, ["input.images[0]"]),
        (changing(png(1537, 64), model=UPSCALE), Reason.INVALID_REQUEST, ["input.images[0]"]),
        (changing(png(31, 64), model=UPSCALE), Reason.INVALID_REQUEST, ["input.images[0]"]),
        (changing(noisy_png(2520, 2520)), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(PICTURE, OTHER), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(PICTURE, model=TRANSFER), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(PICTURE, model=SD35), Reason.INVALID_REQUEST, ["params.bedrock.strength"]),
        (changing(PICTURE, model=REPLACE), Reason.INVALID_REQUEST, ["params.bedrock.search_prompt"]),
        (changing(PICTURE, model=OUTPAINT), Reason.INVALID_REQUEST, ["params.bedrock.left"]),
        (changing(PICTURE, model=OUTPAINT, params={"up": 0}), Reason.INVALID_REQUEST, ["params.bedrock.left"]),
        (changing(PICTURE, model=INPAINT), Reason.INVALID_REQUEST, ["input.mask"]),
        (changing(PICTURE, prompt=""), Reason.INVALID_REQUEST, ["input.prompt"]),
        (changing(PICTURE, mask=half(transparent=False)), Reason.OPERATION_NOT_SUPPORTED, []),
        (changing(PICTURE, model=MODEL), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing(EDITOR), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing(MODEL, seed=4_294_967_295), Reason.INVALID_REQUEST, ["options.seed"]),
        (drawing(MODEL, negative_prompt="x" * 10_001), Reason.INVALID_REQUEST, ["options.negative_prompt"]),
        (replace(drawing(MODEL), prompt="x" * 10_001), Reason.INVALID_REQUEST, ["input.prompt"]),
    ],
)
async def test_what_the_vendor_would_refuse_is_refused_here(wish: Wish, reason: Reason, fields: list[str]) -> None:
    """With the field that is wrong, before anything is sent."""
    async with bedrock_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert (caught.value.reason, told(caught.value)) == (reason, fields)
    assert made.fake.requests == []


async def test_params_reach_the_vendor_as_they_are() -> None:
    """Those that say what an option says are that option, in the vendor's spelling or in ours."""
    params = {"output_format": "png", "seed": 3, "style_preset": "anime", "control_strength": 0.55}
    sent, warned = await asked(changing(PICTURE, params=params, format="jpeg"))

    assert sent == params | {"prompt": "a boat", "image": base64.b64encode(PICTURE).decode()}
    assert [warning.reason for warning in warned] == [WarningReason.OVERRIDDEN_BY_PARAMS]


@pytest.mark.parametrize("name", ["prompt", "image", "init_image", "style_image", "mask", "mode"])
async def test_params_that_the_server_sets_are_refused(name: str) -> None:
    """Before anything is sent."""
    async with bedrock_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(drawing(MODEL, params={"bedrock": {name: "x"}}))

    assert told(caught.value) == [f"params.bedrock.{name}"]
    assert made.fake.requests == []


@pytest.mark.parametrize("model", ENDED)
async def test_a_model_that_ended_is_asked_for_all_the_same(model: str) -> None:
    """The vendor's own words say that there is none."""
    async with bedrock_workshop() as made:
        broken = await made.workshop.broken(drawing(f"bedrock/{model}"))

    assert (broken.error.reason, broken.error.billed) == (Reason.MODEL_NOT_FOUND, Billed.NO)
    assert "end of its life" in broken.error.message


async def test_a_model_may_be_named_by_its_arn() -> None:
    """It is one part of the address, slashes included."""
    arn = "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.stability.stable-fast-upscale-v1:0"
    async with bedrock_workshop() as made:
        await made.workshop.result(changing(PICTURE, model=f"bedrock/{arn}", prompt=""))
    (request,) = made.fake.requests

    assert request.path == f"/model/{arn.replace(':', '%3A').replace('/', '%2F')}/invoke"


async def test_every_model_of_the_vendor_takes_what_is_sent() -> None:
    """All sixteen, with no more than they need."""
    needed = {"strength": 0.5, "search_prompt": "a", "select_prompt": "b", "left": 5}
    async with bedrock_workshop() as made:
        for model in MODELS:
            shape = made.entry.provider.model(model).capabilities
            if shape.generate:
                await made.workshop.result(drawing(f"bedrock/{model}"))
            if shape.edit:
                fields = {name for side in MODELS[model] for name in side}
                params = {name: value for name, value in needed.items() if name in fields}
                pictures = [CLEAR] * (shape.max_input_images or 1)
                await made.workshop.result(changing(*pictures, model=f"bedrock/{model}", params=params))

    assert len(made.fake.requests) == 18


async def test_what_is_explained_is_what_is_sent() -> None:
    """Nothing is sent for it, and no key is shown."""
    wish = changing(PICTURE, seed=3)
    async with bedrock_workshop() as made:
        (planned,) = await made.workshop.explained(wish)
        assert made.fake.requests == []
        await made.workshop.result(wish)
    shown = repr(planned)

    assert KEY not in shown
    assert "/model/us.stability.stable-image-control-structure-v1%3A0/invoke" in shown


@pytest.mark.parametrize("place", ["headers", "body"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """The vendor sees its socket closed, the generation is CANCELLED, and the next call works."""
    answer = Answer(before=asyncio.Event()) if place == "headers" else hanging_answer(asyncio.Event())
    async with bedrock_workshop() as made:
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


SECRET = "ABSKZx81Kq77abcdefghijklmnopqrstuvwxyz"
PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(400, {"message": f"Bad: {SECRET} said {PROMPT}"}, {"x-amzn-errortype": f"Odd{SECRET}"}),
        json_answer(403, {"Message": f"{PROMPT} {SECRET}", "__type": f"x#{SECRET}"}),
        json_answer(400, {"message": f'{{"detail": "Invalid field \'{SECRET}\' for {PROMPT}"}}'}),
        json_answer(200, {"finish_reasons": [f"Filter reason: {SECRET} {PROMPT}"]}),
        json_answer(200, {"finish_reasons": [f"{SECRET} {PROMPT}"]}),
        json_answer(200, {"message": f"{SECRET}: {PROMPT}"}),
        json_answer(200, {"images": [f"{SECRET}{PROMPT}"]}),
        Answer(502, {"content-type": "text/html"}, [f"<html>{SECRET} {PROMPT}</html>".encode()]),
    ],
    ids=range(8),
)
async def test_what_the_vendor_repeats_goes_no_further(answer: Answer) -> None:
    """Neither key nor prompt is in an error."""
    async with bedrock_workshop(key=SECRET) as made:
        made.fake.answer_next(replace(answer, checks=False))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=PROMPT))
    shown = repr((broken, vars(broken.error), broken.error.facts()))

    assert "Zx81" not in shown
    assert "Ermintrude" not in shown


async def test_words_of_the_caller_do_not_decide_what_is_wrong() -> None:
    """A prompt that speaks of moderation, repeated in an error of another kind."""
    prompt = "a poster: this was blocked by our content filters"
    refusal = json_answer(400, {"message": f"seed is wrong for {prompt}"}, {"x-amzn-errortype": "ValidationException"})
    async with bedrock_workshop() as made:
        made.fake.answer_next(refusal)
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))

    assert broken.error.reason is Reason.INVALID_REQUEST
