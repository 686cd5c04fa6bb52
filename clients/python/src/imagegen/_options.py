"""Portable wishes for an image, and how they are said in a call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias, TypedDict, cast

from imagegen._params import Params
from imagegen.v1 import image_pb2

Size: TypeAlias = tuple[int, int] | str
"""Width and height in pixels: `(1024, 768)` or `"1024x768"`."""

DeliveryMode: TypeAlias = Literal["inline", "reference"]
"""How bytes come back: with the answer, or as facts and an id that `client.read` turns into bytes."""

OnDisconnect: TypeAlias = Literal["cancel", "detach"]
"""What it means that every reader of a generation has gone away: it is stopped, or goes on and can be resumed."""

_SIZE: Final = re.compile(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*")  # noqa: RUF001 - people copy the multiplication sign


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """Portable wishes. None = the provider's own default.

    A wish that the model does not know comes back as a warning in the result, or is refused in a strict call.
    """

    count: int | None = None
    """Images wanted; unset = 1."""
    size: Size | None = None
    """Width and height in pixels, `(1024, 768)` or `"1024x768"`. Excludes `aspect_ratio` and `resolution`."""
    aspect_ratio: str | None = None
    """Width to height: "16:9"."""
    resolution: str | None = None
    """ "1K", "2K", "4K". May stand beside `aspect_ratio`."""
    quality: str | None = None
    """As the model names it: "low", "high"."""
    background: str | None = None
    """As the model names it: "transparent", "opaque"."""
    format: str | None = None
    """Without "image/": "png", "jpeg", "webp"."""
    compression: int | None = None
    """0 to 100, as the provider counts."""
    seed: int | None = None
    """Any 64-bit signed integer."""
    negative_prompt: str | None = None
    """What not to draw."""
    preview_count: int | None = None
    """Previews wanted per image, at most 16. Unset: 2 in stream forms, none in generate() and edit()."""


class _OptionFields(TypedDict, total=False):
    """The fields of `ImageOptions`, by name."""

    count: int | None
    size: Size | None
    aspect_ratio: str | None
    resolution: str | None
    quality: str | None
    background: str | None
    format: str | None
    compression: int | None
    seed: int | None
    negative_prompt: str | None
    preview_count: int | None


class CallSettings(_OptionFields, total=False):
    """What one call may say beside its prompt: each field of `ImageOptions` by its name, and these."""

    options: ImageOptions | None
    """Several wishes at once. A wish that is also said by its own name follows that."""
    params: Params | None
    """The provider's own parameters, by its configured name or its type."""
    strict: bool | None
    """Refuse, before anything is spent, what would be a warning."""
    delivery: DeliveryMode | None
    """"inline" (unset): bytes come with the answer. "reference": facts and an id, for `client.read`."""
    timeout: float | None
    """Seconds until the call is given up. None = that of the client."""
    resumable: bool | None
    """Read on by itself where the connection broke, also in the middle of an image, without buying twice."""
    request_id: str | None
    """Your own id for this wish, best a UUID. The same id and wish again joins the running generation or replays its
    result. Implies `on_disconnect="detach"`. Unset: made here if `resumable` or "detach" need one, else by the server.
    """
    on_disconnect: OnDisconnect | None
    """What it means that the reader has gone away. Unset: "detach" with a `request_id`, else "cancel"."""
    fallback_models: Sequence[str] | None
    """Models tried in this order when the provider fails, while nothing was accepted or shown, after those
    of the alias if `model` is one."""
    retry_ambiguous: bool | None
    """Repeat also an attempt that may have been billed. Unset = only if the server's configuration says so."""
    fallback_on_content_filtered: bool | None
    """Try the next model when this one's moderation refuses."""


def merge_options(*layers: ImageOptions | None) -> ImageOptions:
    """Lay options over each other: a later wish replaces an earlier one, None leaves it."""
    said = [layer for layer in layers if layer is not None and layer != NO_OPTIONS]
    if len(said) == 1:
        return said[0]
    wishes: _OptionFields = {}
    for layer in said:
        wishes.update(_said(layer))
    return ImageOptions(**wishes)


def options_in(settings: CallSettings) -> ImageOptions:
    """The options said in a call: those of `options`, with the ones said by their own names over them."""
    named = {name: wish for name, wish in settings.items() if name in _FIELDS and wish is not None}
    options = settings.get("options")
    return merge_options(options, ImageOptions(**cast("_OptionFields", named))) if named else options or NO_OPTIONS


def options_to_proto(options: ImageOptions) -> image_pb2.ImageOptions:
    """Turn options into what the request carries.

    Raises:
        ValueError: a size that is not two whole numbers, or a number that its field cannot hold. The text names it.
    """
    message = image_pb2.ImageOptions()
    for name, wish in _said(options).items():
        try:
            if name == "size":
                message.size.CopyFrom(_pixel_size(wish))
            else:
                setattr(message, name, wish)
        except (TypeError, ValueError) as error:
            raise ValueError(f"options.{name} cannot be {wish!r}: {error}") from error
    return message


NO_OPTIONS: Final = ImageOptions()
"""Nothing said."""
_FIELDS: Final = frozenset(field.name for field in fields(ImageOptions))


def _said(options: ImageOptions) -> _OptionFields:
    wishes = {name: getattr(options, name) for name in _FIELDS}
    return cast("_OptionFields", {name: wish for name, wish in wishes.items() if wish is not None})


def _pixel_size(size: object) -> image_pb2.PixelSize:
    match size:
        case str() if (found := _SIZE.fullmatch(size)) is not None:
            return image_pb2.PixelSize(width=int(found[1]), height=int(found[2]))
        case (int(width), int(height)):
            return image_pb2.PixelSize(width=width, height=height)
        case _:
            raise ValueError('a size is (width, height) or "1024x768"')
