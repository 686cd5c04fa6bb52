"""The provider as the engine runs it, on a strict fake of the vendor: pictures, wishes, masks, trouble and leaving."""

import asyncio
import io
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, Progress
from imagegen_server.domain.result import AttemptOutcome, Warning, WarningReason
from imagegen_server.domain.task import Operation, Options, PixelSize, Wish
from PIL import Image

from tests.support.generation import as_input, drawing, events_of, told
from tests.support.http_server import PATIENCE
from tests.support.pictures import encoded, noisy_png, png
from tests.support.recording import RecordedRequest
from tests.support.stability_api import KEY, SEED, drawn_answer
from tests.support.stability_fields import FORMS, MODELS
from tests.support.stability_provider import EDITOR, LATER, MODEL, stability_workshop
from tests.support.vendor import Answer, hanging_answer, json_answer

ULTRA, SD = "stability/ultra", "stability/sd3.5-medium"
INPAINT, ERASE, OUTPAINT = "stability/edit/inpaint", "stability/edit/erase", "stability/edit/outpaint"
REPLACE, RECOLOR = "stability/edit/search-and-replace", "stability/edit/search-and-recolor"
CUT_OUT, RELIGHT = "stability/edit/remove-background", "stability/edit/replace-background-and-relight"
STYLE, TRANSFER = "stability/control/style", "stability/control/style-transfer"
FAST, CONSERVATIVE = "stability/upscale/fast", "stability/upscale/conservative"

PICTURE, OTHER, THIRD = png(64, 64), png(64, 64, shade=200), png(64, 64, shade=100)
CLEAR = encoded(Image.new("RGBA", (64, 64), (9, 9, 9, 0)), "PNG")


def changing(
    *images: bytes,
    model: str = EDITOR,
    prompt: str = "a boat",
    mask: bytes | None = None,
    params: dict[str, Any] | None = None,
    **options: Any,
) -> Wish:
    """Wish for a changed picture."""
    given = tuple(as_input(image) for image in images)
    covered = None if mask is None else as_input(mask)
    mine = {"stability": params} if params else {}
    return Wish(Operation.EDIT, model, prompt, Options(**options), given, covered, params=mine)


def half(*, transparent: bool) -> bytes:
    """Make a mask whose left half is to be changed: transparent there, or white there."""
    if transparent:
        mask = Image.new("RGBA", (64, 64), (255, 255, 255, 255))
        mask.paste((255, 255, 255, 0), (0, 0, 32, 64))
    else:
        mask = Image.new("RGB", (64, 64), "black")
        mask.paste("white", (0, 0, 32, 64))
    return encoded(mask, "PNG")


def sent_in(request: RecordedRequest) -> dict[str, str | bytes]:
    """Read a form: fields as text, files as their bytes."""
    return {**request.fields, **{file.name: file.data for file in request.files}}


async def asked(wish: Wish) -> tuple[dict[str, str | bytes], list[Warning]]:
    """Do a wish; tells what the vendor was sent, and what the caller is warned of."""
    async with stability_workshop() as made:
        result = await made.workshop.result(wish)
    return sent_in(made.fake.requests[0]), list(result.warnings)


async def test_a_picture_is_drawn() -> None:
    """By a form that has no file, with the seed that the vendor chose; what it cost nobody tells."""
    async with stability_workshop() as made:
        result = await made.workshop.result(drawing(MODEL))
    (request,) = made.fake.requests
    (attempt,) = result.attempts

    assert (request.method, request.path, request.query) == ("POST", "/v2beta/stable-image/generate/core", "")
    assert request.media_type == "multipart/form-data"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "image/*"
    assert sent_in(request) == {"prompt": "a boat"}
    assert [image.seed for image in result.images] == [SEED]
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.cost) == (1, None)
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)
    assert attempt.provider_request_id == f"{1:032x}"


async def test_several_are_asked_for_side_by_side() -> None:
    """One in a request, each with a seed of its own."""
    async with stability_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, count=3, seed=7))

    assert sorted(request.fields["seed"] for request in made.fake.requests) == ["7", "8", "9"]
    assert sorted(image.seed or 0 for image in result.images) == [7, 8, 9]


@pytest.mark.parametrize("model", MODELS)
async def test_models_of_stable_diffusion_share_a_path(model: str) -> None:
    """A field tells them apart."""
    async with stability_workshop() as made:
        await made.workshop.result(drawing(f"stability/{model}"))
    (request,) = made.fake.requests

    assert request.path == "/v2beta/stable-image/generate/sd3"
    assert sent_in(request) == {"model": model, "prompt": "a boat"}


@pytest.mark.parametrize("name", ["inpaint", "erase", "fast", "style", "generate/core", "stable-image-ultra"])
async def test_a_service_may_be_spelled_otherwise(name: str) -> None:
    """By the last part of its path, the whole of it, or the name that gateways have."""
    edits = name in {"inpaint", "erase", "fast", "style"}
    async with stability_workshop() as made:
        wish = changing(CLEAR, model=f"stability/{name}") if edits else drawing(f"stability/{name}")
        await made.workshop.result(wish)
    (request,) = made.fake.requests

    assert request.path.removeprefix("/v2beta/stable-image/") in FORMS
    assert request.path.endswith(name.rpartition("/")[2].removeprefix("stable-image-"))


async def test_every_option_that_the_vendor_knows_is_sent() -> None:
    """In its own words; what is not set is not sent."""
    sent, warned = await asked(drawing(ULTRA, aspect_ratio="21:9", seed=5, format="webp", negative_prompt="rain"))

    assert sent == {
        "prompt": "a boat",
        "negative_prompt": "rain",
        "aspect_ratio": "21:9",
        "seed": "5",
        "output_format": "webp",
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


STRENGTH = {"strength": 0.6}


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        (drawing(MODEL, format="gif", aspect_ratio="4:3"), ["options.aspect_ratio", "options.format"]),
        (drawing(MODEL, seed=0), ["options.seed"]),
        (changing(PICTURE, aspect_ratio="16:9"), ["options.aspect_ratio"]),
        (changing(PICTURE, model=SD, aspect_ratio="16:9", params=STRENGTH), ["options.aspect_ratio"]),
        (changing(PICTURE, model=FAST, seed=3), ["input.prompt", "options.seed"]),
        (changing(CLEAR, model=ERASE, negative_prompt="x"), ["input.prompt", "options.negative_prompt"]),
        (changing(PICTURE, model=CUT_OUT, prompt="", format="jpeg"), ["options.format"]),
        (changing(PICTURE, model=OUTPAINT, params={"up": 9}, negative_prompt="x"), ["options.negative_prompt"]),
    ],
)
async def test_what_a_model_cannot_do_is_warned_about(wish: Wish, fields: list[str]) -> None:
    """Values, options and words that it does not have; the fake would refuse them."""
    _, warned = await asked(wish)

    assert sorted(warning.field for warning in warned) == fields
    assert {warning.reason for warning in warned} == {WarningReason.IGNORED}


EDITS: list[tuple[str, Wish, dict[str, str | bytes]]] = [
    ("structure", changing(PICTURE), {"prompt": "a boat", "image": PICTURE}),
    (
        "ultra",
        changing(PICTURE, model=ULTRA, seed=4, aspect_ratio="2:3", params=STRENGTH),
        {"prompt": "a boat", "image": PICTURE, "seed": "4", "aspect_ratio": "2:3", "strength": "0.6"},
    ),
    (
        "sd3.5",
        changing(PICTURE, model=SD, params=STRENGTH, format="webp"),
        {
            "model": "sd3.5-medium",
            "prompt": "a boat",
            "mode": "image-to-image",
            "image": PICTURE,
            "strength": "0.6",
            "output_format": "webp",
        },
    ),
    (
        "style",
        changing(PICTURE, model=STYLE, aspect_ratio="2:3", params={"fidelity": 1}),
        {"prompt": "a boat", "image": PICTURE, "aspect_ratio": "2:3", "fidelity": "1"},
    ),
    (
        "style transfer",
        changing(PICTURE, OTHER, model=TRANSFER, prompt=""),
        {"init_image": PICTURE, "style_image": OTHER},
    ),
    ("inpaint by alpha", changing(CLEAR, model=INPAINT), {"prompt": "a boat", "image": CLEAR}),
    ("outpaint", changing(PICTURE, model=OUTPAINT, prompt="", params={"left": 10}), {"image": PICTURE, "left": "10"}),
    (
        "replace",
        changing(PICTURE, model=REPLACE, params={"search_prompt": "hat"}),
        {"prompt": "a boat", "image": PICTURE, "search_prompt": "hat"},
    ),
    (
        "recolor",
        changing(PICTURE, model=RECOLOR, params={"select_prompt": "hat"}, negative_prompt="red"),
        {"prompt": "a boat", "image": PICTURE, "select_prompt": "hat", "negative_prompt": "red"},
    ),
    (
        "cut out",
        changing(PICTURE, model=CUT_OUT, prompt="", format="webp"),
        {"image": PICTURE, "output_format": "webp"},
    ),
    ("fast", changing(PICTURE, model=FAST, prompt=""), {"image": PICTURE}),
    (
        "conservative",
        changing(PICTURE, model=CONSERVATIVE, params={"creativity": 0.25}),
        {"prompt": "a boat", "image": PICTURE, "creativity": "0.25"},
    ),
    ("creative", changing(PICTURE, model=LATER), {"prompt": "a boat", "image": PICTURE}),
    ("relight by words", changing(PICTURE, model=RELIGHT), {"background_prompt": "a boat", "subject_image": PICTURE}),
    (
        "relight by pictures",
        changing(
            PICTURE,
            OTHER,
            THIRD,
            model=RELIGHT,
            prompt="",
            params={"light_source_strength": 0.5, "keep_original_background": True},
        ),
        {
            "subject_image": PICTURE,
            "background_reference": OTHER,
            "light_reference": THIRD,
            "light_source_strength": "0.5",
            "keep_original_background": "true",
        },
    ),
]


@pytest.mark.parametrize(("name", "wish", "form"), EDITS, ids=[name for name, _, _ in EDITS])
async def test_an_edit(name: str, wish: Wish, form: dict[str, str | bytes]) -> None:
    """Each service has its own fields; pictures are files as they came."""
    sent, warned = await asked(wish)

    assert sent == form, name
    assert warned == []


async def test_files_have_names_and_types() -> None:
    """By what they are."""
    jpeg = encoded(Image.new("RGB", (64, 64), "teal"), "JPEG")
    async with stability_workshop() as made:
        await made.workshop.result(changing(jpeg, model=INPAINT, mask=half(transparent=False)))
    files = made.fake.requests[0].files

    assert [(file.name, file.filename, file.content_type) for file in files] == [
        ("image", "image.jpg", "image/jpeg"),
        ("mask", "mask.png", "image/png"),
    ]


@pytest.mark.parametrize("model", [INPAINT, ERASE])
@pytest.mark.parametrize("transparent", [False, True])
async def test_a_mask_is_white_where_the_picture_may_change(model: str, transparent: bool) -> None:
    """Whichever way the caller wrote it, the vendor gets one grey channel, as large as the picture."""
    prompt = "a boat" if model == INPAINT else ""
    sent, warned = await asked(changing(PICTURE, model=model, mask=half(transparent=transparent), prompt=prompt))
    data = sent["mask"]
    assert isinstance(data, bytes)
    mask = Image.open(io.BytesIO(data))

    assert (mask.mode, mask.size) == ("L", (64, 64))
    assert [mask.getpixel((x, 32)) for x in (0, 31, 32, 63)] == [255, 255, 0, 0]
    assert warned == []


INVALID = Reason.INVALID_REQUEST


@pytest.mark.parametrize(
    ("wish", "reason", "fields"),
    [
        (changing(encoded(Image.new("P", (64, 64)), "GIF")), INVALID, ["input.images[0]"]),
        (changing(png(63, 64)), INVALID, ["input.images[0]"]),
        (changing(png(64, 161)), INVALID, ["input.images[0]"]),
        (changing(png(3073, 3072)), INVALID, ["input.images[0]"]),
        (changing(png(16_385, 64), model=ULTRA, params=STRENGTH), INVALID, ["input.images[0]"]),
        (changing(png(2049, 2048), model=CUT_OUT, prompt=""), INVALID, ["input.images[0]"]),
        (changing(png(1025, 1024), model=LATER), INVALID, ["input.images[0]"]),
        (changing(png(1537, 64), model=FAST, prompt=""), INVALID, ["input.images[0]"]),
        (changing(png(31, 64), model=FAST, prompt=""), INVALID, ["input.images[0]"]),
        (changing(PICTURE, png(63, 64), model=TRANSFER), INVALID, ["input.images[1]"]),
        (changing(noisy_png(1900, 1900)), INVALID, ["input.images"]),
        (changing(PICTURE, OTHER), INVALID, ["input.images"]),
        (changing(PICTURE, model=TRANSFER), INVALID, ["input.images"]),
        (changing(PICTURE, model=RELIGHT, prompt=""), INVALID, ["input.prompt"]),
        (changing(PICTURE, model=SD), INVALID, ["params.stability.strength"]),
        (changing(PICTURE, model=ULTRA), INVALID, ["params.stability.strength"]),
        (changing(PICTURE, model=REPLACE), INVALID, ["params.stability.search_prompt"]),
        (changing(PICTURE, model=RECOLOR), INVALID, ["params.stability.select_prompt"]),
        (changing(PICTURE, model=OUTPAINT), INVALID, ["params.stability.left"]),
        (changing(PICTURE, model=OUTPAINT, params={"up": 0}), INVALID, ["params.stability.left"]),
        (changing(PICTURE, model=INPAINT), INVALID, ["input.mask"]),
        (changing(PICTURE, prompt=""), INVALID, ["input.prompt"]),
        (changing(PICTURE, mask=half(transparent=False)), Reason.OPERATION_NOT_SUPPORTED, []),
        (changing(PICTURE, model=MODEL), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing(EDITOR), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing(MODEL, seed=4_294_967_295), INVALID, ["options.seed"]),
        (drawing(MODEL, negative_prompt="x" * 10_001), INVALID, ["options.negative_prompt"]),
        (replace(drawing(MODEL), prompt="x" * 10_001), INVALID, ["input.prompt"]),
        (drawing("stability/../v1/user/balance"), Reason.MODEL_NOT_FOUND, []),
        (drawing("stability/a/b/c"), Reason.MODEL_NOT_FOUND, []),
        (drawing("stability/core?x=1"), Reason.MODEL_NOT_FOUND, []),
    ],
)
async def test_what_the_vendor_would_refuse_is_refused_here(wish: Wish, reason: Reason, fields: list[str]) -> None:
    """With the field that is wrong, before anything is sent."""
    async with stability_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert (caught.value.reason, told(caught.value)) == (reason, fields)
    assert made.fake.requests == []


async def test_a_second_picture_may_have_any_ratio_where_the_vendor_allows_it() -> None:
    """The picture whose style is taken, not the one that gets it."""
    sent, _ = await asked(changing(PICTURE, png(64, 640), model=TRANSFER, prompt=""))

    assert sent.keys() == {"init_image", "style_image"}


async def test_params_reach_the_vendor_as_they_are() -> None:
    """Those that say what an option says are that option, in the vendor's spelling or in ours."""
    params = {"output_format": "png", "seed": 3, "style_preset": "anime", "control_strength": 0.55}
    sent, warned = await asked(changing(PICTURE, params=params, format="jpeg"))

    assert sent == {name: str(value) for name, value in params.items()} | {"prompt": "a boat", "image": PICTURE}
    assert [warning.reason for warning in warned] == [WarningReason.OVERRIDDEN_BY_PARAMS]


@pytest.mark.parametrize(
    "name",
    [
        *("prompt", "background_prompt", "mask", "mode", "model", "image", "init_image", "style_image"),
        *("subject_image", "background_reference", "light_reference"),
    ],
)
async def test_params_that_the_server_sets_are_refused(name: str) -> None:
    """Before anything is sent."""
    async with stability_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(drawing(MODEL, params={"stability": {name: "x"}}))

    assert told(caught.value) == [f"params.stability.{name}"]
    assert made.fake.requests == []


@pytest.mark.parametrize("model", ["no-such-model", "edit/no-such-service", "sd9-huge"])
async def test_a_model_that_nobody_knows_is_asked_for(model: str) -> None:
    """The vendor's own words say that there is none."""
    async with stability_workshop() as made:
        broken = await made.workshop.broken(drawing(f"stability/{model}"))

    assert (broken.error.reason, broken.error.billed) == (Reason.MODEL_NOT_FOUND, Billed.NO)
    assert len(made.fake.requests) == 1


@pytest.mark.parametrize("path", FORMS)
async def test_every_service_takes_what_is_sent(path: str) -> None:
    """All seventeen, with no more than they need."""
    needed = {"strength": 0.5, "search_prompt": "a", "select_prompt": "b", "left": 5}
    model = "sd3.5-large" if path == "generate/sd3" else path
    params = {name: value for name, value in needed.items() if name in FORMS[path].fields}
    pictures = [CLEAR] * (2 if path == "control/style-transfer" else 1)
    async with stability_workshop() as made:
        if path.startswith("generate/"):
            await made.workshop.result(drawing(f"stability/{model}"))
        if path != "generate/core":
            await made.workshop.result(changing(*pictures, model=f"stability/{model}", params=params))

    assert {request.path for request in made.fake.submitted} == {f"/v2beta/stable-image/{path}"}


async def test_what_is_started_is_asked_after() -> None:
    """By its id, which the attempt has, with the key; the wait in between is told as work under way."""
    wait = json_answer(202, {"id": "x", "status": "in-progress"})
    async with stability_workshop() as made:
        made.fake.answer_next(
            json_answer(200, {"id": f"{1:064x}"}), replace(wait, checks=False), replace(drawn_answer(), checks=False)
        )
        events = await made.workshop.run(changing(PICTURE, model=LATER))
    submitted, *asked_after = made.fake.requests
    last = events[-1]
    assert isinstance(last, Finished)
    (attempt,) = last.result.attempts

    assert submitted.path == "/v2beta/stable-image/upscale/creative"
    assert {(call.method, call.path) for call in asked_after} == {("GET", f"/v2beta/results/{1:064x}")}
    assert len(asked_after) == 2
    assert {call.headers["accept"] for call in asked_after} == {"*/*"}
    assert {call.headers["authorization"] for call in made.fake.requests} == {f"Bearer {KEY}"}
    assert attempt.provider_request_id == f"{1:064x}"
    assert any(isinstance(event, Progress) and event.index == 0 for event in events)


async def test_what_is_explained_is_what_is_sent() -> None:
    """Nothing is sent for it, and no key is shown."""
    wish = changing(PICTURE, seed=3)
    async with stability_workshop() as made:
        (planned,) = await made.workshop.explained(wish)
        assert made.fake.requests == []
        await made.workshop.result(wish)
    shown = repr(planned)

    assert KEY not in shown
    assert "/v2beta/stable-image/control/structure" in shown
    assert "seed=3" in shown


@pytest.mark.parametrize("place", ["headers", "body", "question"])
async def test_leaving_closes_the_connection(place: str) -> None:
    """The vendor sees its socket closed, the generation is CANCELLED, and the next call works."""
    answer = hanging_answer(asyncio.Event()) if place == "body" else Answer(before=asyncio.Event())
    answer = replace(answer, checks=False)
    started = [json_answer(200, {"id": f"{1:064x}"})] if place == "question" else []
    wish = changing(PICTURE, model=LATER) if place == "question" else drawing(MODEL)
    async with stability_workshop() as made:
        made.fake.answer_next(*started, answer)
        async with made.workshop.opened(wish) as generation:
            made.workshop.engine.launch(generation)
            await (answer.begun if place == "body" else answer.asked).wait()
        async with asyncio.timeout(PATIENCE):
            await answer.client_gone.wait()
        last = (await events_of(generation))[-1]
        assert len((await made.workshop.result(drawing(MODEL))).images) == 1

    assert isinstance(last, Broken)
    assert (last.error.reason, last.error.billed) == (Reason.CANCELLED, Billed.UNKNOWN)


async def test_a_blurred_picture_is_not_handed_out() -> None:
    """It was drawn, so the attempt was accepted; whether it was paid for the vendor does not say."""
    async with stability_workshop() as made:
        made.fake.answer_next(drawn_answer(finish="CONTENT_FILTERED"))
        broken = await made.workshop.broken(drawing(MODEL))
    (attempt,) = broken.failure.attempts

    assert (broken.error.reason, broken.error.stage) == (Reason.CONTENT_FILTERED, "output")
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.UNKNOWN)
    assert attempt.provider_request_id == f"{1:032x}"
    assert broken.failure.usage is not None
    assert broken.failure.usage.images_generated == 0


SECRET = "sk-Zx81Kq77abcdefghijklmnopqrstuvwxyz"
PROMPT = "a portrait of my neighbour Mrs. Ermintrude Quillfeather in her garden"


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(400, {"id": SECRET, "name": SECRET, "errors": [f"prompt: {PROMPT}", f"{SECRET}: {PROMPT}"]}),
        json_answer(401, {"name": "unauthorized", "message": f"Incorrect API key provided: {SECRET}."}),
        json_answer(403, {"name": "content_moderation", "errors": [f"{PROMPT} was flagged for {SECRET}"]}),
        json_answer(400, {"name": "bad_request", "errors": [f"sk_{SECRET}: wrong", f"{PROMPT}: wrong"]}),
        json_answer(200, {"name": SECRET, "errors": [PROMPT]}),
        json_answer(200, {"image": f"{SECRET}{PROMPT}"}),
        Answer(200, {"content-type": "image/png", "finish-reason": SECRET}, [png()]),
        Answer(200, {"content-type": f"image/{SECRET}", "x-request-id": SECRET}, [PROMPT.encode()]),
        Answer(502, {"content-type": "text/html"}, [f"<html>{SECRET} {PROMPT}</html>".encode()]),
    ],
    ids=range(9),
)
async def test_what_the_vendor_repeats_goes_no_further(answer: Answer) -> None:
    """Neither key nor prompt is in an error."""
    async with stability_workshop(key=SECRET) as made:
        made.fake.answer_next(replace(answer, checks=False))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=PROMPT))
    shown = repr((broken, vars(broken.error), broken.error.facts()))

    assert "Zx81" not in shown
    assert "Ermintrude" not in shown


async def test_words_of_the_caller_do_not_decide_what_is_wrong() -> None:
    """A prompt that speaks of moderation, repeated in an error of another kind."""
    prompt = "a poster: this was flagged by our content moderation system"
    refusal = json_answer(400, {"name": "odd", "errors": [f"the seed is wrong for {prompt}"]})
    async with stability_workshop() as made:
        made.fake.answer_next(refusal)
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))

    assert broken.error.reason is Reason.INVALID_REQUEST


async def test_words_of_the_caller_name_no_field() -> None:
    """A prompt that begins like an error about the key."""
    prompt = "authorization: a poster about the right to enter"
    async with stability_workshop() as made:
        made.fake.answer_next(json_answer(400, {"name": "odd", "errors": [f"{prompt} is not English"]}))
        broken = await made.workshop.broken(replace(drawing(MODEL), prompt=prompt))

    assert (broken.error.reason, told(broken.error)) == (Reason.INVALID_REQUEST, [])
