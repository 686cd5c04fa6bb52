"""What of a wish a model can do: limits, operations, options and masks."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport
from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, Task, Wish
from imagegen_server.images.decoding import UnreadableImage
from imagegen_server.images.masks import Selection, read_mask
from imagegen_server.providers.registry import ProviderEntry

from .params import Merged

MAX_COUNT = 16
"""Largest options.count where the model names none."""

_VALUE_LISTS = {
    "size": "sizes",
    "aspect_ratio": "aspect_ratios",
    "resolution": "resolutions",
    "quality": "qualities",
    "background": "backgrounds",
    "format": "formats",
}


def over_limits(wish: Wish, capabilities: Capabilities) -> list[Violation]:
    """Name what is more than the model takes, or does not fit together."""
    wrong = []
    most = capabilities.max_count or MAX_COUNT
    if (wish.options.count or 1) > most:
        wrong.append(Violation("options.count", f"at most {most} images of this model in one request"))
    if wish.operation is Operation.EDIT:
        if not wish.prompt and not capabilities.edits_without_words:
            wrong.append(Violation("input.prompt", "is required: this model edits by words"))
        if capabilities.max_input_images is not None and len(wish.images) > capabilities.max_input_images:
            wrong.append(Violation("input.images", f"at most {capabilities.max_input_images} images for this model"))
        if wish.mask and wish.images:
            image, mask = wish.images[0].facts, wish.mask.facts
            both_known = image.width is not None and mask.width is not None
            if both_known and (image.width, image.height) != (mask.width, mask.height):
                wrong.append(
                    Violation(
                        "input.mask",
                        f"is {mask.width}x{mask.height} pixels, but the first image is {image.width}x{image.height}",
                    )
                )
    return wrong


def require_operation(wish: Wish, entry: ProviderEntry, model: Model) -> None:
    """See that the model does such a thing at all.

    :raises ImageError: OPERATION_NOT_SUPPORTED
    """
    capabilities, missing = model.capabilities, ""
    if wish.operation is Operation.GENERATE and capabilities.generate is False:
        missing = "does not draw from words"
    elif wish.operation is Operation.EDIT and capabilities.edit is False:
        missing = "does not edit"
    elif wish.mask is not None and capabilities.mask is False:
        missing = "takes no mask"
    if missing:
        name = f"{entry.name}/{model.id}"
        raise ImageError(
            Reason.OPERATION_NOT_SUPPORTED,
            f"{name} {missing}; ListModels tells which models do",
            metadata={"provider": entry.name, "model": name},
        )


def fit(merged: Merged, entry: ProviderEntry, model: Model, noted: list[Warning]) -> Task:
    """Make the task, without the options that the model does not know. Appends to `noted` what is left out."""
    wish = merged.wish
    if model.retire_time is not None:
        when = model.retire_time.date().isoformat()
        what = "ends" if model.retire_time > datetime.now(UTC) else "ended"
        noted.append(Warning("model", WarningReason.MODEL_RETIRING, f"the provider {what} this model on {when}"))
    unknown: dict[str, None] = {}
    for name in wish.options.given():
        if name not in merged.read_options and (why := _why_unknown(name, wish, model)):
            noted.append(Warning(f"options.{name}", WarningReason.IGNORED, why))
            unknown[name] = None
    if not entry.provider.uses_image_metadata:
        noted += [
            Warning(f"input.images[{position}].metadata", WarningReason.IGNORED, f"{entry.name} needs none")
            for position, image in enumerate(wish.images)
            if entry.name in image.metadata
        ]
    options = replace(
        wish.options, **unknown, count=wish.options.count or 1, preview_count=_previews(wish, model, noted)
    )
    return Task(
        wish.operation,
        model.id,
        wish.prompt,
        options,
        wish.images,
        wish.mask,
        merged.params,
        strict=wish.strict,
        retry=wish.retry,
    )


def _why_unknown(name: str, wish: Wish, model: Model) -> str:
    """Say why the model cannot do what an option asks; "" = it can."""
    if name in ("count", "preview_count"):
        return ""
    if model.capabilities.options is not None and name not in model.capabilities.options:
        return f"{model.id} does not know this option"
    values = getattr(model.capabilities, _VALUE_LISTS[name]) if name in _VALUE_LISTS else ()
    value = str(getattr(wish.options, name))
    # The lists of a model that we only guess at may be too short.
    if model.known and values and value not in values:
        return f"{model.id} has no {value!r}; it has {', '.join(values)}"
    return ""


def _previews(wish: Wish, model: Model, noted: list[Warning]) -> int:
    """Choose how many previews to ask for."""
    wanted = wish.options.preview_count
    if not wish.previews_shown:
        if wanted:
            why = "a unary call shows none; use the stream form"
            noted.append(Warning("options.preview_count", WarningReason.IGNORED, why))
        return 0
    if model.capabilities.previews not in (PreviewSupport.IMAGES, PreviewSupport.UNKNOWN):
        if wanted:
            noted.append(Warning("options.preview_count", WarningReason.IGNORED, f"{model.id} shows no previews"))
        return 0
    most = model.capabilities.max_previews
    if wanted is not None and most is not None and wanted > most:
        noted.append(Warning("options.preview_count", WarningReason.ADJUSTED, f"{model.id} shows at most {most}"))
    if wanted is None:
        # Previews may cost money, and a model that is not known to have any may refuse to be asked.
        wanted = wish.preview_default if model.capabilities.previews is PreviewSupport.IMAGES else 0
    return wanted if most is None else min(wanted, most)


async def mask_effect(mask: InputImage, wrong: list[Violation], decoding: asyncio.Semaphore) -> list[Warning]:
    """Warn of a mask that selects nothing or everything. Decodes it, off the event loop, when `decoding` lets it.

    Appends to `wrong` if it cannot be read.
    """
    try:
        async with decoding:
            selection = await asyncio.to_thread(_selection, mask.data)
    except UnreadableImage as problem:
        wrong.append(Violation("input.mask", f"cannot be read: {problem}"))
        return []
    if selection is Selection.PART:
        return []
    what = "nothing, so nothing will change" if selection is Selection.NOTHING else "everything, as if there were none"
    return [Warning("input.mask", WarningReason.MASK_WITHOUT_EFFECT, f"selects {what}")]


def _selection(mask: bytes) -> Selection:
    return read_mask(mask).selects()
