"""Where the images of an answer stand, in the form of OpenAI's Images API that many vendors share.

An item of the list `data` has an image as base64 in `b64_json`, or at an address in `url`; a data URL holds it itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from imagegen_server.domain.errors import ImageError

from .encoded_image import EncodedImage
from .error_context import ErrorContext
from .image_json import ImageJson
from .image_url import address_in

IMAGE_KEYS = frozenset({"b64_json", "url"})
"""The keys for `parse_image_json`."""


def place_of(item: Mapping[str, ImageJson]) -> EncodedImage | str | None:
    """Tell where the image of an item is: in the answer itself, or at an address; None = nowhere."""
    encoded, url = item.get("b64_json"), item.get("url")
    if isinstance(encoded, EncodedImage) and encoded.encoded_length:
        return encoded
    if isinstance(url, EncodedImage) and url.encoded_length:
        return address_in(url) or url
    return None


def decoded(encoded: EncodedImage, context: ErrorContext) -> bytes:
    """Decode an image that stands in the answer.

    :raises ImageError: INVALID_RESPONSE
    """
    try:
        return encoded.decode()
    except ImageError as problem:
        raise context.invalid(f"an image that cannot be read: {problem.message}") from problem


async def images_of(
    items: Mapping[int, ImageJson], context: ErrorContext, fetch: Callable[[str], Awaitable[bytes]]
) -> AsyncGenerator[tuple[int, bytes | ImageError], None]:
    """Yield the image of each item with its key, or why there is none.

    What stands in the answer comes at once; what is elsewhere is fetched side by side, and comes as it is there.
    Closing the generator ends the fetches.
    """
    places = {index: place_of(item) if isinstance(item, Mapping) else None for index, item in items.items()}
    fetches = [
        asyncio.ensure_future(_fetched(index, place, context, fetch))
        for index, place in places.items()
        if isinstance(place, str)
    ]
    try:
        for index, place in places.items():
            if not isinstance(place, str):
                yield index, _here(place, context)
        for fetched in asyncio.as_completed(fetches):
            yield await fetched
    finally:
        for going in fetches:
            going.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)


def _here(place: EncodedImage | None, context: ErrorContext) -> bytes | ImageError:
    if place is None:
        return context.invalid("nothing instead of an image")
    try:
        return decoded(place, context)
    except ImageError as problem:
        return problem


async def _fetched(
    index: int, address: str, context: ErrorContext, fetch: Callable[[str], Awaitable[bytes]]
) -> tuple[int, bytes | ImageError]:
    try:
        return index, await fetch(address)
    except ImageError as problem:
        problem.provider_request_id = problem.provider_request_id or context.request_id
        return index, problem
