"""From what a model answers to events: `{"images": [{"url"}], "seed", "has_nsfw_concepts"}`, or `{"image": {"url"}}`.

A picture stands at its `url` as a data URL if `sync_mode` was asked for, else at a public address, which is fetched
without the key.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Complete, Failed, Preview, ProviderEvent, Report
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Usage
from imagegen_server.http.encoded_image import EncodedImage
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import ImageJson, parse_image_json
from imagegen_server.http.image_place import images_of
from imagegen_server.http.image_url import image_at

from .errors import error_in
from .exchange import Exchange

_IMAGE_KEYS = frozenset({"url"})
_MOST_BESIDE_IMAGES = 1024 * 1024
"""Bytes of an answer that are no image."""

_UNITS = "x-fal-billable-units"
_FLAGS = ("has_nsfw_concepts", "nsfw_content_detected")
_PROMPTS = ("revised_prompt", "actual_prompt", "prompt")
_SEEDS = ("seed", "used_seed")
_LONGEST_TEXT = 4000
"""Characters of what a model says beside its pictures."""

Payload = Mapping[str, ImageJson]


def most_bytes(count: int) -> int:
    """Tell how long an answer with so many pictures may be."""
    return count * (MAX_IMAGE_BYTES * 4 // 3) + _MOST_BESIDE_IMAGES


def read_payload(context: ErrorContext, body: bytes) -> Payload:
    """Read a body that may hold pictures.

    :raises ImageError: INVALID_RESPONSE
    """
    try:
        payload = parse_image_json(body, _IMAGE_KEYS)
    except ImageError as problem:
        raise context.invalid("something that cannot be read as JSON") from problem
    if not isinstance(payload, Mapping):
        raise context.invalid("JSON that is no object")
    return payload


def pictures_in(payload: Payload) -> list[EncodedImage | None]:
    """List the places of the pictures; None = there is nothing where one should be."""
    several, one = payload.get("images"), payload.get("image")
    return [_place(item) for item in (several if isinstance(several, list) else [one] if one else [])]


async def events_of(exchange: Exchange, context: ErrorContext, payload: Payload) -> AsyncGenerator[ProviderEvent, None]:
    """Yield what a finished answer holds.

    :raises ImageError: the error that it is, or INVALID_RESPONSE
    """
    count, places = exchange.task.count, pictures_in(payload)
    if not places and (error := error_in(context, payload)):
        raise error
    flags = _flags(payload)[: len(places)]
    flagged = [index for index, flag in enumerate(flags[:count]) if flag]
    yield _report(context, payload, len(places) - sum(flags))
    for index in flagged:
        yield Failed(index, _filtered(context))
    items: dict[int, ImageJson] = {
        index: {"url": place} for index, place in enumerate(places[:count]) if index not in flagged
    }
    async with aclosing(images_of(items, context, exchange.call.fetch)) as images:
        async for index, image in images:
            if isinstance(image, ImageError):
                yield Failed(index, image)
            else:
                yield Complete(index, image, _revised(exchange, payload), _seed(payload, index))
    if len(places) < count:
        raise context.invalid("fewer pictures than were asked for" if places else "JSON without pictures")


async def previews_of(exchange: Exchange, payload: Payload) -> AsyncGenerator[Preview, None]:
    """Yield the pictures of an answer that is not the last one. What cannot be had is no loss: more will come."""
    flagged = _flags(payload)
    for index, place in enumerate(pictures_in(payload)[: exchange.task.count]):
        if place is None or (index < len(flagged) and flagged[index]):
            continue
        try:
            data = await image_at(place, exchange.call.fetch)
        except ImageError:
            continue
        yield Preview(index, data)


def _place(item: ImageJson) -> EncodedImage | None:
    place = item.get("url") if isinstance(item, Mapping) else item
    if isinstance(place, str):
        place = EncodedImage(memoryview(place.encode(errors="replace")))
    return place if isinstance(place, EncodedImage) and place.encoded_length else None


def _flags(payload: Payload) -> list[bool]:
    """Read which pictures the safety checker has made black."""
    for name in _FLAGS:
        told = payload.get(name)
        if isinstance(told, bool):
            return [told]
        if isinstance(told, list) and told:
            return [flag is True for flag in told]
    return []


def _filtered(context: ErrorContext) -> ImageError:
    message = "the safety checker flagged the picture, which is black then"
    return context.told(Reason.CONTENT_FILTERED, message, stage="output")


def _report(context: ErrorContext, payload: Payload, images: int) -> Report:
    """Tell what the answer says of the work. A unit has another price for each model, so it is no cost."""
    told: dict[str, JsonValue] = {}
    if (units := _number(context.headers.get(_UNITS))) is not None:
        told["billable_units"] = units
    timings = payload.get("timings")
    seconds = timings.get("inference") if isinstance(timings, Mapping) else None
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 2**31:
        told["inference_seconds"] = seconds
    if isinstance(text := payload.get("description"), str) and text:
        told["description"] = text[:_LONGEST_TEXT]
    return Report(Usage(images_generated=images), told)


def _number(text: str | None) -> float | None:
    """Read a number of units, which has a plain form."""
    if not text or len(text) > 20 or not text.replace(".", "", 1).isdecimal() or not text.isascii():  # noqa: PLR2004
        return None
    return float(text)


def _revised(exchange: Exchange, payload: Payload) -> str | None:
    """Tell the words that were drawn, if the model says others than ours."""
    for name in _PROMPTS:
        words = payload.get(name)
        if isinstance(words, str) and words and words.strip() != exchange.task.prompt.strip():
            return words
    return None


def _seed(payload: Payload, index: int) -> int | None:
    """Tell the seed: of each picture, or the one that all pictures of the request were made with."""
    seeds = payload.get("seeds")
    each = [seeds[index]] if isinstance(seeds, list) and index < len(seeds) else []
    for value in (*each, *(payload.get(name) for name in _SEEDS)):
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
            return value
    return None
