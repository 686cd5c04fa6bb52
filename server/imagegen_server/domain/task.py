"""What is asked for: portable options, and the task that a provider gets."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum

from .image import InputImage
from .json import JsonObject

MAX_SIDE = 16_384
"""Pixels of the longest side that can be asked for."""

MAX_COMPRESSION = 100
MAX_PREVIEWS = 16
"""Most previews of one image that can be asked for."""


class Operation(Enum):
    """What to do."""

    GENERATE = "generate"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        """As capabilities and vendors write it: 1024x768."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Options:
    """Portable wishes, named as in the proto message ImageOptions. None = not said."""

    count: int | None = None
    size: PixelSize | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    quality: str | None = None
    background: str | None = None
    format: str | None = None
    compression: int | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    preview_count: int | None = None

    def given(self) -> list[str]:
        """Names of the options that were said, in declaration order."""
        return [item.name for item in fields(self) if getattr(self, item.name) is not None]


@dataclass(frozen=True, slots=True)
class RetryWish:
    """What may be done again or elsewhere, as the proto message RetryPolicy says it."""

    fallback_models: tuple[str, ...] = ()
    retry_ambiguous: bool = False
    fallback_on_content_filtered: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One provider request: everything that a provider needs to know.

    `model` is the provider's own id, without the provider's name. `options` holds only what the model's capabilities
    list; its `count` and `preview_count` are never None here and already fit the model. `params` are the provider's
    own parameters as JSON, to be sent unmodified. `usual_size` is what an adapter expects of a model that chooses the
    size itself, so that no more memory is set aside than such a picture takes. `strict`: what would not be done as
    asked shall be refused; the server sees to it as far as it knows the model. `retry` is what the caller allows, for
    providers that ask further ones.
    """

    operation: Operation
    model: str
    prompt: str
    options: Options
    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    params: JsonObject = dataclasses.field(default_factory=dict)
    usual_size: PixelSize | None = None
    strict: bool = False
    retry: RetryWish = RetryWish()

    @property
    def count(self) -> int:
        """Images wanted from this request."""
        return self.options.count or 1

    @property
    def preview_count(self) -> int:
        """Previews wanted per image."""
        return self.options.preview_count or 0


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An input image whose bytes are elsewhere: at a URL, or in the store. Exactly one of `url` and `image_id` is set.

    `field` is its path in the request ("input.images[1]", "input.mask"); `position` counts the input images from 0,
    None = the mask. `metadata` as in InputImage.
    """

    field: str
    position: int | None
    url: str = ""
    image_id: str = ""
    metadata: Mapping[str, JsonObject] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asked for, before it is held against a model.

    `model` as the caller wrote it; `params` by provider name or type. `preview_default` is what an unset
    options.preview_count means in the form that was called; without `previews_shown` that form can show none.
    `references` are the inputs that must be fetched first: an empty image stands in their place until then.
    """

    operation: Operation
    model: str
    prompt: str
    options: Options
    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    params: Mapping[str, JsonObject] = dataclasses.field(default_factory=dict)
    strict: bool = False
    preview_default: int = 0
    previews_shown: bool = True
    retry: RetryWish = RetryWish()
    references: tuple[ImageReference, ...] = ()

    @property
    def input_bytes(self) -> int:
        """Bytes of all images that came with it."""
        return sum(len(image.data) for image in self.images) + (len(self.mask.data) if self.mask else 0)
