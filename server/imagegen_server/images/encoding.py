"""Pictures in memory to image files, for providers that draw themselves."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("png", "jpeg", "webp")
"""What can be written, by the names of options.format."""

USUAL_QUALITY = 90
"""Of JPEG and WebP, from 0 to 100, where none was asked for."""

_PNG_EFFORT = 2
"""Of zlib, 1 to 9: on photographic content 3 takes half as long again for 5 %, 6 four times as long for 10 %."""

_WEBP_EFFORT = 2
"""Of libwebp, 0 to 6: 4 takes three times as long for 8 %."""


def encode(image: "Image", file_format: str, quality: int | None = None) -> bytes:
    """Write a picture as one of FORMATS.

    `quality` is 0 to 100; PNG is lossless and takes none. JPEG holds no transparency: the picture is laid on white.

    :raises ValueError: another format
    """
    file = io.BytesIO()
    quality = USUAL_QUALITY if quality is None else quality
    if file_format == "png":
        image.save(file, "PNG", compress_level=_PNG_EFFORT)
    elif file_format == "jpeg":
        # libjpeg counts from 1.
        _opaque(image).save(file, "JPEG", quality=max(quality, 1))
    elif file_format == "webp":
        image.save(file, "WEBP", quality=quality, method=_WEBP_EFFORT)
    else:
        raise ValueError(f"no writer for {file_format!r}; there is one for {', '.join(FORMATS)}")
    return file.getvalue()


def _opaque(image: "Image") -> "Image":
    if not image.has_transparency_data:
        return image if image.mode in {"L", "RGB"} else image.convert("RGB")
    from PIL import Image as pillow  # noqa: N813, PLC0415 - imported on first use

    image = image.convert("RGBA")
    ground = pillow.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground
