"""The fake OpenAI as the official package sees it: what works, and what goes wrong as scripted."""

import asyncio
import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

from tests.support.openai_package import package_on_fake
from tests.support.openai_wire import picture
from tests.support.pictures import encoded, png
from tests.support.tools import require_package
from tests.support.vendor import Answer, event_answer, hanging_answer, html_answer, json_answer

WISH = {"model": "gpt-image-2", "prompt": "a grey square"}
SIDE = (1024, 1024)
MASK = ("mask.png", picture((8, 8), "png", transparent=True), "image/png")
IMAGE = ("a.png", png(), "image/png")


def _opened(text: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    image.load()
    return image


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
async def test_generate(kind: str) -> None:
    """Different pictures of the size and format that were asked for, with what was resolved and used."""
    async with package_on_fake() as (fake, client):
        answer = await client.images.generate(**WISH, n=2, size="1536x864", output_format=kind, user="u-1")
    first, second = (_opened(item.b64_json) for item in answer.data)
    assert (first.size, first.format, first.tobytes() == second.tobytes()) == ((1536, 864), kind.upper(), False)
    assert (answer.size, answer.output_format, answer.safety_identifier) == ("1536x864", kind, "u-1")
    assert (answer.quality, answer.background) == ("high", "opaque")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert answer._request_id.startswith("req_")
    assert fake.requests[0].json == WISH | {"n": 2, "size": "1536x864", "output_format": kind, "user": "u-1"}


async def test_a_transparent_background_is_transparent() -> None:
    """The alpha channel says what the answer says."""
    async with package_on_fake() as (_, client):
        answer = await client.images.generate(**WISH, background="transparent", output_format="webp")
    alpha = _opened(answer.data[0].b64_json).getchannel("A")
    assert (answer.background, alpha.getextrema()) == ("transparent", (0, 0))


async def test_gif_and_svg_of_a_late_model() -> None:
    """Frames are counted as asked."""
    late = {"model": "gpt-image-2.6-flare", "prompt": "a grey square"}
    async with package_on_fake() as (_, client):
        gif = await client.images.generate(**late, output_format="gif", frame_count=3)
        svg = await client.images.generate(**late, output_format="svg", svg={"model": "gpt-9"})
    assert getattr(_opened(gif.data[0].b64_json), "n_frames", 0) == 3
    assert base64.b64decode(svg.data[0].b64_json).startswith(b"<svg")


@pytest.mark.parametrize("count", [1, 3])
async def test_edit(count: int) -> None:
    """One image or several, of different types, with a mask: the bytes arrive whole."""
    jpeg = encoded(Image.new("RGB", (8, 8), "red"), "JPEG")
    images = [IMAGE, ("b.jpg", jpeg, "image/jpeg"), ("c.png", png(shade=9), "image/png")][:count]
    async with package_on_fake() as (fake, client):
        answer = await client.images.edit(image=images[0] if count == 1 else images, mask=MASK, n=2, **WISH)
    assert len(answer.data) == 2
    assert answer.usage.input_tokens_details.image_tokens == 194 * count
    name = "image" if count == 1 else "image[]"
    sent = [(file.name, file.filename, file.data, file.content_type) for file in fake.requests[0].files]
    assert sent == [(name, *image) for image in images] + [("mask", *MASK)]
    assert fake.requests[0].fields == {"model": "gpt-image-2", "prompt": "a grey square", "n": "2"}


async def test_edit_by_references() -> None:
    """The JSON form of an edit, which the package sends only by hand."""
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    async with package_on_fake() as (_, client):
        body = WISH | {"images": [{"image_url": url}, {"file_id": "file-1"}], "mask": {"file_id": "file-2"}}
        answer = await client.post("/images/edits", body=body, cast_to=dict[str, Any])
    assert (len(answer["data"]), answer["usage"]["input_tokens_details"]["image_tokens"]) == (1, 388)


@pytest.mark.parametrize("edits", [False, True])
@pytest.mark.parametrize("previews", [0, 3])
async def test_stream(previews: int, edits: bool) -> None:
    """The partial images in their order and then the finished one, under the names of the operation."""
    wish = WISH | {"stream": True, "partial_images": previews, "quality": "low"}
    async with package_on_fake() as (_, client):
        stream = await (client.images.edit(image=IMAGE, **wish) if edits else client.images.generate(**wish))
        events = [event async for event in stream]
    kind = "image_edit" if edits else "image_generation"
    assert [event.type for event in events] == [f"{kind}.partial_image"] * previews + [f"{kind}.completed"]
    assert [event.partial_image_index for event in events[:-1]] == list(range(previews))
    assert len({event.b64_json for event in events}) == previews + 1
    assert {_opened(event.b64_json).size for event in events} == {SIDE}
    assert {(event.size, event.quality, event.background) for event in events} == {("1024x1024", "low", "opaque")}
    assert events[-1].usage.output_tokens == 272 + 100 * previews


@pytest.mark.parametrize(
    ("status", "error", "raised"),
    [
        (400, {"type": "image_generation_user_error", "code": "moderation_blocked"}, "BadRequestError"),
        (403, {"type": "invalid_request_error", "code": None}, "PermissionDeniedError"),
        (404, {"type": "invalid_request_error", "code": "model_not_found"}, "NotFoundError"),
        (429, {"type": "requests", "code": "rate_limit_exceeded"}, "RateLimitError"),
        (503, {"type": "server_error", "code": None}, "InternalServerError"),
    ],
)
async def test_an_error_is_said_once(status: int, error: dict[str, Any], raised: str) -> None:
    """A scripted error is the class that the package has for it; the next call is drawn."""
    openai = require_package("openai")
    async with package_on_fake() as (fake, client):
        fake.answer_next(json_answer(status, {"error": {"message": "no", "param": None, **error}}))
        with pytest.raises(getattr(openai, raised)) as caught:
            await client.images.generate(**WISH)
        answer = await client.images.generate(**WISH)
    assert (caught.value.code, caught.value.type) == (error["code"], error["type"])
    assert caught.value.request_id.startswith("req_")
    assert len(answer.data) == 1


async def test_the_page_of_a_proxy() -> None:
    """A 502 of HTML is an InternalServerError without a code."""
    openai = require_package("openai")
    async with package_on_fake() as (fake, client):
        fake.answer_next(html_answer(502))
        with pytest.raises(openai.InternalServerError) as caught:
            await client.images.generate(**WISH)
    assert (caught.value.status_code, caught.value.code) == (502, None)
    assert "<html>" in str(caught.value.body)


async def test_an_error_in_the_stream() -> None:
    """APIError with its code once the event comes, after what came before."""
    openai = require_package("openai")
    error = {
        "type": "error",
        "error": {"type": "image_generation_user_error", "code": "moderation_blocked", "message": "no"},
    }
    partial = b'event: image_generation.partial_image\ndata: {"type": "image_generation.partial_image"}\n\n'
    async with package_on_fake() as (fake, client):
        fake.answer_next(event_answer(partial, f"event: error\ndata: {json.dumps(error)}\n\n".encode()))
        stream = await client.images.generate(**WISH, stream=True)
        events = aiter(stream)
        assert (await anext(events)).type == "image_generation.partial_image"
        with pytest.raises(openai.APIError) as caught:
            await anext(events)
    assert caught.value.code == "moderation_blocked"


async def test_a_stream_pauses_until_its_event() -> None:
    """What stands behind an event is not sent before it is set."""
    go_on = asyncio.Event()
    pieces: list[bytes | asyncio.Event] = [b'data: {"type": "one"}\n\n', go_on, b'data: {"type": "two"}\n\n']
    async with package_on_fake() as (fake, client):
        fake.answer_next(event_answer(*pieces))
        stream = await client.images.generate(**WISH, stream=True)
        events = aiter(stream)
        assert (await anext(events)).type == "one"
        second = asyncio.ensure_future(anext(events))
        # A later call is answered meanwhile: the pause is real, and nothing else waits for it.
        await client.images.generate(**WISH)
        assert not second.done()
        go_on.set()
        assert (await second).type == "two"
        await stream.close()


async def test_a_client_that_leaves_is_noticed() -> None:
    """The fake tells when the socket of a hanging call is closed."""
    answer = hanging_answer(asyncio.Event())
    async with package_on_fake() as (fake, client):
        fake.answer_next(answer)
        call = asyncio.ensure_future(client.images.generate(**WISH))
        await answer.begun.wait()
        assert not answer.client_gone.is_set()
        call.cancel()
        await answer.client_gone.wait()
    assert call.cancelled()


async def test_a_call_hangs_until_it_is_released() -> None:
    """Before its headers, if that is wanted."""
    answer = Answer(200, {"content-type": "application/json"}, [b'{"created": 5}'], before=asyncio.Event())
    async with package_on_fake() as (fake, client):
        fake.answer_next(answer)
        call = asyncio.ensure_future(client.images.generate(**WISH))
        await answer.asked.wait()
        # A later call is answered meanwhile.
        await client.images.generate(**WISH)
        assert not answer.begun.is_set()
        assert not call.done()
        assert answer.before
        answer.before.set()
        assert (await call).created == 5


async def test_a_broken_connection() -> None:
    """A body that breaks off is an APIConnectionError."""
    openai = require_package("openai")
    async with package_on_fake() as (fake, client):
        fake.answer_next(event_answer(b'data: {"type": "one"}\n\n', breaks_off=True))
        stream = await client.images.generate(**WISH, stream=True)
        with pytest.raises(openai.APIConnectionError):
            _ = [event async for event in stream]
