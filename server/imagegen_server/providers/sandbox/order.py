"""From a task to an order for pictures: size, seed and format decided, everything checked before any work."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, Options, PixelSize, Task

from .models import SCRIPTS
from .settings import SandboxSettings
from .trouble import Trouble, read_trouble

SHORTEST_SIDE = 16
_SMALLEST = PixelSize(SHORTEST_SIDE, SHORTEST_SIDE)
_USUAL_SIDE = 1024
_SIDE_OF_RESOLUTION = {"1K": 1024, "2K": 2048, "4K": 4096}
_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")
_STEP = 16
"""Sides worked out from a ratio are multiples of it."""

_INPUT_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})


@dataclass(frozen=True, slots=True)
class Order:
    """What to draw. `seed` is that of the first picture. `images` and `mask` are files; none = a new picture."""

    prompt: str
    negative_prompt: str
    size: PixelSize
    seed: int
    quality: str
    transparent: bool
    format: str
    compression: int | None
    size_bytes: int | None
    spoil: str = ""
    images: tuple[bytes, ...] = ()
    mask: bytes | None = None


def seed_of(prompt: str) -> int:
    """The seed of a request that names none: the same words give the same picture."""
    return int.from_bytes(blake2b(prompt.encode(), digest_size=4).digest(), "big")


def next_seed(seed: int, index: int) -> int:
    """The seed of a later picture of a batch; behind the largest int64 comes the smallest."""
    return (seed + index + 2**63) % 2**64 - 2**63


def trouble_of(task: Task, provider: str) -> Trouble:
    """Read the trouble that the model's name and the params ask for.

    :raises ImageError: MODEL_NOT_FOUND, INVALID_REQUEST
    """
    script = SCRIPTS.get(task.model)
    if script is None:
        raise ImageError(
            Reason.MODEL_NOT_FOUND,
            f"{provider} has no model {task.model}; try {provider}/scene",
            http_status=404,
            provider_code="model_not_found",
        )
    return read_trouble({**script, **task.params}, f"params.{provider}")


def order_of(task: Task, trouble: Trouble, settings: SandboxSettings) -> tuple[Order, list[Warning]]:
    """Decide what the task leaves open, and tell what will not be done as asked.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    violations: list[Violation] = []
    warnings: list[Warning] = []
    options = task.options
    if task.operation is Operation.EDIT:
        size = _size_of_edit(task, settings, violations)
        warnings += _size_wishes(options, size)
    else:
        size = _size_of_scene(options, trouble.size_bytes, settings, violations)
    file_format = options.format or "png"
    if options.background == "transparent" and file_format == "jpeg":
        violations.append(Violation("options.background", "JPEG holds no transparency; use png or webp"))
    if options.compression is not None and file_format == "png":
        text = "PNG is lossless; compression is for jpeg and webp"
        warnings.append(Warning("options.compression", WarningReason.IGNORED, text))
    if trouble.size_bytes is not None:
        if file_format != "png":
            violations.append(Violation("options.format", "only a png can be given an exact length (size_bytes)"))
        needed = _most_bytes(size, has_alpha=_has_alpha(task))
        if needed > trouble.size_bytes:
            text = f"{size} may need {needed:,} bytes; ask for a larger size_bytes or a smaller picture"
            violations.append(Violation("options.size", text))
    if violations:
        raise ImageError(Reason.INVALID_REQUEST, "the sandbox cannot draw this", violations=violations)
    order = Order(
        prompt=task.prompt,
        negative_prompt=options.negative_prompt or "",
        size=size,
        seed=seed_of(task.prompt) if options.seed is None else options.seed,
        quality=options.quality or "medium",
        transparent=options.background == "transparent",
        format=file_format,
        compression=options.compression,
        size_bytes=trouble.size_bytes,
        spoil=trouble.spoil,
        images=tuple(image.data for image in task.images) if task.operation is Operation.EDIT else (),
        mask=task.mask.data if task.mask else None,
    )
    return order, warnings


def decided(task: Task, order: Order) -> Task:
    """The task with what the order decided: its seed, and its size where that tells how many bytes may come."""
    options = replace(task.options, seed=order.seed)
    if order.size_bytes is None and task.operation is Operation.GENERATE:
        options = replace(options, size=order.size, aspect_ratio=None, resolution=None)
    return replace(task, options=options)


def _size_of_scene(
    options: Options, size_bytes: int | None, settings: SandboxSettings, violations: list[Violation]
) -> PixelSize:
    ratio = _RATIO.fullmatch(options.aspect_ratio or "1:1")
    if options.size:
        size, field = options.size, "options.size"
    elif not ratio:
        violations.append(Violation("options.aspect_ratio", 'must be width to height, such as "16:9"'))
        return PixelSize(_USUAL_SIDE, _USUAL_SIDE)
    elif size_bytes is not None and not options.aspect_ratio and not options.resolution:
        # The largest square, up to 256, whose picture surely fits.
        has_alpha = options.background == "transparent"
        squares = (PixelSize(side, side) for side in (256, 128, 64, 32))
        return next((size for size in squares if _most_bytes(size, has_alpha=has_alpha) <= size_bytes), _SMALLEST)
    else:
        side = _SIDE_OF_RESOLUTION.get((options.resolution or "1K").upper(), _USUAL_SIDE)
        stretch = math.sqrt(int(ratio[1]) / int(ratio[2]))
        size = PixelSize(int(side * stretch) // _STEP * _STEP, int(side / stretch) // _STEP * _STEP)
        field = "options.aspect_ratio" if options.aspect_ratio else "options.resolution"
    fits = (
        min(size.width, size.height) >= SHORTEST_SIDE
        and max(size.width, size.height) <= settings.max_side
        and size.width * size.height <= settings.max_pixels
    )
    if not fits:
        text = f"{size}: sides may be {SHORTEST_SIDE} to {settings.max_side} pixels, all pixels {settings.max_pixels:,}"
        violations.append(Violation(field, text))
    return size


def _most_bytes(size: PixelSize, *, has_alpha: bool) -> int:
    """How long a PNG may get, with room for padding: its raw pixels, the frames of its chunks, a little for deflate."""
    return size.height * (size.width * (4 if has_alpha else 3) + 1) * 101 // 100 + 128


def _has_alpha(task: Task) -> bool:
    if task.operation is Operation.EDIT:
        return any(image.facts.alpha for image in task.images[:1])
    return task.options.background == "transparent"


def _size_of_edit(task: Task, settings: SandboxSettings, violations: list[Violation]) -> PixelSize:
    """The size of the first image, which an edit keeps."""
    first: PixelSize | None = None
    named = [(f"input.images[{index}]", image) for index, image in enumerate(task.images)]
    for field, image in named + ([("input.mask", task.mask)] if task.mask else []):
        facts = image.facts
        if facts.media_type not in _INPUT_TYPES or facts.width is None or facts.height is None:
            violations.append(Violation(field, "must be a PNG, JPEG, WebP or GIF image"))
            continue
        size = PixelSize(facts.width, facts.height)
        if size.width * size.height > settings.max_pixels or max(size.width, size.height) > settings.max_side:
            text = f"{size}: at most {settings.max_side} pixels a side, {settings.max_pixels:,} in all"
            violations.append(Violation(field, text))
        elif field == "input.images[0]":
            first = size
        elif field == "input.mask" and first and size != first:
            violations.append(Violation(field, f"is {size}, the image {first}; they must be the same"))
    return first or _SMALLEST


def _size_wishes(options: Options, size: PixelSize) -> Sequence[Warning]:
    """An edit keeps its size; whoever asked for another is told."""
    fields = [name for name in ("size", "aspect_ratio", "resolution") if getattr(options, name) is not None]
    return [
        Warning(f"options.{name}", WarningReason.ADJUSTED, f"an edit keeps the size of its first image, {size}")
        for name in fields
        if options.size != size
    ]
