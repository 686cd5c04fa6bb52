"""Where the images of an answer stand: base64 first, then URLs, and every item gets its own outcome."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import EncodedImage, ImageJson, parse_image_json
from imagegen_server.http.image_place import IMAGE_KEYS, decoded, images_of, place_of

CONTEXT = ErrorContext("acme", "images.example", 200, {"x-request-id": "req-7"}, "a boat", "sk-12345678")
PICTURE = bytes(range(256))
ENCODED = base64.b64encode(PICTURE).decode()
DATA_URL = f"data:image/png;base64,{ENCODED}"
ADDRESS = "https://cdn.example/1.png?sig=abc"


def read(*items: Any) -> dict[int, ImageJson]:
    """Read items as an adapter does."""
    parsed = parse_image_json(json.dumps(list(items)).encode(), IMAGE_KEYS)
    assert isinstance(parsed, list)
    return dict(enumerate(parsed))


async def got(fetch: Callable[[str], Awaitable[bytes]], *items: Any) -> list[tuple[int, bytes | ImageError]]:
    """Get what the items hold."""
    return [outcome async for outcome in images_of(read(*items), CONTEXT, fetch)]


async def nowhere(url: str) -> bytes:
    """Have nothing at any address."""
    raise ImageError(Reason.INVALID_RESPONSE, f"nothing at {url}")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"b64_json": ENCODED}, ENCODED),
        ({"b64_json": ENCODED, "url": ADDRESS}, ENCODED),
        ({"b64_json": "", "url": DATA_URL}, DATA_URL),
        ({"b64_json": None, "url": ADDRESS}, ADDRESS),
        ({"url": ADDRESS}, ADDRESS),
        ({"url": ""}, None),
        ({"url": {"href": ADDRESS}}, None),
        ({}, None),
    ],
)
def test_an_image_has_one_place(item: dict[str, Any], expected: str | None) -> None:
    """Base64 goes before a URL, a data URL is read where it stands, and only an address is a str."""
    found = read(item)[0]
    assert isinstance(found, dict)
    place = place_of(found)

    assert (bytes(place.text).decode() if isinstance(place, EncodedImage) else place) == expected
    assert isinstance(place, str) is (expected == ADDRESS)


async def test_every_item_has_an_outcome_of_its_own() -> None:
    """One that is broken, empty or elsewhere costs none of its neighbours anything, and all know the request."""
    outcomes = dict(await got(nowhere, {"b64_json": ENCODED}, {"b64_json": "*"}, "odd", {"url": ADDRESS}, {}))

    assert outcomes.pop(0) == PICTURE
    assert sorted(outcomes) == [1, 2, 3, 4]
    for problem in outcomes.values():
        assert isinstance(problem, ImageError)
        assert (problem.reason, problem.provider_request_id) == (Reason.INVALID_RESPONSE, "req-7")


async def test_images_elsewhere_are_fetched_side_by_side() -> None:
    """What is there at once comes first; the fetches wait for each other, and none for the reader."""
    together = asyncio.Barrier(2)

    async def fetch(url: str) -> bytes:
        await together.wait()
        return url.encode()

    outcomes = await got(fetch, {"url": "https://a.example/"}, {"b64_json": ENCODED}, {"url": "https://b.example/"})

    assert outcomes[0] == (1, PICTURE)
    assert dict(outcomes[1:]) == {0: b"https://a.example/", 2: b"https://b.example/"}


async def test_leaving_ends_the_fetches() -> None:
    """Nothing is fetched for nobody."""
    ended = asyncio.Event()

    async def fetch(_url: str) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    async with aclosing(images_of(read({"url": ADDRESS}, {"b64_json": ENCODED}), CONTEXT, fetch)) as images:
        assert await anext(images) == (1, PICTURE)
        await asyncio.sleep(0)
    assert ended.is_set()


def test_what_cannot_be_decoded_is_an_invalid_response() -> None:
    """The message names the host, and nothing of the text."""
    with pytest.raises(ImageError) as raised:
        decoded(EncodedImage(memoryview(b"*secret*")), CONTEXT)

    assert raised.value.reason is Reason.INVALID_RESPONSE
    assert "images.example" in raised.value.message
    assert "secret" not in raised.value.message
