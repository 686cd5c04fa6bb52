"""What the fake of Replicate makes of an input: what is wrong with it, in the vendor's form, and what fails later."""

import base64
import binascii
import io
import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from PIL import Image

from .replicate_models import MODELS
from .vendor import RefusalError

_DATA_URL = re.compile(r"data:image/(png|jpeg|webp|gif);base64,(.+)")
_MOST_INSIDE = 256 * 1024


def problem(status: int, detail: str, title: str = "", **more: Any) -> RefusalError:
    """Make a refusal in the vendor's form."""
    return RefusalError(status, ({"title": title} if title else {}) | {"detail": detail, "status": status} | more)


def invalid(*fields: tuple[str, str, str]) -> RefusalError:
    """Make the refusal of inputs: the kind, the field, and what is wrong with it."""
    lines = [f"- {name}: {what}\n" if name else f"- {what}\n" for _, name, what in fields]
    listed = [{"type": kind, "field": name, "description": what} for kind, name, what in fields]
    return problem(422, "".join(lines), "Input validation failed", invalid_fields=listed)


def failure_of(prompt: str) -> str | None:
    """Tell with which words the drawing of some prompts fails."""
    if "forbidden" in prompt:
        return "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
    return "CUDA error: an illegal memory access was encountered" if "broken" in prompt else None


def check_input(model_id: str, given: object, files: Mapping[str, bytes], base_url: str) -> None:
    """Hold an input against the OpenAPI document of its model, and look at its images.

    :raises RefusalError: it is wrong
    """
    document = MODELS[model_id].document
    schema = {"$ref": "#/components/schemas/Input", "components": document["components"]}
    errors = sorted(Draft202012Validator(schema).iter_errors(given), key=lambda error: str(error.json_path))
    if errors:
        raise invalid(*map(_told, errors))
    assert isinstance(given, dict)
    for name, shape in MODELS[model_id].properties.items():
        if shape.get("format") == "uri" or shape.get("items", {}).get("format") == "uri":
            for url in [given[name]] if isinstance(given.get(name), str) else given.get(name, []):
                if not _is_image(url, files, base_url):
                    raise invalid(("format", f"input.{name}", "Does not match format 'uri'"))


def _told(error: ValidationError) -> tuple[str, str, str]:
    """Say what is wrong as the vendor does."""
    path = ".".join(["input", *map(str, error.absolute_path)])
    shape: dict[str, Any] = dict(error.schema) if isinstance(error.schema, Mapping) else {}
    if error.validator == "required":
        missing = re.match(r"'(\w+)'", error.message)
        return "required", path, f"{missing[1] if missing else ''} is required"
    if error.validator == "additionalProperties":
        unknown = re.search(r"'(\w+)' w", error.message)
        return "additional_property_not_allowed", path, f"Additional property {unknown and unknown[1]} is not allowed"
    if error.validator == "enum":
        listed = ", ".join(f'"{value}"' for value in shape["enum"])
        return "enum", path, f"{path.rpartition('.')[2]} must be one of the following: {listed}"
    kinds = {"maximum": ("number_lte", "Must be less than or equal to"), "minimum": ("number_gte", "Must be at least")}
    kind, words = kinds.get(str(error.validator), ("invalid_type", "Invalid type. Expected:"))
    return kind, path, f"{words} {error.validator_value}"


def _is_image(url: str, files: Mapping[str, bytes], base_url: str) -> bool:
    if url.startswith(f"{base_url}/files/"):
        data = files.get(url.rpartition("/")[2], b"")
        kind = None
    elif found := _DATA_URL.fullmatch(url):
        try:
            data, kind = base64.b64decode(found[2], validate=True), found[1].upper()
        except binascii.Error:
            return False
        if len(data) > _MOST_INSIDE:
            return False
    else:
        return False
    try:
        return Image.open(io.BytesIO(data)).format in ({kind} if kind else {"PNG", "JPEG", "WEBP", "GIF"})
    except OSError:
        return False
