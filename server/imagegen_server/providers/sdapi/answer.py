"""From the answer to events: `images`, and `info`, which is JSON in a string.

Sources: `Processed.js` in modules/processing.py of AUTOMATIC1111/stable-diffusion-webui, `prepare_info_field` in
examples/server/routes_sdapi.cpp of leejet/stable-diffusion.cpp.
"""

from collections.abc import AsyncGenerator, Mapping

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Complete, Failed, ProviderEvent, Report
from imagegen_server.domain.json import JsonValue
from imagegen_server.domain.result import Usage, Warning, WarningReason
from imagegen_server.domain.task import Task
from imagegen_server.http.client import Answer
from imagegen_server.http.encoded_image import EncodedImage
from imagegen_server.http.error_context import ErrorContext, read_object
from imagegen_server.http.image_json import ImageJson
from imagegen_server.http.image_place import decoded
from imagegen_server.http.whole_answer import read_images

from .errors import error_in_success
from .models import DEFAULT, is_another

_KEYS = frozenset({"images", "init_images", "mask"})
"""What went in may be repeated among `parameters`, and is not looked at."""

_FACTS = ("sampler_name", "steps", "cfg_scale", "width", "height", "denoising_strength", "clip_skip", "version")
_MODEL_FACTS = ("sd_model_name", "sd_model_hash", "sd_vae_name")
_MOST_NUMBER = 2**53
_MOST_SEED = 2**63


async def read_answer(answer: Answer, context: ErrorContext, task: Task) -> Mapping[str, ImageJson]:
    """Read an answer of success.

    :raises ImageError: the error that it holds, INVALID_RESPONSE, or what ended it
    """
    grid = 1 if task.count > 1 else 0
    given = len(task.images) + (1 if task.mask else 0)
    payload = await read_images(answer, context, _KEYS, task.count + grid + given)
    images = payload.get("images")
    if not isinstance(images, list) or not images:
        raise error_in_success(context, payload) or context.invalid("no picture")
    return payload


async def events_of(
    payload: Mapping[str, ImageJson], context: ErrorContext, task: Task
) -> AsyncGenerator[ProviderEvent, None]:
    """Yield what an answer that `read_answer` has read holds: facts, then every picture."""
    images, info = payload["images"], _info(payload.get("info"))
    assert isinstance(images, list)
    first = _first(info, len(images), task.count)
    yield _report(info, context, task, min(task.count, len(images) - first))
    for index in range(task.count):
        encoded = images[first + index] if first + index < len(images) else None
        try:
            yield _complete(encoded, index, info, context, task)
        except ImageError as problem:
            yield Failed(index, problem)


def _complete(
    encoded: ImageJson, index: int, info: Mapping[str, object], context: ErrorContext, task: Task
) -> Complete:
    if not isinstance(encoded, EncodedImage) or not encoded.encoded_length:
        raise context.invalid("nothing in the place of a picture; its own log may tell why")
    prompt = _of_image(info, "all_prompts", "prompt", index)
    revised = isinstance(prompt, str) and prompt not in ("", task.prompt)
    return Complete(
        index,
        decoded(encoded, context),
        prompt if revised and isinstance(prompt, str) else None,
        _seed(info, index, task),
        _facts(info, _FACTS, context),
    )


def _report(info: Mapping[str, object], context: ErrorContext, task: Task, images: int) -> Report:
    facts = _facts(info, _MODEL_FACTS, context)
    name, short_hash = str(facts.get("sd_model_name", "")), str(facts.get("sd_model_hash", ""))
    usage = Usage(images_generated=images)
    if task.model == DEFAULT:
        return Report(usage, facts, model=name)
    if not is_another(task.model, name, short_hash):
        return Report(usage, facts)
    why = f"{context.host} drew by {name or short_hash}, as it does when it has no model of the name that was asked for"
    return Report(usage, facts, warnings=(Warning("model", WarningReason.ADJUSTED, why),), model=name)


def _info(told: object) -> Mapping[str, object]:
    """Read what is told of the pictures; empty = nothing, as by older versions of some servers."""
    if isinstance(told, str):
        return read_object(told.encode("utf-8", "replace"))
    return told if isinstance(told, Mapping) else {}


def _first(info: Mapping[str, object], images: int, count: int) -> int:
    """Tell where the pictures begin: before them there may be one that shows them all."""
    first = info.get("index_of_first_image")
    plain = isinstance(first, int) and not isinstance(first, bool) and 0 <= first < images
    return first if plain and isinstance(first, int) and images > count else 0


def _of_image(info: Mapping[str, object], listed: str, single: str, index: int) -> object:
    """Find what is told of one picture, in a list or, of the first, alone."""
    found = info.get(listed)
    if isinstance(found, list) and index < len(found):
        return found[index]
    return info.get(single) if index == 0 else None


def _seed(info: Mapping[str, object], index: int, task: Task) -> int | None:
    """Tell the seed of a picture: as the server tells it, else, of the first, as it was asked for."""
    told = _of_image(info, "all_seeds", "seed", index)
    if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < _MOST_SEED:
        return told
    return task.options.seed if index == 0 else None


def _facts(info: Mapping[str, object], names: tuple[str, ...], context: ErrorContext) -> dict[str, JsonValue]:
    """Keep those of these facts that are short words, and numbers that a double holds."""
    facts: dict[str, JsonValue] = {}
    for name in names:
        value = info.get(name)
        if isinstance(value, str) and value:
            facts[name] = context.name(value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST_NUMBER:
            facts[name] = value
    return facts
