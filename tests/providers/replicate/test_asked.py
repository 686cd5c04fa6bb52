"""What is asked of the vendor: each option, param, image and mask in the inputs of its model."""

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Wish
from PIL import Image

from tests.support.generation import drawing, editing, told
from tests.support.pictures import encoded, noisy_png, png
from tests.support.replicate_api import said
from tests.support.replicate_provider import MODEL, replicate_workshop

FLUX_2 = "replicate/black-forest-labs/flux-2-pro"
FILL = "replicate/black-forest-labs/flux-fill-pro"
SEEDREAM = "replicate/bytedance/seedream-4.5"
BANANA = "replicate/google/nano-banana-pro"
GPT = "replicate/openai/gpt-image-1.5"
IDEOGRAM = "replicate/ideogram-ai/ideogram-v3-turbo"
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
    """Do a wish; tells the input that the vendor was sent, and what the caller is warned of."""
    async with replicate_workshop() as made:
        result = await made.workshop.result(wish)
    (created,) = [call for call in made.fake.requests if call.path.endswith("/predictions")]
    return created.json["input"], list(result.warnings)


@pytest.mark.parametrize(
    ("wish", "sent"),
    [
        (drawing(MODEL), {}),
        (drawing(MODEL, aspect_ratio="9:21", seed=5), {"aspect_ratio": "9:21", "seed": 5}),
        (drawing(MODEL, format="jpeg", compression=70), {"output_format": "jpg", "output_quality": 70}),
        (drawing(MODEL, resolution="1K"), {"megapixels": "1"}),
        (drawing(FLUX_2, size=PixelSize(640, 480)), {"aspect_ratio": "custom", "width": 640, "height": 480}),
        (drawing(FLUX_2, aspect_ratio="3:2", resolution="2K"), {"aspect_ratio": "3:2", "resolution": "4 MP"}),
        (drawing(FLUX_2, aspect_ratio="auto"), {"aspect_ratio": "match_input_image"}),
        (drawing(SEEDREAM, size=PixelSize(2048, 1024)), {"size": "custom", "width": 2048, "height": 1024}),
        (drawing(SEEDREAM, resolution="4K", aspect_ratio="16:9"), {"size": "4K", "aspect_ratio": "16:9"}),
        (drawing(BANANA, resolution="4K"), {"resolution": "4K"}),
        (
            drawing(GPT, quality="low", background="transparent", format="webp", compression=50, count=3),
            {
                "quality": "low",
                "background": "transparent",
                "output_format": "webp",
                "output_compression": 50,
                "number_of_images": 3,
            },
        ),
        (drawing("replicate/qwen/qwen-image", negative_prompt="rain"), {"negative_prompt": "rain"}),
    ],
    ids=[
        "plain",
        "ratio and seed",
        "jpg",
        "megapixels",
        "custom ratio",
        "MP",
        "auto",
        "custom size",
        "size as a resolution",
        "resolution",
        "gpt",
        "negative",
    ],
)
async def test_every_option_is_sent_in_the_inputs_of_its_model(wish: Wish, sent: dict[str, Any]) -> None:
    """What is not set is not sent."""
    given, warned = await asked(wish)

    assert given == {"prompt": "a boat"} | sent
    assert warned == []


@pytest.mark.parametrize(
    ("wish", "fields", "sent"),
    [
        (
            drawing(MODEL, size=PixelSize(640, 480), quality="low", background="opaque", negative_prompt="x"),
            {"size", "quality", "background", "negative_prompt"},
            {},
        ),
        (drawing(MODEL, aspect_ratio="7:1"), {"aspect_ratio"}, {}),
        (drawing(BANANA, size=PixelSize(1024, 1024), seed=1), {"size", "seed"}, {}),
        (
            drawing(FLUX_2, size=PixelSize(640, 480), aspect_ratio="1:1", resolution="1K"),
            {"aspect_ratio", "resolution"},
            {"aspect_ratio": "custom", "width": 640, "height": 480},
        ),
    ],
    ids=["unknown", "no such ratio", "no size", "size wins"],
)
async def test_what_a_model_cannot_say_is_warned_about(wish: Wish, fields: set[str], sent: dict[str, Any]) -> None:
    """By the option's name; the rest is done."""
    given, warned = await asked(wish)

    assert given == {"prompt": "a boat"} | sent
    assert {(warning.field, warning.reason) for warning in warned} == {
        (f"options.{name}", WarningReason.IGNORED) for name in fields
    }


async def test_params_reach_the_vendor_as_they_are() -> None:
    """Those that say what an option says are that option; those that say a size win over it."""
    params = {"num_inference_steps": 4, "go_fast": False, "num_outputs": 2, "seed": 3, "output_format": "jpg"}
    given, warned = await asked(drawing(MODEL, params={"replicate": {**params, "megapixels": "1"}}, seed=4))
    sized, over = await asked(
        drawing(FLUX_2, params={"replicate": {"width": 512, "height": 512}}, size=PixelSize(640, 480))
    )

    assert given == {"prompt": "a boat", "megapixels": "1"} | params
    assert [(warning.field, warning.reason) for warning in warned] == [
        ("options.seed", WarningReason.OVERRIDDEN_BY_PARAMS)
    ]
    assert sized == {"prompt": "a boat", "width": 512, "height": 512}
    assert [(warning.field, warning.reason) for warning in over] == [
        ("options.size", WarningReason.OVERRIDDEN_BY_PARAMS)
    ]


@pytest.mark.parametrize("name", ["prompt", "image", "input_images", "input_image_3", "image_input", "mask"])
async def test_params_that_the_server_sets_are_refused(name: str) -> None:
    """Before anything is sent."""
    async with replicate_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(drawing(MODEL, params={"replicate": {name: "x"}}))

    assert told(caught.value) == [f"params.replicate.{name}"]
    assert made.fake.requests == []


async def test_an_edit_of_several_images() -> None:
    """In their order, as data URLs with their own types."""
    given, _ = await asked(changing(png(), JPEG, model=FLUX_2, aspect_ratio="1:1"))

    urls = [
        f"data:image/{kind};base64,{base64.b64encode(data).decode()}" for kind, data in (("png", png()), ("jpeg", JPEG))
    ]
    assert given == {"prompt": "a boat", "input_images": urls, "aspect_ratio": "1:1"}


async def test_a_large_image_is_uploaded_first() -> None:
    """Above 256 KiB; what it is called says nothing of the caller."""
    large = noisy_png(400, 400)
    async with replicate_workshop() as made:
        await made.workshop.result(changing(large, png(), model=FLUX_2))
    upload, created = made.fake.requests[:2]
    (part,) = upload.parts
    (number,) = made.fake.work.files

    assert (upload.method, upload.path) == ("POST", "/v1/files")
    assert (part.name, part.filename, part.content_type, part.data) == ("content", "1.png", "image/png", large)
    first, second = created.json["input"]["input_images"]
    assert first == f"{made.fake.base_url}/files/{number}"
    assert second.startswith("data:image/png;base64,")


async def test_an_upload_that_fails_costs_nothing() -> None:
    """Nothing was created by then."""
    async with replicate_workshop() as made:
        made.fake.answer_next(said(500, {"detail": "Internal server error"}))
        broken = await made.workshop.broken(changing(noisy_png(400, 400), model=FLUX_2))

    assert (broken.error.reason, broken.error.billed) == (Reason.PROVIDER_ERROR, Billed.NO)
    assert len(made.fake.requests) == 1


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("model", "left", "right"), [(FILL, 255, 0), (IDEOGRAM, 0, 255)], ids=["white", "black"])
async def test_a_mask_is_sent_as_the_model_reads_it(model: str, left: int, right: int, alpha: bool) -> None:
    """Whatever its form here: white where the picture may change, or black with Ideogram's models."""
    given, warned = await asked(changing(png(), model=model, mask=half_mask(alpha=alpha)))
    sent = Image.open(io.BytesIO(base64.b64decode(given["mask"].partition(",")[2])))

    assert warned == []
    assert (sent.mode, sent.size) == ("L", (8, 8))
    assert [sent.getpixel((1, 1)), sent.getpixel((6, 6))] == [left, right]
    assert given["image"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("wish", "reason", "fields"),
    [
        (changing(png(), model=MODEL), Reason.OPERATION_NOT_SUPPORTED, []),
        (drawing(FILL), Reason.OPERATION_NOT_SUPPORTED, []),
        (changing(png(), png(), model=FILL), Reason.INVALID_REQUEST, ["input.images"]),
        (changing(png(), model=FLUX_2, mask=half_mask()), Reason.OPERATION_NOT_SUPPORTED, []),
    ],
    ids=["no edits", "no words alone", "two images", "no masks"],
)
async def test_what_the_vendor_would_refuse_is_refused_here(wish: Wish, reason: Reason, fields: list[str]) -> None:
    """With the field that is wrong, before anything is sent."""
    async with replicate_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert (caught.value.reason, told(caught.value)) == (reason, fields)
    assert made.fake.requests == []
