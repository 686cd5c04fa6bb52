"""Whole generations through the provider: what the vendor is sent, and what a caller gets of its answer."""

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import Billed
from imagegen_server.domain.events import ImageFinished, PreviewShown
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.domain.task import PixelSize, Wish
from imagegen_server.generation.prices import Price
from imagegen_server.providers.openai import OpenAISettings
from PIL import Image

from tests.support.generation import drawing, editing
from tests.support.openai_provider import MODEL, openai_workshop
from tests.support.pictures import encoded, png
from tests.support.vendor import json_answer

PICTURES = [png(16, 16), encoded(Image.new("RGB", (16, 16), "red"), "JPEG"), encoded(Image.new("L", (8, 8)), "WEBP")]
PRICES = {MODEL: Price(input_text=5.0, input_image=8.0, output_image=30.0)}
NESTED: dict[str, Any] = {
    "svg": {"model": "gpt-9", "reasoning": {"effort": "low"}},
    "user": "Jörg 🎨 \x7f",
    "list": [1, [None, "b"], {}],
}


def asked(*, params: dict[str, Any] | None = None, model: str = MODEL, **options: Any) -> Wish:
    """Wish for a drawing."""
    return drawing(model, params={"openai": params} if params else None, **options)


def opened(data: bytes) -> Image.Image:
    """Read a picture."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


async def test_every_option_becomes_a_field() -> None:
    """And nothing else is sent; what comes back is a picture of that size and format."""
    wish = asked(
        count=2, size=PixelSize(1536, 864), quality="low", background="opaque", format="webp", compression=40, seed=None
    )
    async with openai_workshop() as made:
        events = await made.workshop.run(wish)
    (request,) = made.fake.requests
    pictures = [opened(event.data) for event in events if isinstance(event, ImageFinished)]

    assert (request.method, request.path) == ("POST", "/v1/images/generations")
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.json == {
        "model": "gpt-image-2",
        "prompt": "a boat",
        "n": 2,
        "size": "1536x864",
        "quality": "low",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": 40,
    }
    assert [(picture.size, picture.format) for picture in pictures] == [((1536, 864), "WEBP")] * 2


async def test_what_was_not_asked_for_is_not_said() -> None:
    """A bare wish is a model and a prompt: the vendor's own defaults hold."""
    async with openai_workshop() as made:
        await made.workshop.result(asked())

    assert made.fake.requests[0].json == {"model": "gpt-image-2", "prompt": "a boat"}


async def test_what_the_vendor_decided_is_told() -> None:
    """Metadata of each image, usage of the whole, and the vendor's id of the request."""
    async with openai_workshop() as made:
        result = await made.workshop.result(asked(count=2))
    decided = {"size": "1024x1024", "quality": "high", "background": "opaque", "output_format": "png"}

    assert [image.metadata for image in result.images] == [{"openai": decided}] * 2
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.input_tokens, result.usage.output_tokens) == (2, 12, 544)
    assert result.usage.cost is None
    (attempt,) = result.attempts
    assert attempt.provider_request_id == f"req_{1:032x}"
    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.YES)


async def test_a_prompt_that_the_vendor_revised_is_told() -> None:
    """By image, as older models and clones do."""
    async with openai_workshop() as made:
        shown = {"b64_json": base64.b64encode(png(16, 16)).decode()}
        made.fake.answer_next(json_answer(200, {"data": [shown | {"revised_prompt": "a bigger boat"}, shown]}))
        result = await made.workshop.result(asked(count=2))

    assert [image.revised_prompt for image in result.images] == ["a bigger boat", None]
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.output_tokens) == (2, None)


@pytest.mark.parametrize("previews", [0, 2])
@pytest.mark.parametrize("count", [1, 3])
async def test_an_edit(count: int, previews: int) -> None:
    """One image or several arrive byte for byte in their order, with or without a stream."""
    wish = replace(editing(*PICTURES[:count], model=MODEL), preview_default=previews)
    async with openai_workshop() as made:
        events = await made.workshop.run(wish)
    (request,) = made.fake.requests

    assert request.path == "/v1/images/edits"
    assert [file.data for file in request.files] == PICTURES[:count]
    assert {file.name for file in request.files} == {"image" if count == 1 else "image[]"}
    streamed = {"stream": "true", "partial_images": str(previews)} if previews else {}
    assert request.fields == {"model": "gpt-image-2", "prompt": "a boat", "size": "auto"} | streamed
    assert sum(isinstance(event, PreviewShown) for event in events) == previews
    assert sum(isinstance(event, ImageFinished) for event in events) == 1


@pytest.mark.parametrize("previews", [1, 3])
async def test_a_stream_shows_the_picture_developing(previews: int) -> None:
    """Every partial image is a preview, in order and with its facts; the completed one alone is the result."""
    async with openai_workshop() as made:
        events = await made.workshop.run(asked(preview_count=previews))
    (request,) = made.fake.requests
    shown = [event for event in events if isinstance(event, PreviewShown)]
    (finished,) = [event for event in events if isinstance(event, ImageFinished)]

    assert request.json == {"model": "gpt-image-2", "prompt": "a boat", "stream": True, "partial_images": previews}
    assert [(event.index, event.number) for event in shown] == [(0, number + 1) for number in range(previews)]
    assert len({event.data for event in shown} | {finished.data}) == previews + 1
    assert shown[0].metadata["openai"]["size"] == finished.generated.metadata["openai"]["size"] == "1024x1024"


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"count": 10}, [10]),
        ({"count": 12}, [2, 10]),
        ({"count": 3, "preview_count": 2}, [None, None, None]),
        ({"count": 1}, [None]),
    ],
)
async def test_images_come_in_as_few_answers_as_can_be(options: dict[str, Any], sent: list[int | None]) -> None:
    """Up to ten in one JSON, in a stream one each, all side by side; usage is what all of them told together."""
    async with openai_workshop() as made:
        result = await made.workshop.result(asked(**options))
    count, partials = options["count"], options.get("preview_count", 0) * options["count"]

    assert sorted((request.json.get("n") for request in made.fake.requests), key=lambda n: n or 0) == sent
    assert [image.index for image in result.images] == list(range(count))
    assert result.usage is not None
    assert result.usage.images_generated == count
    assert result.usage.input_tokens == 12 * len(sent)
    assert result.usage.output_tokens == 272 * count + 100 * partials
    ids = {attempt.provider_request_id for attempt in result.attempts}
    assert ids == {f"req_{number:032x}" for number in range(1, len(sent) + 1)}


@pytest.mark.parametrize("model", [MODEL, "openai/gpt-image-9"])
async def test_params_reach_the_vendor_unmodified(model: str) -> None:
    """Nested, in any script, whatever we think of them: the fake refuses them, and had them all."""
    async with openai_workshop() as made:
        await made.workshop.broken(asked(params=NESTED, model=model))

    assert made.fake.requests[0].json == {"model": model.partition("/")[2], "prompt": "a boat"} | NESTED


async def test_params_of_an_edit_reach_the_vendor_as_fields() -> None:
    """In the brackets that the vendor's own packages write."""
    wish = replace(editing(PICTURES[0], model=MODEL), params={"openai": NESTED | {"size": "auto", "new": True}})
    async with openai_workshop() as made:
        await made.workshop.broken(wish)

    parts = [(part.name, part.data.decode()) for part in made.fake.requests[0].parts if part.filename is None]
    assert parts[:3] == [("model", "gpt-image-2"), ("prompt", "a boat"), ("size", "auto")]
    assert parts[3:] == [
        ("svg[model]", "gpt-9"),
        ("svg[reasoning][effort]", "low"),
        ("user", "Jörg 🎨 \x7f"),
        ("list[]", "1"),
        ("list[][]", "b"),
        ("new", "true"),
    ]


async def test_params_that_say_an_option_are_that_option() -> None:
    """The fan-out, the stream and the warnings know of them, and each is sent once."""
    params = {"n": 2, "size": "1536x864", "quality": "low", "output_format": "jpeg", "output_compression": 7}
    async with openai_workshop() as made:
        await made.workshop.result(asked(params=params, count=5))
        events = await made.workshop.run(asked(params={"n": 2, "partial_images": 1}))

    wanted = {"model": "gpt-image-2", "prompt": "a boat"}
    assert [request.json for request in made.fake.requests] == [
        wanted | params,
        *[wanted | {"stream": True, "partial_images": 1}] * 2,
    ]
    assert sum(isinstance(event, PreviewShown) for event in events) == 2


async def test_an_automatic_size_in_the_vendors_words() -> None:
    """No option says "auto", so the param goes as it is and wins over what the adapter would say."""
    async with openai_workshop() as made:
        await made.workshop.result(asked(params={"size": "auto", "quality": "auto"}))

    assert made.fake.requests[0].json == {"model": "gpt-image-2", "prompt": "a boat", "size": "auto", "quality": "auto"}


@pytest.mark.parametrize(("previews", "requests", "output"), [(0, 1, 544), (1, 2, 744)])
async def test_cost_is_estimated_by_the_operators_prices(previews: int, requests: int, output: int) -> None:
    """Text and images that go in and pictures that come out, each at its own price for a million tokens."""
    wish = replace(editing(PICTURES[0], model=MODEL), preview_default=previews)
    wish = replace(wish, options=replace(wish.options, count=2))
    async with openai_workshop(prices=PRICES) as made:
        result = await made.workshop.result(wish)

    assert result.usage is not None
    assert result.usage.cost is not None
    assert result.usage.cost.estimated
    assert result.usage.cost.currency == "USD"
    expected = (requests * (12 * 5.0 + 194 * 8.0) + output * 30.0) / 1_000_000
    assert result.usage.cost.amount == pytest.approx(expected)


async def test_tokens_of_two_models_are_not_priced_as_those_of_one() -> None:
    """An SVG is written by another model: its tokens are told beside the picture's, and the cost is unknown."""
    model = "openai/gpt-image-2.6-flare"
    async with openai_workshop(prices={model: PRICES[MODEL]}) as made:
        shown = {"b64_json": "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="}
        usage = {"input_tokens": 12, "output_tokens": 300, "total_tokens": 312}
        written = {"model": "gpt-9", "input_tokens": 5, "output_tokens": 6, "reasoning_tokens": 1, "total_tokens": 11}
        made.fake.answer_next(json_answer(200, {"data": [shown], "usage": usage, "svg_usage": written}))
        result = await made.workshop.result(asked(model=model, format="svg"))

    assert result.metadata == {"openai": {"usage": usage, "svg_usage": written}}
    assert result.usage is not None
    assert (result.usage.images_generated, result.usage.output_tokens, result.usage.cost) == (1, None, None)


async def test_the_bill_goes_to_the_project_that_is_configured() -> None:
    """Organization and project travel as the vendor's headers."""
    async with openai_workshop(settings=OpenAISettings(organization="org-1", project="proj_2")) as made:
        await made.workshop.result(asked())

    headers = made.fake.requests[0].headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj_2")
