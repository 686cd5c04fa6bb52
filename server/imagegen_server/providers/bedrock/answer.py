"""From the vendor's answer to events: the pictures of `images`, with their `seeds`."""

from collections.abc import AsyncGenerator, Mapping

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Complete, ProviderEvent, Report
from imagegen_server.domain.result import Usage
from imagegen_server.http.client import Answer
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import EncodedImage, ImageJson
from imagegen_server.http.whole_answer import read_images

from .errors import error_in_success

_IMAGE_KEYS = frozenset({"images"})


async def read_answer(context: ErrorContext, answer: Answer) -> AsyncGenerator[ProviderEvent, None]:
    """Read an answer whose status is success: one picture, and the seed that it was drawn with.

    :raises ImageError: why moderation kept it back, or INVALID_RESPONSE. What ended the answer early does not matter
        if its JSON is whole
    """
    payload = await read_images(answer, context, _IMAGE_KEYS, 1)
    if error := error_in_success(context, payload):
        # Whatever stands beside it is a placeholder.
        raise error
    yield Report(Usage(images_generated=1))
    yield Complete(0, _picture(context, payload), seed=_seed(payload))


def _picture(context: ErrorContext, payload: Mapping[str, ImageJson]) -> bytes:
    """Decode the first picture.

    :raises ImageError: INVALID_RESPONSE
    """
    images = payload.get("images")
    first = images[0] if isinstance(images, list) and images else None
    if not isinstance(first, EncodedImage) or not first.encoded_length:
        raise context.invalid("no image and no reason")
    try:
        return first.decode()
    except ImageError as problem:
        raise context.invalid(f"an image that cannot be read: {problem.message}") from problem


def _seed(payload: Mapping[str, ImageJson]) -> int | None:
    """Tell the seed, which stands there as a number or, as the documents call it, as text."""
    seeds = payload.get("seeds")
    first = seeds[0] if isinstance(seeds, list) and seeds else None
    if isinstance(first, str) and first.isdecimal() and first.isascii() and len(first) <= len(str(2**64)):
        return int(first)
    return first if isinstance(first, int) and not isinstance(first, bool) else None
