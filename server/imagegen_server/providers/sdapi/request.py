"""From a task to what is sent: the fields of StableDiffusionProcessingTxt2Img and ...Img2Img of the web API."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pybase64

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, Task
from imagegen_server.images.masks import read_mask, to_white_png
from imagegen_server.providers.openai.request import wrong_types
from imagegen_server.providers.openai_compatible.request import TAG

from .models import DEFAULT, Limits

PARAM_OPTIONS: Mapping[str, str] = {"seed": "seed", "negative_prompt": "negative_prompt", "batch_size": "count"}
CONTROLLED = frozenset({"prompt", "init_images", "mask", "n_iter", "force_task_id", "send_images"})
"""`n_iter` would make more pictures than were asked for, `send_images` none."""

_SETTINGS, _MODEL, _RESTORE = "override_settings", "sd_model_checkpoint", "override_settings_restore_afterwards"
_SIDES = ("width", "height")
_MOST_SEED = 2**31
"""KoboldCpp keeps 32 bits, one of them for the sign."""


def path_of(task: Task) -> str:
    """Tell where such a task goes."""
    return f"/sdapi/v1/{'txt2img' if task.operation is Operation.GENERATE else 'img2img'}"


def fitted(provider: str, task: Task, limits: Limits) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what such servers take. `provider` is its configured name, `limits` what one has told.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    options, noted = task.options, list[Warning]()
    wrong = wrong_types(task.images, provider) + _wrong_words(task, provider)
    if options.seed is not None and options.seed < 0:
        wrong.append(Violation("options.seed", "must be at least 0; without it one is chosen, and told"))
    if options.size and any(side in task.params for side in _SIDES):
        message = "params say width or height, and params win"
        noted.append(Warning("options.size", WarningReason.OVERRIDDEN_BY_PARAMS, message))
        options = replace(options, size=None)
    if options.size and (why := limits.why_refused(options.size)):
        wrong.append(Violation("options.size", why))
    wrong += _wrong_settings(task, provider)
    sampler = task.params.get("sampler_name")
    if limits.samplers and sampler is not None and sampler not in limits.samplers:
        have = ", ".join(limits.samplers)
        wrong.append(Violation(f"params.{provider}.sampler_name", f"is overlooked by this server; it has {have}"))
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, f"{provider} would refuse or misread this", violations=wrong)
    return replace(task, options=options), noted


def with_seed(task: Task, own: str) -> Task:
    """Choose a seed where none was asked for, as KoboldCpp does not tell the one that it chooses.

    `own`: hex digits of this attempt alone, of which it is made.
    """
    if task.options.seed is not None:
        return task
    return replace(task, options=replace(task.options, seed=int(own[:16], 16) % _MOST_SEED))


async def body_of(task: Task, task_id: str, preview_steps: int) -> JsonObject:
    """The body of a request. `task_id` is by what the server shall know it.

    Nothing is said that was not asked for, but for the seed, and the size of an edit: the servers would take 512 by 512
    pixels.
    """
    options = task.options
    size: dict[str, int | None] = {}
    if options.size is not None:
        size = {"width": options.size.width, "height": options.size.height}
    elif task.images:
        size = {"width": task.images[0].facts.width, "height": task.images[0].facts.height}
    wishes: dict[str, JsonValue] = {
        "prompt": task.prompt,
        "negative_prompt": options.negative_prompt,
        "seed": options.seed,
        "batch_size": task.count if task.count > 1 else None,
        **size,
        "force_task_id": task_id,
    }
    fields: dict[str, JsonValue] = {name: value for name, value in wishes.items() if value is not None}
    fields |= _settings(task, preview_steps)
    if task.images:
        fields["init_images"] = [_encoded(task.images[0].data)]
    if task.mask is not None:
        # These servers read white as "paint anew".
        mask = await asyncio.to_thread(read_mask, task.mask.data)
        fields["mask"] = _encoded(await asyncio.to_thread(to_white_png, mask))
    return fields | {name: value for name, value in task.params.items() if name != _SETTINGS}


def _settings(task: Task, preview_steps: int) -> dict[str, JsonValue]:
    """Settings of the server for this picture: its model, and previews if they are wanted.

    With a model they stay: older servers would load the one before again after each picture.
    """
    settings: dict[str, Any] = {}
    if task.model != DEFAULT:
        settings[_MODEL] = task.model
    if task.preview_count and preview_steps:
        settings |= {"live_previews_enable": True, "show_progress_every_n_steps": preview_steps}
    own = task.params.get(_SETTINGS)
    settings |= dict(own) if isinstance(own, Mapping) else {}
    return {_SETTINGS: settings, _RESTORE: task.model == DEFAULT} if settings else {}


def _wrong_settings(task: Task, provider: str) -> list[Violation]:
    own, place = task.params.get(_SETTINGS), f"params.{provider}.{_SETTINGS}"
    if own is None:
        return []
    if not isinstance(own, Mapping):
        return [Violation(place, "must be an object: settings of the server, by their names")]
    return [Violation(f"{place}.{_MODEL}", "is said by the request's model")] if _MODEL in own else []


def _wrong_words(task: Task, provider: str) -> list[Violation]:
    """Find what sd-server would not read as the words that they are."""
    words = {"input.prompt": task.prompt, "options.negative_prompt": task.options.negative_prompt or ""}
    words |= {f"params.{provider}.{name}": json.dumps(value) for name, value in task.params.items()}
    why = f"holds {TAG}, between which sd-server reads settings; say those in params"
    return [Violation(place, why) for place, text in words.items() if TAG in text]


def _encoded(data: bytes) -> str:
    """Write an image as bare base64, which all of these servers read."""
    return pybase64.b64encode(data).decode("ascii")
