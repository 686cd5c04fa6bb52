"""What a middleware may make of a request, of an event and of a result. What is paid for cannot get lost in a hook."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias

from imagegen_server.domain.events import Complete, Failed, Phase, Preview, Progress, Report
from imagegen_server.domain.image import MAX_IMAGE_BYTES
from imagegen_server.domain.json import JsonObject
from imagegen_server.domain.result import GeneratedImage, ImageResult, Warning, WarningReason
from imagegen_server.domain.task import Wish
from imagegen_server.images.facts import is_truncated, read_facts

from .intake import clean_metadata, clean_report, clean_text, clean_whole

_MOST = 2**31 - 1
"""The highest number of an image or a step: readers count in 32 bits."""

_COUNTS = ("index", "step", "steps", "queue_position")

StreamEvent: TypeAlias = Progress | Preview | Complete | Failed
"""What passes through on_stream_event."""


class WrongAnswer(Exception):
    """What a hook left behind cannot be used. The message says why, and nothing of the contents."""


def answered_request(before: Wish, after: object) -> Wish:
    """Take the request that a hook left.

    :raises WrongAnswer: it is none, or one for another operation
    """
    if not isinstance(after, Wish):
        raise WrongAnswer(f"context.request is a {type(after).__name__}, no Wish")
    if after.operation is not before.operation:
        raise WrongAnswer("the operation of a request cannot be changed")
    return after


def answered_events(event: StreamEvent, answer: object) -> tuple[StreamEvent, ...]:
    """Take what a hook returned for an event.

    :raises WrongAnswer: it is no event, drops or spoils an image, or makes up an end of one
    """
    if answer is event:
        return (event,)
    events = tuple(_events(event, answer))
    ends = [one for one in events if isinstance(one, Complete | Failed)]
    if isinstance(event, Progress | Preview):
        if ends:
            raise WrongAnswer("an image cannot be made up")
    elif len(ends) != 1:
        raise WrongAnswer("a Complete or a Failed goes on, once; it cannot be dropped or doubled")
    elif isinstance(event, Failed):
        # Whether it may be asked for again, and what it cost, hangs on the error.
        if ends[0] is not event:
            raise WrongAnswer("a Failed cannot be exchanged")
    elif ends[0] is not event:
        _require_image(event, ends[0])
    return events


def answered_response(before: ImageResult, after: object) -> ImageResult:
    """Take the result that a hook left, brought into a form that everything after can rely on.

    :raises WrongAnswer: it is none, or has other images, or says something else of what was done
    """
    if after is before:
        return before
    if not isinstance(after, ImageResult):
        raise WrongAnswer(f"context.response is a {type(after).__name__}, no ImageResult")
    if any(not isinstance(image, GeneratedImage) for image in after.images):
        raise WrongAnswer("context.response.images has something that is no GeneratedImage")
    if [(image.index, image.image) for image in after.images] != [
        (image.index, image.image) for image in before.images
    ]:
        raise WrongAnswer("context.response has other images")
    for name in ("generation_id", "request_id", "model", "failures", "attempts"):
        if getattr(after, name) != getattr(before, name):
            raise WrongAnswer(f"context.response.{name} cannot be changed")
    if any(not _is_warning(warning) for warning in after.warnings):
        raise WrongAnswer("context.response.warnings has something that is no Warning")
    return replace(
        after,
        images=tuple(_clean_image(image) for image in after.images),
        warnings=tuple(after.warnings),
        usage=clean_report(Report(after.usage)).usage,
        metadata=_clean_named(after.metadata),
    )


def _events(event: StreamEvent, answer: object) -> Iterable[StreamEvent]:
    if answer is None:
        return
    for one in answer if isinstance(answer, Sequence) else (answer,):
        if not isinstance(one, Progress | Preview | Complete | Failed):
            raise WrongAnswer(f"returned a {type(one).__name__} for an event")
        if one is not event and not _is_sound(one):
            raise WrongAnswer(f"returned a {type(one).__name__} with a field of a wrong type, or out of range")
        yield one


def _is_sound(event: StreamEvent) -> bool:
    """Tell whether the fields are of their types; a bad one would be found by whoever reads the log."""
    said: dict[str, Any] = {item.name: getattr(event, item.name) for item in fields(event)}
    if isinstance(event, Progress):
        return (
            isinstance(said["phase"], Phase)
            and all(said[name] is None or _is_count(said[name]) for name in _COUNTS)
            and all(said[name] is None or isinstance(said[name], int | float) for name in ("fraction", "remaining"))
            and all(isinstance(said[name], str) for name in ("model", "message"))
        )
    return _is_count(said["index"]) and isinstance(said.get("data", b""), bytes)


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _MOST


def _require_image(before: Complete, after: Complete | Failed) -> None:
    if not isinstance(after, Complete):
        raise WrongAnswer("a Complete cannot become a Failed")
    if after.index != before.index:
        raise WrongAnswer("the index of a Complete cannot be changed")
    if after.data is before.data:
        return
    facts = read_facts(after.data) if len(after.data) <= MAX_IMAGE_BYTES else None
    if facts is None or is_truncated(after.data, facts.media_type):
        raise WrongAnswer("the bytes of a Complete were exchanged for some that are no whole image, or too many")


def _is_warning(warning: object) -> bool:
    if not isinstance(warning, Warning):
        return False
    said: dict[str, Any] = {item.name: getattr(warning, item.name) for item in fields(warning)}
    return (
        isinstance(said["reason"], WarningReason)
        and isinstance(said["field"], str)
        and isinstance(said["message"], str)
    )


def _clean_image(image: GeneratedImage) -> GeneratedImage:
    return replace(
        image,
        revised_prompt=clean_text(image.revised_prompt),
        seed=clean_whole(image.seed),
        metadata=_clean_named(image.metadata),
    )


def _clean_named(metadata: object) -> dict[str, JsonObject]:
    """Make metadata by provider name of whatever a hook left; names of middleware may stand beside them."""
    if not isinstance(metadata, Mapping):
        return {}
    return {str(name): clean_metadata(said) for name, said in metadata.items()}
