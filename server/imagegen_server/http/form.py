"""What a multipart form says: JSON values as its fields, input images as its files."""

from collections.abc import Sequence

from imagegen_server.domain.image import InputImage
from imagegen_server.domain.json import JsonObject, JsonValue

from .body import FormFile

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
"""What the filenames end with, by the types that vendors take."""


def form_of(fields: JsonObject) -> list[tuple[str, str]]:
    """Write values as fields: lists and objects by brackets, as vendors' own packages do; null is left out."""
    return [item for name, value in fields.items() for item in _flat(name, value)]


def files_named(field: str, images: Sequence[InputImage]) -> list[FormFile]:
    """Images as files of a form, all under one name. A file needs a filename and the right type to be taken.

    The images are of EXTENSIONS.
    """
    stem = "image-{}" if len(images) > 1 else "image"
    return [_file(field, stem.format(number), image) for number, image in enumerate(images, start=1)]


def _file(name: str, stem: str, image: InputImage) -> FormFile:
    media_type = image.facts.media_type
    return FormFile(name, f"{stem}.{EXTENSIONS[media_type]}", media_type, image.data)


def _flat(name: str, value: JsonValue) -> list[tuple[str, str]]:
    match value:
        case None:
            return []
        case bool():
            return [(name, "true" if value else "false")]
        case dict():
            return [item for key, inner in value.items() for item in _flat(f"{name}[{key}]", inner)]
        case list():
            return [item for inner in value for item in _flat(f"{name}[]", inner)]
        case _:
            return [(name, str(value))]
