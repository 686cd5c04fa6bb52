"""What is asked for, by every family of models: options, images, masks and params, on a strict fake of the vendor."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Wish
from imagegen_server.providers.bfl.models import INPUT_FIELDS
from PIL import Image

from tests.support.bfl_api import KEY
from tests.support.bfl_fields import opened
from tests.support.bfl_provider import MODEL, bfl_workshop
from tests.support.generation import drawing, editing, told
from tests.support.pictures import encoded, png

FLUX_3 = "bfl/flux-3-image"
KONTEXT = "bfl/flux-kontext-pro"
FILL = "bfl/flux-pro-1.0-fill"
EXPAND = "bfl/flux-pro-1.0-expand"
OUTPAINT = "bfl/flux-tools/outpainting-v1"
ERASE = "bfl/flux-tools/erase-v1"
DEBLUR = "bfl/flux-tools/deblur-v1"
TRY_ON = "bfl/flux-tools/vto-v2"
BIG, WIDE = png(256, 256), png(512, 256)
CLEAR = encoded(Image.new("RGBA", (16, 16), (0, 0, 0, 0)), "PNG")


def changing(
    *images: bytes,
    model: str = MODEL,
    mask: bytes | None = None,
    prompt: str = "a boat",
    params: dict[str, Any] | None = None,
    **options: Any,
) -> Wish:
    """Wish for changed pictures."""
    wish = editing(*images, mask=mask, model=model, prompt=prompt)
    return replace(wish, options=Options(**options), params={"bfl": params or {}})


async def asked(wish: Wish) -> tuple[dict[str, Any], list[Warning]]:
    """Do a wish; tells what the vendor was sent, and what the caller is warned of."""
    async with bfl_workshop() as made:
        result = await made.workshop.result(wish)
    (request,) = made.fake.submitted
    return request.json, list(result.warnings)


async def refused(wish: Wish) -> ImageError:
    """Do a wish that is refused before anything is sent."""
    async with bfl_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)
    assert made.fake.requests == []
    return caught.value


def text(data: bytes) -> str:
    """Write an image as the vendor takes it."""
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("model", "options", "sent"),
    [
        (MODEL, {"size": PixelSize(1920, 1072)}, {"width": 1920, "height": 1072}),
        (MODEL, {"seed": 0, "format": "webp"}, {"seed": 0, "output_format": "webp"}),
        (MODEL, {"aspect_ratio": "16:9"}, {"width": 1360, "height": 768}),
        (MODEL, {"aspect_ratio": "2:3", "resolution": "2K"}, {"width": 1360, "height": 2048}),
        (MODEL, {"resolution": "2K"}, {"width": 2048, "height": 2048}),
        (MODEL, {"aspect_ratio": "auto"}, {}),
        ("bfl/flux-2-klein-4b", {"aspect_ratio": "1:1", "seed": 7}, {"width": 1024, "height": 1024, "seed": 7}),
        ("bfl/flux-pro-1.1", {"aspect_ratio": "21:9"}, {"width": 1440, "height": 608}),
        ("bfl/flux-dev", {"size": PixelSize(1440, 256)}, {"width": 1440, "height": 256}),
        (
            "bfl/flux-pro-1.1-ultra",
            {"aspect_ratio": "9:21", "format": "png"},
            {"aspect_ratio": "9:21", "output_format": "png"},
        ),
        (KONTEXT, {"aspect_ratio": "7:4", "seed": 3}, {"aspect_ratio": "7:4", "seed": 3}),
        (FLUX_3, {"aspect_ratio": "auto", "resolution": "1.5K"}, {"aspect_ratio": "auto", "resolution": "1.5k"}),
        (FLUX_3, {"resolution": "768sq"}, {"resolution": "768sq"}),
    ],
)
async def test_options_in_the_words_of_the_model(model: str, options: dict[str, Any], sent: dict[str, Any]) -> None:
    """As pixels, as a ratio or as a class of resolution, as the model knows them; nothing else is said."""
    body, warned = await asked(drawing(model, **options))

    assert body == {"prompt": "a boat"} | sent
    assert warned == []


@pytest.mark.parametrize(
    ("model", "ignored"),
    [
        (MODEL, {"quality", "background", "compression", "negative_prompt"}),
        (KONTEXT, {"quality", "background", "compression", "negative_prompt", "size", "resolution"}),
        (FLUX_3, {"quality", "background", "compression", "negative_prompt", "size", "seed", "format"}),
    ],
)
async def test_what_a_model_does_not_know_is_warned_about(model: str, ignored: set[str]) -> None:
    """Each option by its name; nothing of it is sent."""
    values: dict[str, Any] = {
        "quality": "high",
        "background": "transparent",
        "compression": 5,
        "negative_prompt": "rain",
        "size": PixelSize(1024, 1024),
        "resolution": "1K",
        "seed": 7,
        "format": "png",
    }
    body, warned = await asked(drawing(model, **{name: values[name] for name in ignored}))

    assert body == {"prompt": "a boat"}
    assert {(warning.field, warning.reason) for warning in warned} == {
        (f"options.{name}", WarningReason.IGNORED) for name in ignored
    }


async def test_pixels_go_before_a_ratio_and_a_resolution() -> None:
    """Which are warned about."""
    wish = drawing(MODEL, size=PixelSize(512, 512), aspect_ratio="16:9", resolution="2K")
    body, warned = await asked(wish)

    assert (body["width"], body["height"]) == (512, 512)
    assert {warning.field for warning in warned} == {"options.aspect_ratio", "options.resolution"}


async def test_params_reach_the_vendor_as_they_are() -> None:
    """Those that say what an option says are that option, and width and height win over a size."""
    params = {
        "safety_tolerance": 5,
        "disable_pup": True,
        "seed": 9,
        "output_format": "png",
        "width": 640,
        "height": 320,
    }
    body, warned = await asked(drawing(MODEL, params={"bfl": params}, size=PixelSize(512, 512), seed=1))

    assert body == {"prompt": "a boat"} | params
    assert {(warning.field, warning.reason) for warning in warned} == {
        (f"options.{name}", WarningReason.OVERRIDDEN_BY_PARAMS) for name in ("size", "seed")
    }


@pytest.mark.parametrize("name", ["prompt", "webhook_url", "webhook_secret", *INPUT_FIELDS])
async def test_params_that_the_server_sets_are_refused(name: str) -> None:
    """Before anything is sent."""
    error = await refused(drawing(MODEL, params={"bfl": {name: "x"}}))

    assert told(error) == [f"params.bfl.{name}"]


async def test_an_edit_by_numbered_images() -> None:
    """As bare base64 in the order given; the model itself keeps the shape."""
    body, warned = await asked(changing(BIG, WIDE, CLEAR, seed=5))

    assert body == {
        "prompt": "a boat",
        "seed": 5,
        "input_image": text(BIG),
        "input_image_2": text(WIDE),
        "input_image_3": text(CLEAR),
    }
    assert warned == []


async def test_an_edit_in_more_pixels_keeps_its_shape() -> None:
    """A resolution alone is that of the first image's ratio."""
    body, _ = await asked(changing(WIDE, resolution="2K"))

    assert (body["width"], body["height"]) == (2048, 1024)


@pytest.mark.parametrize(
    ("wish", "sent"),
    [
        (changing(BIG, WIDE, model=FLUX_3), {"prompt": "a boat", "images": [text(BIG), text(WIDE)]}),
        (changing(BIG, model=FLUX_3), {"prompt": "a boat", "images": [text(BIG)]}),
        (
            changing(BIG, model=KONTEXT, aspect_ratio="3:2"),
            {"prompt": "a boat", "input_image": text(BIG), "aspect_ratio": "3:2"},
        ),
        (changing(BIG, model="bfl/flux-pro-1.1", prompt=""), {"image_prompt": text(BIG)}),
        (
            changing(BIG, model="bfl/flux-pro-1.1-ultra", params={"image_prompt_strength": 0.5}),
            {"prompt": "a boat", "image_prompt": text(BIG), "image_prompt_strength": 0.5},
        ),
        (changing(BIG, model=EXPAND, prompt="", params={"top": 64}), {"image": text(BIG), "top": 64}),
        (
            changing(BIG, model=OUTPAINT, prompt="", size=PixelSize(501, 300), params={"mode": "fast"}),
            {"input_image": text(BIG), "width": 501, "height": 300, "mode": "fast"},
        ),
        (
            changing(BIG, model=OUTPAINT, prompt="", params={"width": 512, "height": 320}),
            {"input_image": text(BIG), "width": 512, "height": 320},
        ),
        (changing(BIG, model=DEBLUR, prompt="", format="webp"), {"image": text(BIG), "output_format": "webp"}),
        (changing(BIG, WIDE, model=TRY_ON), {"prompt": "a boat", "person": text(BIG), "garment": text(WIDE)}),
        (changing(CLEAR, model=FILL), {"prompt": "a boat", "image": text(CLEAR)}),
    ],
    ids=lambda value: value.model if isinstance(value, Wish) else "",
)
async def test_images_in_the_fields_of_the_model(wish: Wish, sent: dict[str, Any]) -> None:
    """Each model has names of its own for what it is given."""
    body, warned = await asked(wish)

    assert body == sent
    assert warned == []


@pytest.mark.parametrize("model", [FILL, ERASE])
@pytest.mark.parametrize("convention", ["transparent", "white"])
async def test_the_half_that_may_change_is_white(model: str, convention: str) -> None:
    """Whichever of the two ways the caller marks it: of a mask whose right half is marked, that half is white."""
    kept, marked = ((0, 0, 0, 255), (0, 0, 0, 0)) if convention == "transparent" else ((0, 0, 0), (255, 255, 255))
    mask = Image.new("RGBA" if convention == "transparent" else "RGB", (256, 256), kept)
    mask.paste(marked, (128, 0, 256, 256))
    body, _ = await asked(changing(BIG, model=model, mask=encoded(mask, "PNG"), prompt=""))
    sent = opened(body["mask"]).convert("L")

    assert sent.size == (256, 256)
    assert sent.crop((0, 0, 128, 256)).getextrema() == (0, 0)
    assert sent.crop((128, 0, 256, 256)).getextrema() == (255, 255)


async def test_words_for_a_model_that_takes_none_are_warned_about() -> None:
    """They are not sent."""
    body, warned = await asked(changing(BIG, model=DEBLUR, prompt="sharper"))

    assert body == {"image": text(BIG)}
    assert [(warning.field, warning.reason) for warning in warned] == [("input.prompt", WarningReason.IGNORED)]


@pytest.mark.parametrize(
    ("wish", "reason", "fields"),
    [
        (drawing(MODEL, size=PixelSize(1000, 1024)), Reason.INVALID_REQUEST, ["options.size"]),
        (drawing(MODEL, size=PixelSize(48, 1024)), Reason.INVALID_REQUEST, ["options.size"]),
        (drawing(MODEL, size=PixelSize(2048, 2064)), Reason.INVALID_REQUEST, ["options.size"]),
        (drawing("bfl/flux-pro-1.1", size=PixelSize(1472, 512)), Reason.INVALID_REQUEST, ["options.size"]),
        (drawing(MODEL, aspect_ratio="wide"), Reason.INVALID_REQUEST, ["options.aspect_ratio"]),
        (drawing(MODEL, aspect_ratio="9:1"), Reason.INVALID_REQUEST, ["options.aspect_ratio"]),
        (drawing("bfl/flux-2-next", resolution="8K"), Reason.INVALID_REQUEST, ["options.resolution"]),
        (changing(*[BIG] * 9), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(*[BIG] * 5, model=KONTEXT), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(*[BIG] * 11, model=FLUX_3), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(BIG, png(255, 256), model=FLUX_3), Reason.INVALID_REQUEST, ["input.images[1]"]),
        (changing(png(4001, 4000), model=FLUX_3), Reason.INVALID_REQUEST, ["input.images[0]"]),
        (changing(BIG, model=TRY_ON), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(BIG, model=FILL), Reason.INVALID_REQUEST, ["input.mask"]),
        (changing(CLEAR, model=ERASE), Reason.INVALID_REQUEST, ["input.mask"]),
        (changing(BIG, model=EXPAND), Reason.INVALID_REQUEST, ["params.bfl.top"]),
        (changing(BIG, model=EXPAND, params={"left": 0}), Reason.INVALID_REQUEST, ["params.bfl.top"]),
        (changing(BIG, model=OUTPAINT), Reason.INVALID_REQUEST, ["options.size"]),
        (drawing("bfl/flux-pro-1.1-ultra-finetuned"), Reason.INVALID_REQUEST, ["params.bfl.finetune_id"]),
        (changing(BIG, mask=png(256, 256, shade=255)), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing(FILL), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing("bfl/flux-3-video"), Reason.OPERATION_NOT_SUPPORTED, []),
        (changing(BIG, model="bfl/flux-tools/video-edit-v1"), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing("bfl/delete_finetune", params={"bfl": {"finetune_id": "x"}}), Reason.MODEL_NOT_FOUND, []),
        (drawing("bfl/licenses/models/flux-1-dev/usage"), Reason.MODEL_NOT_FOUND, []),
        (drawing("bfl/../credits"), Reason.MODEL_NOT_FOUND, []),
        (drawing("bfl/flux-2-pro?x=1"), Reason.MODEL_NOT_FOUND, []),
    ],
    ids=range(27),
)
async def test_what_the_vendor_would_refuse_is_refused_here(wish: Wish, reason: Reason, fields: list[str]) -> None:
    """With the field that is wrong, before anything is sent; and what is no model of pictures is not asked for."""
    error = await refused(wish)

    assert (error.reason, told(error)) == (reason, fields)


async def test_a_model_that_is_not_known_is_asked_for_as_it_is() -> None:
    """The vendor refuses it by itself."""
    async with bfl_workshop() as made:
        broken = await made.workshop.broken(drawing("bfl/flux-9-image", seed=1, aspect_ratio="1:1"))
    (request,) = made.fake.requests

    assert (request.path, broken.error.reason) == ("/v1/flux-9-image", Reason.MODEL_NOT_FOUND)
    assert request.json == {"prompt": "a boat", "seed": 1, "aspect_ratio": "1:1"}


async def test_what_is_explained_is_what_is_sent() -> None:
    """Nothing is sent for it, and no key is shown."""
    wish = changing(BIG, WIDE, seed=5, params={"safety_tolerance": 1})
    async with bfl_workshop() as made:
        (planned,) = await made.workshop.explained(wish)
        assert made.fake.requests == []
    shown = repr(planned)

    assert KEY not in shown
    assert "/v1/flux-2-pro" in shown
    assert "safety_tolerance" in shown
