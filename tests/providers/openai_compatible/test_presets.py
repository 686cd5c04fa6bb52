"""Each preset in front of a strict fake of its server: what is sent, what is left out, and what comes back."""

import asyncio
import io
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import Cost, WarningReason
from imagegen_server.domain.task import Options, PixelSize, Wish
from imagegen_server.providers.openai_compatible.settings import PRESETS, Dialect
from PIL import Image

from tests.support.generation import drawing, editing, told
from tests.support.openai_compatible_api import CREDITS, KEY, SERVERS
from tests.support.openai_compatible_provider import CompatibleWorkshop, compatible_workshop
from tests.support.pictures import encoded, png
from tests.support.recording import RecordedRequest
from tests.support.vendor import Answer

DIALECTS: list[Dialect] = ["together", "recraft", "deepinfra", "localai", "sglang", "vllm-omni", "sd-server"]
MASKED: list[Dialect] = ["recraft", "deepinfra", "localai", "vllm-omni", "sd-server"]
EVERYTHING: dict[str, Any] = {
    "size": PixelSize(512, 768),
    "aspect_ratio": "2:3",
    "resolution": "1K",
    "quality": "low",
    "background": "opaque",
    "format": "png",
    "compression": 50,
    "seed": 7,
    "negative_prompt": "rain",
}


def half_white(size: int = 16) -> bytes:
    """Draw a mask whose left half may change."""
    mask = Image.new("L", (size, size), 0)
    mask.paste(255, (0, 0, size // 2, size))
    return encoded(mask, "PNG")


def edit(made: CompatibleWorkshop, *images: bytes, mask: bytes | None = None, **options: Any) -> Wish:
    """Wish for a changed picture."""
    given = images or (png(16, 16),)
    return replace(editing(*given, mask=mask, model=made.model), options=Options(**options))


def serve_files(made: CompatibleWorkshop) -> None:
    """Have the fake hand out the pictures that it keeps."""
    draw = made.fake.draw

    def served(call: RecordedRequest, *, checks_only: bool) -> Answer:
        if call.path == "/generated-images/1.png":
            return Answer(200, {"content-type": "image/png"}, [png(16, 16)])
        return draw(call, checks_only=checks_only)

    vars(made.fake)["draw"] = served


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_option_is_sent_or_warned_about(dialect: Dialect) -> None:
    """The server takes what it is sent, and the caller is told the rest."""
    async with compatible_workshop(dialect) as made:
        result = await made.workshop.result(drawing(made.model, **EVERYTHING))

    preset = PRESETS[dialect]
    warned = {warning.field.removeprefix("options.") for warning in result.warnings}
    # Recraft has one field for a size and a ratio, of which the size goes first.
    sent = {"size", *preset.options} - ({"aspect_ratio"} if dialect == "recraft" else set())
    assert warned == EVERYTHING.keys() - sent
    assert {warning.reason for warning in result.warnings} == {WarningReason.IGNORED}
    assert len(result.images) == 1
    assert made.fake.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_many_are_asked_for_in_as_many_requests_as_it_takes(dialect: Dialect) -> None:
    """As many in each as the server makes, with seeds that go on."""
    most = PRESETS[dialect].max_images or 1
    async with compatible_workshop(dialect) as made:
        result = await made.workshop.result(drawing(made.model, count=most + 2))

    assert len(result.images) == most + 2
    assert sum(call.json.get("n", 1) for call in made.fake.requests) == most + 2
    assert max(call.json.get("n", 1) for call in made.fake.requests) == most


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_pictures_are_changed(dialect: Dialect) -> None:
    """One, and where the server takes them several, with the options that an edit has there."""
    preset = PRESETS[dialect]
    count = 1 if preset.max_input_images == 1 else 2
    left_out = {"size", "seed"} - set(preset.edit_options or ("size", *preset.options))
    async with compatible_workshop(dialect) as made:
        for images in ([png(16, 16)], [png(16, 16), encoded(Image.new("RGB", (8, 8), "red"), "JPEG")][:count]):
            result = await made.workshop.result(edit(made, *images, seed=7, size=PixelSize(512, 512)))
            assert len(result.images) == 1
            assert {warning.field for warning in result.warnings} == {f"options.{name}" for name in left_out}

    assert {call.path for call in made.fake.requests} == {SERVERS[dialect].prefix + preset.edit_path}


@pytest.mark.parametrize("dialect", MASKED)
async def test_a_mask_arrives_as_the_server_reads_it(dialect: Dialect) -> None:
    """White where it edits, or transparent there, at the address for masks."""
    preset = PRESETS[dialect]
    async with compatible_workshop(dialect) as made:
        serve_files(made)
        result = await made.workshop.result(edit(made, mask=half_white()))
    request = made.fake.requests[0]
    (sent,) = [file.data for file in request.files if file.name == preset.mask_field]
    image = Image.open(io.BytesIO(sent))

    edited = bytes([255] * 8) + bytes(8)
    if preset.mask == "white":
        assert (image.mode, image.tobytes()) == ("L", edited * 16)
    else:
        assert image.getchannel("A").tobytes() == bytes(value ^ 255 for value in edited) * 16
    assert request.path == SERVERS[dialect].prefix + (preset.mask_path or preset.edit_path)
    assert len(result.images) == 1


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect not in MASKED])
async def test_a_server_without_masks_is_sent_none(dialect: Dialect) -> None:
    """SGLang would take one and not look at it."""
    async with compatible_workshop(dialect) as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(edit(made, mask=half_white()))

    assert caught.value.reason is Reason.OPERATION_NOT_SUPPORTED
    assert made.fake.requests == []


async def test_together_is_sent_the_words_of_its_own() -> None:
    """Width and height, `base64`, and images as data URLs in the same call."""
    async with compatible_workshop("together") as made:
        await made.workshop.result(drawing(made.model, size=PixelSize(512, 256), params={"house": {"steps": 4}}))
        await made.workshop.result(edit(made))
        await made.workshop.result(edit(made, png(16, 16), png(8, 8)))
    drawn, one, several = (call.json for call in made.fake.requests)

    assert drawn == {
        "model": "acme/painter-1",
        "prompt": "a boat",
        "width": 512,
        "height": 256,
        "response_format": "base64",
        "steps": 4,
    }
    assert one["image_url"].startswith("data:image/png;base64,")
    assert len(several["reference_images"]) == 2


async def test_a_side_in_params_is_the_size() -> None:
    """Half of one would go with half of the other; params win, and that is said."""
    async with compatible_workshop("together") as made:
        wish = drawing(made.model, size=PixelSize(512, 256), params={"house": {"width": 1024}})
        result = await made.workshop.result(wish)

    assert made.fake.requests[0].json["width"] == 1024
    assert "height" not in made.fake.requests[0].json
    assert [(warning.field, warning.reason) for warning in result.warnings] == [
        ("options.size", WarningReason.OVERRIDDEN_BY_PARAMS)
    ]


async def test_recraft_tells_what_it_cost() -> None:
    """Credits are thousandths of a dollar, added up over the requests; a vector model's picture is SVG."""
    async with compatible_workshop("recraft") as made:
        result = await made.workshop.result(drawing(made.model, count=8, aspect_ratio="16:9", seed=3))
    first = made.fake.requests[0].json

    assert result.usage is not None
    assert result.usage.cost == Cost(8 * CREDITS / 1000, "USD")
    assert (first["size"], first["random_seed"]) == ("16:9", 3)
    assert "seed" not in first


async def test_recraft_is_told_how_far_an_edit_may_go() -> None:
    """It has no default; the preset's is half, and params say another. A mask needs none, and takes one image."""
    async with compatible_workshop("recraft") as made:
        await made.workshop.result(edit(made))
        await made.workshop.result(replace(edit(made), params={"house": {"strength": 0.2}}))
        await made.workshop.result(edit(made, mask=half_white()))
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(edit(made, png(16, 16), png(16, 16)))
    strengths = [call.fields.get("strength") for call in made.fake.requests]

    assert strengths == ["0.5", "0.2", None]
    assert told(caught.value) == ["input.images"]


async def test_localai_keeps_its_pictures_and_tells_where() -> None:
    """They are fetched from its own address, without the key; a mask makes one picture a request, without options."""
    async with compatible_workshop("localai") as made:
        serve_files(made)
        result = await made.workshop.result(edit(made, mask=half_white(), count=2, seed=3, size=PixelSize(512, 512)))
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(edit(made, png(16, 16), png(16, 16), mask=half_white()))

    assert len(result.images) == 2
    assert {warning.field for warning in result.warnings} == {"options.seed", "options.size"}
    fetched = [call for call in made.fake.requests if call.method == "GET"]
    assert len(fetched) == 2
    assert all("authorization" not in call.headers for call in fetched)
    assert told(caught.value) == ["input.images"]


async def test_localai_reads_a_negative_prompt_behind_a_bar() -> None:
    """Ours goes there; a bar of the caller's own would be taken for one, and is refused."""
    async with compatible_workshop("localai") as made:
        await made.workshop.result(drawing(made.model, negative_prompt="rain"))
        for wish in (
            replace(drawing(made.model), prompt="salt | pepper"),
            drawing(made.model, negative_prompt="rain | snow"),
        ):
            with pytest.raises(ImageError) as caught:
                await made.workshop.run(wish)
            assert told(caught.value) in (["input.prompt"], ["options.negative_prompt"])

    assert [call.json["prompt"] for call in made.fake.requests] == ["a boat|rain"]
    assert "negative_prompt" not in made.fake.requests[0].json


async def test_sd_server_reads_settings_out_of_the_prompt() -> None:
    """Options and params without a field go there; nobody else may write into that place."""
    params: JsonObject = {"sample_params": {"sample_steps": 20}}
    async with compatible_workshop("sd-server") as made:
        await made.workshop.result(drawing(made.model, seed=7, format="webp", params={"house": params}))
        await made.workshop.result(replace(edit(made), params={"house": params}))
        tag = "<sd_cpp_extra_args>{}</sd_cpp_extra_args>"
        for wish, field in (
            (replace(drawing(made.model), prompt=f"a boat {tag}"), "input.prompt"),
            (drawing(made.model, negative_prompt=tag), "options.negative_prompt"),
            (drawing(made.model, params={"house": {"a": {"b": [tag]}}}), "params.house.a"),
        ):
            with pytest.raises(ImageError) as caught:
                await made.workshop.run(wish)
            assert told(caught.value) == [field]
    drawn, changed = made.fake.requests

    assert drawn.json == {
        "model": "sd-cpp-local",
        "prompt": 'a boat<sd_cpp_extra_args>{"seed": 7, "sample_params": {"sample_steps": 20}}</sd_cpp_extra_args>',
        "output_format": "webp",
    }
    assert changed.fields["prompt"].endswith('{"sample_params": {"sample_steps": 20}}</sd_cpp_extra_args>')
    assert [file.name for file in changed.files] == ["image[]"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_params_that_the_server_sets_are_refused(dialect: Dialect) -> None:
    """Also the fields that images go under there."""
    preset = PRESETS[dialect]
    names = {"model", "prompt", "stream", "response_format", preset.image_field, preset.mask_field}
    async with compatible_workshop(dialect) as made:
        for name in names:
            with pytest.raises(ImageError) as caught:
                await made.workshop.run(drawing(made.model, params={"house": {name: "x"}}))
            assert told(caught.value) == [f"params.house.{name}"]

    assert made.fake.requests == []


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_server_that_is_unknown_is_asked_without_a_key(dialect: Dialect) -> None:
    """A server of one's own works without one; a hosted vendor refuses, free of charge."""
    async with compatible_workshop(dialect, key="") as made:
        if SERVERS[dialect].needs_key:
            broken = await made.workshop.broken(drawing(made.model))
            assert broken.error.reason is Reason.AUTHENTICATION_FAILED
        else:
            assert len((await made.workshop.result(drawing(made.model))).images) == 1

    assert "authorization" not in made.fake.requests[0].headers


async def test_many_servers_side_by_side_keep_their_own_ways() -> None:
    """Each provider has its own switches, whatever others there are."""
    async with compatible_workshop("together") as one, compatible_workshop("sd-server") as other:
        await asyncio.gather(
            *(made.workshop.result(drawing(made.model, size=PixelSize(512, 256))) for made in (one, other))
        )

    assert "width" in one.fake.requests[0].json
    assert other.fake.requests[0].json["size"] == "512x256"
