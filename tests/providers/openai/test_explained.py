"""What Explain shows is what the vendor gets."""

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Options, PixelSize, Wish
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.prices import Price
from imagegen_server.generation.upstream import UpstreamSettings

from tests.support.generation import drawing, editing, workshop_of
from tests.support.http_server import HttpServer
from tests.support.openai_api import FakeOpenAI
from tests.support.openai_provider import MODEL, openai_entry, openai_workshop
from tests.support.openai_wire import picture
from tests.support.pictures import noisy_png, png
from tests.support.recording import Part, RecordedRequest

KEY = "sk-proj-Never0Shown1Anywhere2"
MASK = picture((8, 8), "png", transparent=True)
LONG = base64.b64encode(noisy_png(40, 40)).decode()


def draw(prompt: str = "a boat", params: dict[str, Any] | None = None, model: str = MODEL, **options: Any) -> Wish:
    """Wish for new pictures."""
    return replace(drawing(model, params={"openai": params or {}}, **options), prompt=prompt)


def change(*images: bytes, prompt: str = "a boat", mask: bytes | None = None, **further: Any) -> Wish:
    """Wish for changed pictures."""
    return replace(editing(*images, mask=mask, model=MODEL, prompt=prompt), **further)


DRAWN = {
    "plain": draw(),
    "words": draw('größer, "weiter"\n\\ 🖼  \t'),
    "options": draw(
        size=PixelSize(1536, 864), quality="high", background="opaque", format="webp", compression=80, count=3
    ),
    "ratio": draw(aspect_ratio="16:9", resolution="2K"),
    "params": draw(params={"moderation": "low", "user": "u-1", "unheard_of": {"a": [1, 2.5, None, True]}}),
    "older": draw(model="openai/gpt-image-1-mini", size=PixelSize(1024, 1024)),
    "one preview": draw(preview_count=1),
}
CHANGED = {
    "one": change(png()),
    "words": change(png(), prompt="größer\r\nweiter \\ mehr\n"),
    "mask": change(png(), png(shade=1), mask=MASK, options=Options(quality="low", count=2)),
    "previews": change(png(), options=Options(preview_count=2, format="jpeg", compression=5)),
    "params": change(png(), params={"openai": {"input_fidelity": "high", "unheard_of": {"a": ["x", "y"]}}}),
}


async def asked(wish: Wish) -> tuple[Any, FakeOpenAI]:
    """Explain a wish, see that nobody was asked, and then do it."""
    async with openai_workshop(key=KEY) as bench:
        bench.fake.key = KEY
        (call,) = await bench.workshop.explained(wish)
        assert bench.fake.requests == []
        await bench.workshop.run(wish)
        return call, bench.fake


def digest(data: bytes) -> str:
    """Write what stands for bytes, apart from the code."""
    return f"<sha256 {hashlib.sha256(data).hexdigest()}, {len(data)} bytes>"


def line(part: Part) -> str:
    """Write a part of a form as Explain does, from what came over the wire."""
    if part.filename is not None:
        return f"{part.name}={digest(part.data)}; filename={part.filename}; type={part.content_type}"
    value = part.data.decode().replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
    return f"{part.name}={value}"


def address(fake: FakeOpenAI, request: RecordedRequest) -> str:
    """Tell where a request came to."""
    return fake.base_url.removesuffix("/v1") + request.path


@pytest.mark.parametrize("name", DRAWN)
async def test_a_generation_is_shown_byte_by_byte(name: str) -> None:
    """The body is the very text that the vendor got then, at the same address, by the same method."""
    call, fake = await asked(DRAWN[name])

    (request,) = fake.requests
    assert call.body == request.body.decode()
    assert (call.method, call.url, call.requests) == (request.method, address(fake, request), 1)


@pytest.mark.parametrize("name", CHANGED)
async def test_an_edit_is_shown_part_by_part(name: str) -> None:
    """Every part of the form that the vendor got then, in its order, files as hashes of what was sent."""
    call, fake = await asked(CHANGED[name])

    (request,) = fake.requests
    assert call.body.split("\n") == [line(part) for part in request.parts]
    assert (call.method, call.url, call.requests) == (request.method, address(fake, request), 1)


async def test_a_fan_out_is_counted_as_it_comes() -> None:
    """Three images with previews are three requests; the one that is shown is among them."""
    call, fake = await asked(draw(count=3, preview_count=2))

    assert call.requests == len(fake.requests) == 3
    assert call.body in [request.body.decode() for request in fake.requests]


async def test_long_base64_in_params_is_a_hash() -> None:
    """The rest of the body is what the vendor got."""
    call, fake = await asked(draw(params={"unheard_of": [LONG]}))

    (request,) = fake.requests
    sent = request.json
    assert sent["unheard_of"] == [LONG]
    assert json.loads(call.body) == sent | {"unheard_of": [digest(noisy_png(40, 40))]}


async def test_the_key_shows_nowhere() -> None:
    """Neither the whole nor its secret part."""
    async with openai_workshop(key=KEY) as bench:
        calls = [(await bench.workshop.explained(wish))[0] for wish in (*DRAWN.values(), *CHANGED.values())]

    assert not [call for call in calls if KEY[8:] in repr(call)]


async def test_no_connection_is_opened() -> None:
    """Not even one that carries nothing."""
    async with HttpServer() as server:
        entry = openai_entry(server.url)
        upstreams = {"openai": UpstreamSettings((ProviderKey(Secret(KEY)),))}
        shop = workshop_of(entry, upstreams=upstreams)
        calls = [(await shop.explained(wish))[0] for wish in (*DRAWN.values(), *CHANGED.values())]

        assert server.connections == 0
        assert all(call.url.startswith(f"{server.url}/images/") for call in calls)


async def test_what_a_price_by_token_will_come_to_is_unknown() -> None:
    """The number of tokens is known when the vendor has told it."""
    prices = {MODEL: Price(input_text=5.0, input_image=8.0, output_image=30.0)}
    async with openai_workshop(prices=prices) as bench:
        (call,) = await bench.workshop.explained(draw())

    assert call.cost is None
