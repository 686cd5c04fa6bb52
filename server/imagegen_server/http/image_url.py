"""Images as URLs in JSON: data URLs (RFC 2397) that hold them, or addresses where they lie."""

from collections.abc import Awaitable, Callable

import pybase64

from .encoded_image import EncodedImage

_DATA_SCHEME = b"data:"


def data_url(data: bytes, media_type: str) -> str:
    """Write an image as a data URL, in base64."""
    return f"data:{media_type};base64,{pybase64.b64encode(data).decode('ascii')}"


def address_in(place: EncodedImage) -> str | None:
    """Read a URL that an answer holds; None = it is a data URL, and holds the image itself."""
    if bytes(place.text[: len(_DATA_SCHEME)]).lower() == _DATA_SCHEME:
        return None
    return bytes(place.text).decode(errors="replace")


async def image_at(place: EncodedImage, fetch: Callable[[str], Awaitable[bytes]]) -> bytes:
    """Get an image from a URL that an answer holds; `fetch` gets it from an address.

    :raises ImageError: INVALID_RESPONSE, as `EncodedImage.decode`, or what `fetch` raises
    """
    address = address_in(place)
    return place.decode() if address is None else await fetch(address)
