"""What is sent for a wish, what is refused before anything is sent, and with which key."""

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.task import PixelSize, Wish
from imagegen_server.providers.sdapi import SdapiSettings
from imagegen_server.providers.sdapi.provider import authorization
from PIL import Image

from tests.support.generation import drawing, editing, told
from tests.support.pictures import encoded, png
from tests.support.sdapi_api import KEY, LOGIN, TITLES
from tests.support.sdapi_provider import MODEL, UNASKED, sdapi_workshop
from tests.support.vendor import json_answer

PROMPT = "a lighthouse at dusk"


async def sent(wish: Wish, settings: SdapiSettings | None = None) -> tuple[str, dict[str, Any], Finished]:
    """Run a wish: where it goes, what is said, without id and seed of our own, and what comes of it."""
    async with sdapi_workshop(settings=settings, pace=UNASKED) as made:
        last = (await made.workshop.run(wish))[-1]
        assert isinstance(last, Finished), vars(last)
        (call,) = made.fake.makings
    body = call.json
    assert body.pop("force_task_id").startswith("imagegen-")
    if wish.options.seed is None:
        assert body.pop("seed") == last.result.images[0].seed
    return call.path, body, last


def drawn(model: str = MODEL, **options: Any) -> Wish:
    """Wish for a picture of the lighthouse."""
    return replace(drawing(model, **options), prompt=PROMPT)


async def test_nothing_is_said_that_was_not_asked_for() -> None:
    """The words alone, and a seed; size, steps and sampler are the server's, which tells them."""
    path, body, last = await sent(drawn())

    assert (path, body) == ("/sdapi/v1/txt2img", {"prompt": PROMPT})
    assert last.result.images[0].image.facts.width == 512
    assert last.result.model == "sdapi/boats_v1"


async def test_options_are_fields() -> None:
    """Each has one of its own."""
    wish = drawn(size=PixelSize(64, 96), seed=7, negative_prompt="rain")
    _, body, last = await sent(wish)

    assert body == {"prompt": PROMPT, "width": 64, "height": 96, "seed": 7, "negative_prompt": "rain"}
    assert last.result.images[0].seed == 7
    assert last.result.images[0].image.facts.height == 96


async def test_a_model_is_a_setting_that_stays() -> None:
    """By the title that the server lists; it is not loaded anew after each picture."""
    _, body, last = await sent(drawn(f"sdapi/{TITLES[1]}"))

    assert body["override_settings"] == {"sd_model_checkpoint": TITLES[1]}
    assert body["override_settings_restore_afterwards"] is False
    assert last.result.warnings == ()
    assert last.result.metadata["sdapi"]["sd_model_name"] == "folder_harbours"


async def test_params_join_settings() -> None:
    """Of two settings both are sent; what params say wins over what we say by ourselves."""
    own: dict[str, JsonValue] = {"CLIP_stop_at_last_layers": 2, "show_progress_every_n_steps": 5}
    params: JsonObject = {"override_settings": own, "override_settings_restore_afterwards": True, "steps": 8}
    _, body, _ = await sent(replace(drawn(f"sdapi/{TITLES[1]}", preview_count=1), params={"sdapi": params}))

    assert body["override_settings"] == {"sd_model_checkpoint": TITLES[1], "live_previews_enable": True, **own}
    assert (body["override_settings_restore_afterwards"], body["steps"]) == (True, 8)


async def test_a_seed_is_told_also_by_a_server_that_tells_none() -> None:
    """KoboldCpp: one is chosen, other each time."""
    async with sdapi_workshop("koboldcpp", pace=UNASKED) as made:
        seeds = [(await made.workshop.result(drawn())).images[0].seed for _ in range(2)]
        sent_seeds = [call.json["seed"] for call in made.fake.makings]

    assert seeds == sent_seeds
    assert len(set(seeds)) == 2
    assert all(0 <= seed < 2**31 for seed in sent_seeds)


async def test_several_are_one_batch_if_the_operator_says_so() -> None:
    """With seeds that are told of each; the picture that shows them all is none of them."""
    path, body, last = await sent(drawn(count=3, seed=5), SdapiSettings(batch_size=4))

    assert (path, body["batch_size"]) == ("/sdapi/v1/txt2img", 3)
    assert [image.seed for image in last.result.images] == [5, 6, 7]
    assert len({image.image.sha256 for image in last.result.images}) == 3


async def test_an_edit_keeps_the_size_of_its_picture() -> None:
    """The servers would make 512 by 512 pixels of it, whatever its ratio."""
    path, body, _ = await sent(editing(png(48, 80), model=MODEL))

    assert path == "/sdapi/v1/img2img"
    assert (body["width"], body["height"]) == (48, 80)
    assert base64.b64decode(body["init_images"][0]) == png(48, 80)


async def test_a_size_that_is_asked_for_goes_before_that_of_the_picture() -> None:
    """And params before both, with a warning."""
    wish = replace(editing(png(48, 80), model=MODEL), options=drawing(MODEL, size=PixelSize(64, 64)).options)
    _, body, _ = await sent(wish)
    _, with_params, last = await sent(replace(wish, params={"sdapi": {"width": 128}}))

    assert (body["width"], body["height"]) == (64, 64)
    assert (with_params["width"], with_params["height"]) == (128, 80)
    assert [warning.field for warning in last.result.warnings] == ["options.size"]


async def test_a_mask_is_white_where_the_picture_may_change() -> None:
    """Whatever it was before."""
    clear = Image.new("RGBA", (16, 16), (9, 9, 9, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 8, 16))
    _, body, _ = await sent(editing(png(16, 16), mask=encoded(clear, "PNG"), model=MODEL))
    mask = Image.open(io.BytesIO(base64.b64decode(body["mask"])))

    assert (mask.getpixel((0, 0)), mask.getpixel((15, 15))) == (255, 0)


REFUSED: dict[str, tuple[Wish, list[str]]] = {
    "a negative seed": (drawn(seed=-1), ["options.seed"]),
    "a tag of sd-server": (
        replace(drawn(), prompt='x<sd_cpp_extra_args>{"seed":1}</sd_cpp_extra_args>'),
        ["input.prompt"],
    ),
    "the same unasked": (drawn(negative_prompt="sd_cpp_extra_args"), ["options.negative_prompt"]),
    "the same in params": (
        replace(drawn(), params={"sdapi": {"hr_prompt": "<sd_cpp_extra_args>"}}),
        ["params.sdapi.hr_prompt"],
    ),
    "settings that are none": (
        replace(drawn(), params={"sdapi": {"override_settings": 5}}),
        ["params.sdapi.override_settings"],
    ),
    "a second model": (
        replace(drawn(), params={"sdapi": {"override_settings": {"sd_model_checkpoint": "x"}}}),
        ["params.sdapi.override_settings.sd_model_checkpoint"],
    ),
    "more pictures than asked for": (replace(drawn(), params={"sdapi": {"n_iter": 4}}), ["params.sdapi.n_iter"]),
    "no pictures": (replace(drawn(), params={"sdapi": {"send_images": False}}), ["params.sdapi.send_images"]),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_would_be_misread_is_refused(name: str) -> None:
    """Before anything is sent, by the field that is wrong."""
    wish, fields = REFUSED[name]
    async with sdapi_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(wish)

    assert (caught.value.reason, told(caught.value)) == (Reason.INVALID_REQUEST, fields)
    assert made.fake.requests == []


@pytest.mark.parametrize("key", [KEY, LOGIN])
async def test_every_call_proves_who_asks(key: str) -> None:
    """The picture, the questions beside it, what interrupts it, and the lists: by Basic or as a bearer."""
    async with sdapi_workshop(key=key) as made:
        assert isinstance((await made.workshop.run(drawing(MODEL, preview_count=1)))[-1], Finished)
        calls = [*made.fake.requests, *made.fake.looks]

    assert {call.headers["authorization"] for call in calls} == set(authorization(key).values())
    assert authorization(LOGIN) == {"Authorization": f"Basic {base64.b64encode(LOGIN.encode()).decode()}"}
    assert authorization(KEY) == {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize("part", [LOGIN, LOGIN.partition(":")[2], base64.b64encode(LOGIN.encode()).decode()])
async def test_no_error_repeats_the_login(part: str) -> None:
    """Nor its password, nor the header that both are in."""
    async with sdapi_workshop(key=LOGIN) as made:
        answer = {"detail": f"no such user: {part}"}
        made.fake.answer_next(replace(json_answer(401, answer), checks=False))
        last = (await made.workshop.run(drawing(MODEL)))[-1]

    assert isinstance(last, Broken)
    assert part not in repr(vars(last.error))
    assert "no such user: ***" in last.error.message
