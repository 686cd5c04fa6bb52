"""From a task to the graph that is queued: values of fields, params, and what of a wish a workflow cannot do."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, Options, PixelSize, Task

from .graphs import CHECKPOINT, LEAST_SIDE, STEP
from .models import Models
from .workflow import OWN, Place, Workflow, read_place

PARAM_OPTIONS: Mapping[str, str] = {"seed": "seed", "negative_prompt": "negative_prompt", "batch_size": "count"}
"""Params that say what an option says. Width and height say one together, so they stay params."""

SIDES = ("width", "height")

CHOSEN_SEEDS = 2**53
"""Seeds that are chosen here are below this: every reader of JSON reads them as they are."""

_OF_THE_REQUEST = frozenset({"extra_data", "front", "number", "partial_execution_targets"})
"""Members of a request beside the graph that the server knows and that are not ours to say. Source: `post_prompt`."""


@dataclass(frozen=True, slots=True)
class Params:
    """The params of a task, by where they go: to fields, to single inputs, and beside the graph."""

    fields: JsonObject
    inputs: Mapping[Place, JsonValue]
    rest: JsonObject


def params_of(task: Task, workflow: Workflow) -> Params:
    """Sort the params."""
    fields: dict[str, JsonValue] = {}
    inputs: dict[Place, JsonValue] = {}
    rest: dict[str, JsonValue] = {}
    for name, value in task.params.items():
        if name in workflow.fields:
            fields[name] = value
        elif place := read_place(name):
            inputs[place] = value
        else:
            rest[name] = value
    return Params(fields, inputs, rest)


def fitted(provider: str, task: Task, models: Models) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against its workflow. `provider` is its configured name.

    :raises ImageError: MODEL_NOT_FOUND, or INVALID_REQUEST with all violations
    """
    builtin = not models.is_workflow(task.model)
    if builtin and not models.checkpoints:
        raise ImageError(Reason.MODEL_NOT_FOUND, f"{provider} has workflows only, and none of this name")
    workflow, noted, options = models.workflow_of(task), list[Warning](), task.options
    if options.size and (said := [side for side in SIDES if side in task.params and side in workflow.fields]):
        message = f"params say {' and '.join(said)}, and params win"
        noted.append(Warning("options.size", WarningReason.OVERRIDDEN_BY_PARAMS, message))
        options = replace(options, size=_changed(options.size, task.params))
    if options.size and not set(SIDES) <= set(workflow.fields):
        noted.append(_ignored("options.size", "the picture keeps the size of the one that was given"))
        options = replace(options, size=None)
    if builtin and options.size:
        options = _on_grid(options, options.size, noted)
    if task.prompt and "prompt" not in workflow.fields:
        noted.append(_ignored("input.prompt", f"{task.model} works without words, and takes none"))
    params = params_of(task, workflow)
    known = ", ".join(sorted(set(workflow.fields) - OWN - {CHECKPOINT})) or "none"
    noted += [
        _ignored(f"params.{provider}.{name}", f"is sent, but no field of {task.model} has this name; there are {known}")
        for name in params.rest
        if name not in _OF_THE_REQUEST
    ]
    if wrong := [*_wrong(task, workflow), *_wrong_params(provider, task, workflow, params, builtin=builtin)]:
        raise ImageError(Reason.INVALID_REQUEST, "the workflow cannot do this", violations=wrong)
    usual = PixelSize(int(models.usual["width"]), int(models.usual["height"])) if builtin else None
    return replace(task, options=options, usual_size=options.size or _size_of(task.images) or usual), noted


def values_of(task: Task, workflow: Workflow, *, builtin: bool, seed: int) -> dict[str, JsonValue]:
    """Say a task in fields, but for its images. What is not said stays as the workflow has it."""
    options = task.options
    values: dict[str, JsonValue] = {
        "prompt": task.prompt or None,
        "negative_prompt": options.negative_prompt,
        "seed": seed,
        "width": options.size.width if options.size else None,
        "height": options.size.height if options.size else None,
        "batch_size": task.count,
        CHECKPOINT: task.model if builtin else None,
    }
    said = {name: value for name, value in values.items() if value is not None}
    return said | dict(params_of(task, workflow).fields)


def seed_of(options: Options, idempotency_key: str) -> int:
    """Tell the seed: the caller's, or one chosen here, as the server tells none. The same attempt has the same."""
    if options.seed is not None:
        return options.seed
    if not idempotency_key:
        return secrets.randbelow(CHOSEN_SEEDS)
    return int.from_bytes(hashlib.sha256(f"seed {idempotency_key}".encode()).digest()[:8], "big") % CHOSEN_SEEDS


def seed_in(graph: Mapping[str, Mapping[str, Mapping[str, object]]], workflow: Workflow) -> int | None:
    """Read the seed that a graph is run with; None = it is not known to have one."""
    for place in workflow.fields.get("seed", ()):
        seed = graph[place.node]["inputs"].get(place.input)
        if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**63:
            return seed
    return None


def _changed(size: PixelSize, params: JsonObject) -> PixelSize | None:
    """Keep of a size what params do not say."""
    return None if set(SIDES) <= set(params) else size


def _on_grid(options: Options, size: PixelSize, noted: list[Warning]) -> Options:
    """Move a size to one that a latent picture can have."""
    width, height = (max(round(side / STEP) * STEP, LEAST_SIDE) for side in (size.width, size.height))
    drawn = PixelSize(width, height)
    if drawn != size:
        message = f"is drawn as {drawn}: sides are multiples of {STEP} pixels, and at least {LEAST_SIDE}"
        noted.append(Warning("options.size", WarningReason.ADJUSTED, message))
    return replace(options, size=drawn)


def _size_of(images: Sequence[InputImage]) -> PixelSize | None:
    if not images or images[0].facts.width is None or images[0].facts.height is None:
        return None
    return PixelSize(images[0].facts.width, images[0].facts.height)


def _wrong(task: Task, workflow: Workflow) -> Iterator[Violation]:
    if task.options.seed is not None and task.options.seed < 0:
        yield Violation("options.seed", "must be 0 or more: the server knows no others")
    needed = len(workflow.image_fields)
    if task.operation is Operation.EDIT:
        if len(task.images) < needed:
            yield Violation("input.images", f"{needed} are required: this workflow takes so many")
        if "mask" in workflow.fields and task.mask is None and not (task.images and task.images[0].facts.alpha):
            yield Violation("input.mask", "is required: this workflow changes a part of the picture")


def _wrong_params(
    provider: str, task: Task, workflow: Workflow, params: Params, *, builtin: bool
) -> Iterator[Violation]:
    if builtin and CHECKPOINT in task.params:
        yield Violation(f"params.{provider}.{CHECKPOINT}", "is what the model's name says")
    for place in params.inputs:
        if place.node not in workflow.graph:
            yield Violation(f"params.{provider}.{place}", f"there is no node {place.node} in {task.model}")


def _ignored(field: str, why: str) -> Warning:
    return Warning(field, WarningReason.IGNORED, why)
