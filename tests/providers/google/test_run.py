"""The provider `google` behind the engine, in front of the fake."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import WarningReason
from imagegen_server.domain.task import Operation, Options, PixelSize, Wish
from imagegen_server.generation.opening import Terms

from tests.support.generation import CALLER, as_input
from tests.support.google_api import KEY, error
from tests.support.google_provider import MODEL, google_workshop
from tests.support.pictures import png
from tests.support.vendor import Answer, json_answer

DRAW = Wish(Operation.GENERATE, MODEL, "a lighthouse at dusk", Options())


def edit(*images: InputImage) -> Wish:
    """Change pictures."""
    return Wish(Operation.EDIT, MODEL, "make it red", Options(), images)


async def test_what_came_can_be_changed_in_a_further_turn() -> None:
    """The result has all that an edit needs for the vendor to know its own picture again."""
    async with google_workshop() as made:
        drawn = (await made.workshop.run(DRAW))[-1]
        assert isinstance(drawn, Finished)
        [image] = drawn.result.images
        _, data = await made.workshop.store.get(CALLER.name, image.image.image_id)
        told: Mapping[str, JsonObject] = image.metadata
        changed = (await made.workshop.run(edit(replace(as_input(data), metadata=told))))[-1]
        contents = made.fake.requests[-1].json["contents"]

    assert isinstance(changed, Finished)
    assert [turn["role"] for turn in contents] == ["user", "model", "user"]
    assert contents[0]["parts"] == [{"text": "a lighthouse at dusk"}]
    assert contents[1]["parts"][0]["thoughtSignature"] == told["google"]["thought_signature"]
    assert contents[2]["parts"] == [{"text": "make it red"}]


async def test_several_images_are_several_requests() -> None:
    """The vendor has no count: each image is a request of its own, side by side."""
    async with google_workshop() as made:
        last = (await made.workshop.run(replace(DRAW, options=Options(count=3))))[-1]

    assert isinstance(last, Finished)
    assert len(last.result.images) == len(made.fake.requests) == 3


async def test_previews_are_the_thoughts() -> None:
    """Interim images are shown if they are asked for, and not asked for otherwise."""
    async with google_workshop() as made:
        events = await made.workshop.run(replace(DRAW, options=Options(preview_count=2)))
        await made.workshop.run(DRAW)
        shown, hidden = made.fake.requests

    assert sum(isinstance(event, PreviewShown) for event in events) == 2
    assert shown.query == "alt=sse"
    assert shown.json["generationConfig"]["thinkingConfig"] == {"includeThoughts": True}
    assert "thinkingConfig" not in hidden.json["generationConfig"]


async def test_what_the_vendor_cannot_do_is_a_warning() -> None:
    """A size in pixels, a quality and a negative prompt are not sent, and it is said."""
    options = Options(size=PixelSize(1024, 1024), quality="high", negative_prompt="rain", seed=7)
    async with google_workshop() as made:
        last = (await made.workshop.run(replace(DRAW, options=options)))[-1]
        sent = made.fake.requests[0].json["generationConfig"]

    assert isinstance(last, Finished)
    assert {warning.field for warning in last.result.warnings} == {
        "options.size",
        "options.quality",
        "options.negative_prompt",
    }
    assert sent == {"responseModalities": ["TEXT", "IMAGE"], "seed": 7}


async def test_params_go_before_options_and_join_them() -> None:
    """What params say in the vendor's own place is sent as it is, and the option beside it is a warning."""
    params: dict[str, JsonObject] = {
        "google": {
            "generationConfig": {"imageConfig": {"aspectRatio": "1:8"}, "temperature": 0.5},
            "tools": [{"googleSearch": {}}],
        }
    }
    async with google_workshop() as made:
        wish = replace(DRAW, options=Options(aspect_ratio="16:9", resolution="2K"), params=params)
        last = (await made.workshop.run(wish))[-1]
        sent = made.fake.requests[0].json

    assert isinstance(last, Finished)
    assert [(item.field, item.reason) for item in last.result.warnings] == [
        ("options.aspect_ratio", WarningReason.OVERRIDDEN_BY_PARAMS)
    ]
    assert sent["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"],
        "imageConfig": {"aspectRatio": "1:8", "imageSize": "2K"},
        "temperature": 0.5,
    }
    assert sent["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize("name", ["contents", "model"])
async def test_what_the_adapter_sets_cannot_be_given(name: str) -> None:
    """Params that are the adapter's own are refused before anything is sent."""
    async with google_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(replace(DRAW, params={"google": {name: "x"}}))

    assert caught.value.reason is Reason.INVALID_REQUEST
    assert [violation.field for violation in caught.value.violations] == [f"params.google.{name}"]
    assert not made.fake.requests


async def test_an_input_of_another_kind_is_refused() -> None:
    """A GIF is no input of this vendor, and nothing is sent."""
    gif = replace(as_input(png(8, 8)), facts=replace(as_input(png(8, 8)).facts, media_type="image/gif"))
    async with google_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(edit(gif))

    assert [violation.field for violation in caught.value.violations] == ["input.images[0]"]
    assert not made.fake.requests


async def test_a_mask_is_refused() -> None:
    """The vendor has none, and a mask that is not looked at would change what must not be changed."""
    async with google_workshop() as made:
        with pytest.raises(ImageError) as caught:
            await made.workshop.run(replace(edit(as_input(png(8, 8))), mask=as_input(png(8, 8))))

    assert caught.value.reason is not Reason.INTERNAL_ERROR
    assert not made.fake.requests


async def test_a_failure_repeats_neither_key_nor_prompt() -> None:
    """Whatever a vendor echoes is taken out of the message."""
    echo = f"key {KEY} may not ask for: {DRAW.prompt}"
    async with google_workshop() as made:
        made.fake.answer_next(json_answer(400, error(400, "INVALID_ARGUMENT", echo)))
        last = (await made.workshop.run(DRAW))[-1]

    assert isinstance(last, Broken)
    assert KEY not in last.error.message
    assert DRAW.prompt not in last.error.message
    assert "may not ask for" in last.error.message


@pytest.mark.parametrize("previews", [0, 2])
async def test_leaving_closes_the_connection(previews: int) -> None:
    """When the last reader leaves, the vendor sees its connection closed."""
    answer = Answer(before=asyncio.Event())
    async with google_workshop() as made:
        made.fake.answer_next(answer)
        reading = await made.workshop.open(replace(DRAW, options=Options(preview_count=previews)))
        made.workshop.engine.launch(reading.generation)
        async with asyncio.timeout(10):
            await answer.asked.wait()
            await reading.close()
            await answer.client_gone.wait()


async def test_the_terms_of_a_stream_do_not_matter() -> None:
    """A detached generation comes to the same end."""
    async with google_workshop() as made:
        reading = await made.workshop.engine.open(DRAW, CALLER, Terms(request_id="mine", detach=True))
        made.workshop.engine.launch(reading.generation)
        last = await reading.generation.log.end()
        await reading.close()

    assert isinstance(last, Finished)


async def test_explain_tells_what_would_be_sent() -> None:
    """Address and body are those of the call, the key is hidden, and nothing is sent."""
    async with google_workshop() as made:
        [planned] = await made.workshop.explained(replace(DRAW, options=Options(seed=7)))

    assert planned.url.endswith("/v1beta/models/gemini-3-pro-image:generateContent")
    assert '"seed":7' in planned.body
    assert KEY not in repr(planned)
    assert not made.fake.requests
