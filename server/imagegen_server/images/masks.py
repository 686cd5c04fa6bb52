"""Masks of edits: one convention in, each provider's own out.

A caller's mask is transparent where the picture may change; a mask without any transparency is white there. Both may
have steps in between. Here a mask is one channel, its coverage: 255 = may change, 0 = must stay.
"""

import io
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .decoding import MOST_PIXELS, decode

if TYPE_CHECKING:
    from PIL.Image import Image


class Selection(Enum):
    """How much of the picture a mask lets change."""

    NOTHING = "nothing"
    PART = "part"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Mask:
    """Where a picture may change: one byte a pixel, row by row from the top left, 255 = may change."""

    width: int
    height: int
    coverage: bytes

    def selects(self) -> Selection:
        """Tell whether the mask makes a difference. A trace of coverage is already part."""
        if self.coverage.count(0) == len(self.coverage):
            return Selection.NOTHING
        return Selection.EVERYTHING if self.coverage.count(255) == len(self.coverage) else Selection.PART

    def image(self) -> "Image":
        """The coverage as a Pillow image of mode L."""
        from PIL import Image as pillow  # noqa: N813, PLC0415 - imported on first use

        return pillow.frombytes("L", (self.width, self.height), self.coverage)


def read_mask(data: bytes, *, most_pixels: int = MOST_PIXELS) -> Mask:
    """Read a PNG, JPEG, WebP or GIF as a mask.

    :raises UnreadableImage: as `decode`
    """
    return _mask_of(decode(data, most_pixels=most_pixels))


def as_alpha_png(data: bytes) -> bytes:
    """Make a mask a PNG with an alpha channel, transparent where the picture may change; such a one stays as it is.

    :raises UnreadableImage: as `decode`
    """
    image = decode(data)
    # Transparency without a channel of its own (of a palette, of one colour) is not what vendors mean by it.
    if image.format == "PNG" and image.mode in ("RGBA", "LA") and _transparency(image) is not None:
        return data
    return to_alpha_png(_mask_of(image))


def to_alpha_png(mask: Mask) -> bytes:
    """Write an RGBA PNG that is transparent where the picture may change, black and opaque elsewhere."""
    from PIL import Image as pillow  # noqa: N813, PLC0415 - imported on first use

    black = pillow.new("L", (mask.width, mask.height), 0)
    return _png(pillow.merge("RGBA", (black, black, black, _inverted(mask.image()))))


def to_white_png(mask: Mask) -> bytes:
    """Write a greyscale PNG that is white where the picture may change."""
    return _png(mask.image())


def to_black_png(mask: Mask) -> bytes:
    """Write a greyscale PNG that is black where the picture may change."""
    return _png(_inverted(mask.image()))


def _mask_of(image: "Image") -> Mask:
    coverage = _transparency(image) or _whiteness(image)
    return Mask(image.width, image.height, coverage.tobytes())


def _transparency(image: "Image") -> "Image | None":
    """How transparent each pixel is; None where none of them is."""
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else _inverted(alpha)


def _whiteness(image: "Image") -> "Image":
    return image.convert("RGB" if image.has_transparency_data else "L").convert("L")


def _inverted(image: "Image") -> "Image":
    from PIL import ImageChops  # noqa: PLC0415 - imported on first use

    return ImageChops.invert(image)


def _png(image: "Image") -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
