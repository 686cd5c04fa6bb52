"""What the fake OpenAI asks of the pictures of an edit."""

import base64
import io
import re
from collections.abc import Sequence
from typing import Any

from PIL import Image, UnidentifiedImageError

from .openai_refusals import (
    duplicate_parameter,
    missing_parameter,
    unknown_parameter,
    wrong_file_type,
    wrong_image,
    wrong_type,
    wrong_value,
)
from .recording import Part

MOST_IMAGES = 16
_MOST_IMAGE_BYTES = 50 * 1024 * 1024
_MOST_MASK_BYTES = 4 * 1024 * 1024
_MOST_URL_LENGTH = 20_971_520
_TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_DATA_URL = re.compile(r"data:([a-z]+/[a-z+.-]+);base64,(.*)", re.DOTALL)


def check_files(files: Sequence[Part], model: str) -> int:
    """Check the files of a form, and return how many images there are.

    One image may be named `image`, several are each named `image[]`.

    :raises Refused: as the real service would.
    """
    for file in files:
        if file.name not in {"image", "image[]", "mask", "markup"}:
            # A counted name reads as an element of a list that is none.
            counted = re.fullmatch(r"image\[\d+\]", file.name)
            raise wrong_type(file.name, "a file", "") if counted else unknown_parameter(file.name)
    single = _named(files, "image")
    if len(single) > 1 or (single and _named(files, "image[]")):
        raise duplicate_parameter("image")
    images = single or _named(files, "image[]")
    if not images:
        raise missing_parameter("image")
    if len(images) > MOST_IMAGES:
        raise wrong_value("image", f"at most {MOST_IMAGES} images.")
    opened = [_opened(file) for file in images]
    for name in ("mask", "markup"):
        _check_overlay(_named(files, name), opened[0])
    if _named(files, "markup") and (_named(files, "mask") or not model.startswith(("gpt-image-2.5", "gpt-image-2.6"))):
        raise wrong_value("markup", "not supported here.")
    return len(images)


def check_references(images: Any, mask: Any) -> int:
    """Check the references of a JSON edit, and return how many images there are.

    Data URLs are looked into; pages and file ids are believed.

    :raises Refused: as the real service would.
    """
    if images is None:
        raise missing_parameter("images")
    if not isinstance(images, list) or not 1 <= len(images) <= MOST_IMAGES:
        raise wrong_type("images", f"an array of 1 to {MOST_IMAGES} objects", images)
    files = [_referenced(f"images[{index}]", image) for index, image in enumerate(images)]
    opened = [_opened(file) if file else None for file in files]
    if mask is not None and (overlay := _referenced("mask", mask)):
        _check_overlay([overlay], opened[0])
    return len(images)


def _named(files: Sequence[Part], name: str) -> list[Part]:
    return [file for file in files if file.name == name]


def _opened(file: Part) -> Image.Image:
    if not file.filename:
        raise wrong_type(file.name, "a file", "")
    if file.content_type not in _TYPES:
        raise wrong_file_type(file.name, file.content_type)
    if len(file.data) >= _MOST_IMAGE_BYTES:
        raise wrong_image(file.name, "must be less than 50 MB.")
    try:
        image = Image.open(io.BytesIO(file.data))
        image.load()
    except (UnidentifiedImageError, OSError) as error:
        raise wrong_image(file.name, "please check your image file.") from error
    if image.format != _TYPES[file.content_type]:
        raise wrong_image(file.name, "is not of the type that it is sent as.")
    return image


def _check_overlay(found: Sequence[Part], image: Image.Image | None) -> None:
    if not found:
        return
    if len(found) > 1:
        raise duplicate_parameter(found[0].name)
    overlay = _opened(found[0])
    name, code = found[0].name, f"invalid_{found[0].name}_image_format"
    if overlay.format != "PNG" or len(found[0].data) >= _MOST_MASK_BYTES:
        raise wrong_image(name, "must be a PNG of less than 4 MB.", code)
    if overlay.mode not in {"RGBA", "LA"}:
        raise wrong_image(name, "has no alpha channel.", code)
    if image and overlay.size != image.size:
        raise wrong_image(name, "has not the size of the first image.", code)


def _referenced(name: str, reference: Any) -> Part | None:
    """Return what a data URL holds; None for what cannot be looked into."""
    if not isinstance(reference, dict):
        raise wrong_type(name, "an object", reference)
    unknown = reference.keys() - {"image_url", "file_id"}
    if unknown:
        raise unknown_parameter(f"{name}.{min(unknown)}")
    if len(reference) != 1:
        raise wrong_value(name, "exactly one of 'image_url' or 'file_id' is needed.")
    value = next(iter(reference.values()))
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    if "file_id" in reference or value.startswith("https://"):
        return None
    found = _DATA_URL.fullmatch(value) if len(value) <= _MOST_URL_LENGTH else None
    if not found:
        raise wrong_value(f"{name}.image_url", "expected an https or a base64 data URL.")
    try:
        data = base64.b64decode(found[2], validate=True)
    except ValueError as error:
        raise wrong_value(f"{name}.image_url", "expected base64-encoded data.") from error
    return Part(name, "data", found[1], data)
