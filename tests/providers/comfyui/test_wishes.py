"""What is said of a wish before anything is sent."""

from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import PixelSize, Wish
from PIL import Image

from tests.support.comfyui_provider import MODEL, comfyui_workshop, workflow
from tests.support.generation import drawing, editing
from tests.support.pictures import encoded, png


async def refused(wish: Wish, **settings: Any) -> ImageError:
    """Tell what is wrong with a wish; nothing is sent."""
    async with comfyui_workshop(**settings) as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)
    assert made.fake.requests == []
    return caught.value


def fields(error: ImageError) -> list[str]:
    """Name what is wrong."""
    return [violation.field for violation in error.violations]


MASKING = {"castle": workflow("inpainting")}


async def test_what_is_missing_is_named() -> None:
    """Images and masks that a workflow must have, a node that is not there, a seed below 0, a model's second name."""
    two = {"image": "1.inputs.image", "image2": "3.inputs.filename_prefix"}
    several = {"castle": workflow("inverting", fields=two)}

    assert fields(await refused(editing(png(8, 8), model="comfyui/castle"), workflows=several)) == ["input.images"]
    assert fields(await refused(editing(png(8, 8), model="comfyui/castle"), workflows=MASKING)) == ["input.mask"]
    assert fields(await refused(drawing(MODEL, seed=-1))) == ["options.seed"]
    params = {"comfyui": {"99.inputs.cfg": 1, "checkpoint": "x"}}
    named = ["params.comfyui.checkpoint", "params.comfyui.99.inputs.cfg"]
    assert fields(await refused(drawing(MODEL, params=params))) == named


async def test_a_transparent_picture_needs_no_mask() -> None:
    """It says itself where it may change."""
    picture = encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG")
    async with comfyui_workshop(workflows=MASKING) as made:
        assert len((await made.workshop.result(editing(picture, model="comfyui/castle"))).images) == 1


async def test_without_checkpoints_there_are_workflows_only() -> None:
    """Another name is no model, and the server is not asked for it."""
    error = await refused(drawing("comfyui/sd"), workflows={"castle": workflow("drawing")}, checkpoints=False)

    assert error.reason is Reason.MODEL_NOT_FOUND


@pytest.mark.parametrize(
    ("options", "params", "told", "drawn"),
    [
        ({"size": PixelSize(1000, 770)}, {}, [("options.size", WarningReason.ADJUSTED)], (1000, 768)),
        ({"size": PixelSize(3, 3)}, {}, [("options.size", WarningReason.ADJUSTED)], (16, 16)),
        ({"size": PixelSize(512, 768)}, {}, [], (512, 768)),
        ({}, {"width": 512}, [], (512, 1024)),
        (
            {"size": PixelSize(512, 768)},
            {"width": 640},
            [("options.size", WarningReason.OVERRIDDEN_BY_PARAMS)],
            (640, 768),
        ),
        (
            {"size": PixelSize(512, 768)},
            {"width": 640, "height": 320},
            [("options.size", WarningReason.OVERRIDDEN_BY_PARAMS)],
            (640, 320),
        ),
    ],
)
async def test_a_size_is_one_that_can_be_drawn(
    options: dict[str, Any], params: dict[str, Any], told: list[object], drawn: tuple[int, int]
) -> None:
    """The nearest in steps of 8 pixels, with a warning; params win."""
    async with comfyui_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, params={"comfyui": params}, **options))
        latent = made.fake.queued[0].json["prompt"]["5"]["inputs"]

    assert (latent["width"], latent["height"]) == drawn
    assert [(note.field, note.reason) for note in result.warnings] == told


async def test_a_param_of_no_field_is_sent_and_warned_about() -> None:
    """Beside the graph, where a version of tomorrow may read it; what the server knows there is not warned about."""
    params = {"comfyui": {"setps": 3, "front": True, "extra_data": {"extra_pnginfo": {"workflow": {}}}}}
    async with comfyui_workshop() as made:
        result = await made.workshop.result(drawing(MODEL, params=params, preview_count=1))
        body = made.fake.queued[0].json

    assert (body["setps"], body["front"]) == (3, True)
    assert body["extra_data"] == {"preview_method": "auto", "extra_pnginfo": {"workflow": {}}}
    assert [note.field for note in result.warnings if "params" in note.field] == ["params.comfyui.setps"]
    assert "there are cfg, denoise, sampler_name, scheduler, steps" in result.warnings[-1].message
