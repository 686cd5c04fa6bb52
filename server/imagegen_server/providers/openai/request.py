"""From a task to what is sent: the fields of CreateImageRequest and CreateImageEditRequest."""

from collections.abc import Sequence
from dataclasses import replace

from imagegen_server.domain.errors import ImageError, Reason, Violation
from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue
from imagegen_server.domain.result import Warning, WarningReason
from imagegen_server.domain.task import Operation, PixelSize, Task
from imagegen_server.http.client import FormFile
from imagegen_server.http.form import EXTENSIONS, files_named
from imagegen_server.images.masks import as_alpha_png, read_mask, to_alpha_png

from .models import WITHOUT_PREVIEWS, Family
from .sizes import PIXELS_OF_RESOLUTION, read_ratio, size_of, why_refused

_LARGEST_INPUT = 50 * 1024 * 1024
"""Bytes of one input image: "less than 50MB" in the OpenAPI document, in its wider sense."""

_LARGEST_MASK = 4_000_000
"""Bytes of a mask, in the narrower sense: a larger one is written anew, without the picture that stands under it."""

_FIXED = {"1:1": PixelSize(1024, 1024), "3:2": PixelSize(1536, 1024), "2:3": PixelSize(1024, 1536)}
"""Sizes of the models that take three only, by ratio."""

_WITHOUT_COMPRESSION = frozenset({None, "png", *WITHOUT_PREVIEWS})
"""Formats that take no degree of it; None = unset, which means PNG."""

_USUAL_SIZE = PixelSize(1536, 1024)
"""The largest that "auto" is documented to choose."""


def fitted(task: Task, family: Family, *, known: bool, vendor: str) -> tuple[Task, Sequence[Warning]]:
    """Hold a task against what the documents say, and decide what a ratio and a resolution mean in pixels.

    `known`: the family is no guess. `vendor` is how people call who would refuse.

    :raises ImageError: INVALID_REQUEST with all violations
    """
    options = task.options
    wrong: list[Violation] = []
    noted: list[Warning] = []
    if options.size is None and (options.aspect_ratio or options.resolution):
        options = replace(options, size=_size_of_words(task, family, wrong))
    elif options.size and known and family.any_size and (why := why_refused(options.size)):
        wrong.append(Violation("options.size", why))
    options = replace(options, aspect_ratio=None, resolution=None)
    if options.compression is not None and family.gpt_image and options.format in _WITHOUT_COMPRESSION:
        message = f"it is for jpeg and webp, not for {options.format or 'png'}"
        noted.append(Warning("options.compression", WarningReason.IGNORED, message))
        options = replace(options, compression=None)
    if options.background == "transparent" and options.format == "jpeg":
        wrong.append(Violation("options.background", "JPEG holds no transparency; use png or webp"))
    if options.format in WITHOUT_PREVIEWS:
        options = replace(options, preview_count=0)
    if options.format == "gif" and task.mask is not None:
        wrong.append(Violation("input.mask", "an edit that makes a GIF takes no mask"))
    wrong += _wrong_inputs(task, vendor)
    if wrong:
        raise ImageError(Reason.INVALID_REQUEST, f"{vendor} would refuse this", violations=wrong)
    return replace(task, options=options, usual_size=_USUAL_SIZE if family.gpt_image else None), noted


def fields_of(task: Task, family: Family) -> JsonObject:
    """The fields of a request, beside its images. Nothing is said that was not asked for, but for two things.

    Edits say `size`, because the two forms of that request have different defaults; older models are asked for base64,
    because their default is a URL.
    """
    options = task.options
    fields: dict[str, JsonValue] = {"model": task.model, "prompt": task.prompt}
    if task.count > 1:
        fields["n"] = task.count
    if options.size:
        fields["size"] = str(options.size)
    elif family.gpt_image and task.operation is Operation.EDIT:
        fields["size"] = "auto"
    wishes: dict[str, JsonValue] = {
        "quality": options.quality,
        "background": options.background,
        "output_format": options.format,
        "output_compression": options.compression,
    }
    fields |= {name: value for name, value in wishes.items() if value is not None}
    if family.url_by_default:
        fields["response_format"] = "b64_json"
    if task.preview_count:
        fields |= {"stream": True, "partial_images": task.preview_count}
    return fields | dict(task.params)


def files_of(task: Task, mask: bytes | None) -> list[FormFile]:
    """The images of an edit, and the mask as `alpha_mask` makes it."""
    files = files_named("image[]" if len(task.images) > 1 else "image", task.images)
    return [*files, FormFile("mask", "mask.png", "image/png", mask)] if mask is not None else files


def alpha_mask(data: bytes) -> bytes:
    """Write a mask as this vendor reads it: transparent = edit. Decodes it."""
    mask = as_alpha_png(data)
    return mask if len(mask) < _LARGEST_MASK else to_alpha_png(read_mask(mask))


def _size_of_words(task: Task, family: Family, wrong: list[Violation]) -> PixelSize | None:
    """Make pixels of a ratio and a resolution. Appends to `wrong` what has no meaning in pixels."""
    ratio_text, resolution = task.options.aspect_ratio or "1:1", task.options.resolution or "1K"
    if not family.any_size:
        if ratio_text not in _FIXED:
            wrong.append(Violation("options.aspect_ratio", f"must be one of {', '.join(_FIXED)} for {task.model}"))
        return _FIXED.get(ratio_text)
    ratio = read_ratio(ratio_text)
    if ratio is None:
        wrong.append(Violation("options.aspect_ratio", 'must be width to height from "1:3" to "3:1", such as "16:9"'))
    if resolution not in PIXELS_OF_RESOLUTION:
        wrong.append(Violation("options.resolution", f"must be one of {', '.join(PIXELS_OF_RESOLUTION)}"))
        return None
    return size_of(ratio, resolution) if ratio else None


def wrong_types(images: Sequence[InputImage], vendor: str) -> list[Violation]:
    """Name the images that are of no type that vendors with this interface take."""
    return [
        Violation(f"input.images[{position}]", f"is {image.facts.media_type}; {vendor} takes PNG, JPEG and WebP")
        for position, image in enumerate(images)
        if image.facts.media_type not in EXTENSIONS
    ]


def _wrong_inputs(task: Task, vendor: str) -> list[Violation]:
    return wrong_types(task.images, vendor) + [
        Violation(
            f"input.images[{position}]",
            f"is {len(image.data):,} bytes; {vendor} takes less than {_LARGEST_INPUT:,}",
        )
        for position, image in enumerate(task.images)
        if image.facts.media_type in EXTENSIONS and len(image.data) >= _LARGEST_INPUT
    ]
