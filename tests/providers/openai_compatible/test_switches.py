"""Each switch by itself, on requests that are not sent."""

import base64
import io
from typing import Any, Literal

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.providers.openai_compatible import CompatibleSettings
from imagegen_server.providers.openai_compatible.provider import OpenAICompatible
from imagegen_server.providers.openai_compatible.request import (
    fields_of,
    files_of,
    fitted,
    images_in_json,
    mask_as,
)
from PIL import Image

from tests.support.generation import as_input
from tests.support.pictures import encoded, png

PICTURE = png(16, 16)
ENCODED = base64.b64encode(PICTURE).decode()
MASK = encoded(Image.new("L", (16, 16), 255), "PNG")


def task(*images: bytes, mask: bytes | None = None, params: JsonObject | None = None, **options: Any) -> Task:
    """Make a task: an edit if there are images."""
    return Task(
        Operation.EDIT if images else Operation.GENERATE,
        "m",
        "a boat",
        Options(**options),
        tuple(map(as_input, images)),
        as_input(mask) if mask else None,
        params or {},
    )


def fields(settings: CompatibleSettings, what: Task | None = None) -> JsonObject:
    """Write the fields of a task, beside model and prompt."""
    written = dict(fields_of(what or task(), settings.switches()))
    assert (written.pop("model"), written.pop("prompt")) == ("m", "a boat")
    return written


@pytest.mark.parametrize(
    ("size", "expected"),
    [("size", {"size": "64x32"}), ("width_height", {"width": 64, "height": 32}), ("none", {})],
)
def test_a_size(size: Literal["size", "width_height", "none"], expected: JsonObject) -> None:
    """In one field, in two, or in none."""
    settings = CompatibleSettings(size=size, response_format="")

    assert fields(settings, task(size=PixelSize(64, 32))) == expected
    able = OpenAICompatible("house", settings).model("m").capabilities.options
    assert able is not None
    assert ("size" in able) is (size != "none")


def test_options_have_the_fields_that_are_said() -> None:
    """And are read from params by these."""
    settings = CompatibleSettings(options={"seed": "random_state", "quality": "preset"}, response_format="")

    assert fields(settings, task(seed=7, quality="fast")) == {"random_state": 7, "preset": "fast"}
    provider = OpenAICompatible("house", settings)
    assert provider.param_options == {"random_state": "seed", "preset": "quality", "n": "count", "size": "size"}


def test_the_response_format_is_what_is_said() -> None:
    """Or nothing at all."""
    assert fields(CompatibleSettings()) == {"response_format": "b64_json"}
    assert fields(CompatibleSettings(response_format="url")) == {"response_format": "url"}
    assert fields(CompatibleSettings(response_format="")) == {}


def test_fixed_fields_are_the_operators() -> None:
    """They stand in every request, and no caller changes them; defaults of edits a caller may."""
    settings = CompatibleSettings(body={"safe": True}, edit_defaults={"strength": 0.5}, response_format="")

    assert fields(settings) == {"safe": True}
    assert fields(settings, task(PICTURE)) == {"safe": True, "strength": 0.5}
    assert fields(settings, task(PICTURE, params={"strength": 1})) == {"safe": True, "strength": 1}
    assert fields(settings, task(PICTURE, mask=MASK)) == {"safe": True}
    assert "safe" in OpenAICompatible("house", settings).controlled_params
    assert "strength" not in OpenAICompatible("house", settings).controlled_params


def test_previews_are_asked_for_where_they_are_switched_on() -> None:
    """As OpenAI is asked, one image a request."""
    settings = CompatibleSettings(streaming=True, response_format="", max_images=4)
    provider = OpenAICompatible("house", settings)

    assert fields(settings, task(preview_count=2)) == {"stream": True, "partial_images": 2}
    assert provider.param_options["partial_images"] == "preview_count"
    assert provider.images_per_request(task(preview_count=2)) == 1
    assert provider.images_per_request(task(preview_count=0)) == 4


@pytest.mark.parametrize(
    ("settings", "one", "several"),
    [
        (CompatibleSettings(), "image", "image[]"),
        (CompatibleSettings(images_field=""), "image", "image"),
        (CompatibleSettings(image_field="picture", images_field="pictures"), "picture", "pictures"),
    ],
)
def test_the_names_of_files(settings: CompatibleSettings, one: str, several: str) -> None:
    """One image and several may have names of their own."""
    switches = settings.switches()

    assert [file.name for file in files_of(task(PICTURE), None, switches)] == [one]
    assert [file.name for file in files_of(task(PICTURE, PICTURE), None, switches)] == [several] * 2


def test_the_name_of_a_mask() -> None:
    """And of the image beside it, at an address of its own."""
    switches = CompatibleSettings(mask_field="cover", mask_path="/images/inpaint", mask_image_field="under").switches()

    assert [file.name for file in files_of(task(PICTURE, mask=MASK), b"x", switches)] == ["under", "cover"]


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("data_url", f"data:image/png;base64,{ENCODED}"),
        ("base64", ENCODED),
        ("object", {"image_url": f"data:image/png;base64,{ENCODED}"}),
    ],
)
def test_images_in_json(form: Literal["data_url", "base64", "object"], value: Any) -> None:
    """In each form: one alone, several in a list; objects are always in one, as with OpenAI."""
    switches = CompatibleSettings(
        edits="json", image_form=form, image_field="images" if form == "object" else "image", images_field="images"
    ).switches()

    one = images_in_json(task(PICTURE), None, switches)
    assert one == ({"images": [value]} if form == "object" else {"image": value})
    assert images_in_json(task(PICTURE, PICTURE), None, switches) == {"images": [value, value]}
    assert images_in_json(task(PICTURE, mask=MASK), PICTURE, switches)["mask"] == value


@pytest.mark.parametrize(
    ("polarity", "mode", "pixel"), [("white", "L", 255), ("black", "L", 0), ("transparent", "RGBA", (0, 0, 0, 0))]
)
def test_the_polarity_of_a_mask(polarity: Literal["white", "black", "transparent"], mode: str, pixel: Any) -> None:
    """What may change is white, black or transparent to the server."""
    written = Image.open(io.BytesIO(mask_as(MASK, CompatibleSettings(mask=polarity).switches())))

    assert (written.mode, written.getpixel((0, 0))) == (mode, pixel)


@pytest.mark.parametrize(
    ("settings", "masked", "way"),
    [
        (CompatibleSettings(), True, "form"),
        (CompatibleSettings(edits="json"), False, "json"),
        (CompatibleSettings(edits="json", mask_edits="form"), True, "form"),
        (CompatibleSettings(edits="none", mask_edits="form"), True, "form"),
        (CompatibleSettings(edits="none"), True, None),
    ],
)
def test_the_way_of_an_edit(settings: CompatibleSettings, masked: bool, way: str | None) -> None:
    """A mask may take another."""
    assert settings.switches().way_of_edit(masked=masked) == way


def test_options_of_edits_may_be_fewer() -> None:
    """What an edit does not take is left out with a warning; with a mask other ones."""
    switches = CompatibleSettings(edit_options=("size",), mask_options=("quality",)).switches()
    wishes: dict[str, Any] = {"size": PixelSize(64, 64), "quality": "low", "count": 2, "preview_count": 0}
    left = [
        [warning.field for warning in fitted(what, switches, "house")[1]]
        for what in (task(**wishes), task(PICTURE, **wishes), task(PICTURE, mask=MASK, **wishes))
    ]

    assert left == [[], ["options.quality"], ["options.size"]]


def test_a_picture_of_another_type_is_refused() -> None:
    """Nobody is known to take it; the message names the provider."""
    gif = encoded(Image.new("P", (8, 8)), "GIF")
    with pytest.raises(ImageError, match="house would refuse") as caught:
        fitted(task(gif, PICTURE), CompatibleSettings().switches(), "house")

    assert [violation.field for violation in caught.value.violations] == ["input.images[0]"]
