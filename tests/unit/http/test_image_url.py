"""Images as URLs: those that hold them are read on the spot, all others are fetched."""

import base64

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.encoded_image import EncodedImage
from imagegen_server.http.image_url import data_url, image_at


async def fetched(url: str) -> bytes:
    """Stand for the fetcher of results."""
    return f"from {url}".encode()


def place(text: str) -> EncodedImage:
    """Stand for a URL in an answer."""
    return EncodedImage(memoryview(text.encode()))


async def test_an_image_is_read_from_the_url_that_holds_it() -> None:
    """What is written as a data URL comes back, byte for byte, without a fetch."""
    data = bytes(range(256))
    url = data_url(data, "image/png")

    assert url == "data:image/png;base64," + base64.b64encode(data).decode()
    assert await image_at(place(url), fetched) == data
    assert await image_at(place("DATA" + url.removeprefix("data")), fetched) == data


@pytest.mark.parametrize("url", ["https://cdn.example/a.png?x=1", "http://cdn.example/a", "nonsense", "dat"])
async def test_an_image_elsewhere_is_fetched(url: str) -> None:
    """Whatever is no data URL goes to the fetcher, which knows what may be fetched."""
    assert await image_at(place(url), fetched) == f"from {url}".encode()


async def test_a_broken_data_url_is_an_invalid_response() -> None:
    """Broken base64 is not fetched, and is no image."""
    with pytest.raises(ImageError) as raised:
        await image_at(place("data:image/png;base64,A*A"), fetched)
    assert raised.value.reason is Reason.INVALID_RESPONSE
