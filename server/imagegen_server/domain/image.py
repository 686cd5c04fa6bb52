"""Images as bytes with the facts that the bytes tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .json import JsonObject

MAX_IMAGE_BYTES = 64 * 1024 * 1024
"""Hard cap for one image, in or out."""

UNRECOGNISED = "application/octet-stream"
"""The media type of bytes that are no image we know."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header of an image file tells. Width and height in pixels; None = not told."""

    media_type: str
    width: int | None
    height: int | None
    alpha: bool
    """The file can hold transparency (not: uses it)."""


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image that a caller gave. `metadata` is a provider's own, by provider name, from an earlier result."""

    data: bytes
    facts: ImageFacts
    metadata: Mapping[str, JsonObject] = field(default_factory=dict)


UNREADABLE = InputImage(b"", ImageFacts(UNRECOGNISED, None, None, alpha=False))
"""Stands in the place of an input that is not there, or not yet."""
