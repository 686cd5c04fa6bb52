"""An image as the base64 text that a vendor sent."""

import re
from dataclasses import dataclass

import pybase64

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.image import MAX_IMAGE_BYTES

_DATA_URL = re.compile(rb"data:[^,]*;base64,", re.IGNORECASE)
_WHITESPACE = b" \t\n\r\f\v"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image whose base64 text is not decoded yet.

    `text` may be a view of the whole answer, which stays in memory until this is dropped.
    """

    text: memoryview

    @property
    def encoded_length(self) -> int:
        """How long the text is, in characters (bytes, should it not be ASCII). The image has about three quarters."""
        return len(self.text)

    def decode(self) -> bytes:
        """Decode the text; nothing in it is skipped but ASCII whitespace. No text is no bytes.

        Taken are base64 and base64url (RFC 4648 sections 4 and 5), with padding or without, and both as a data URL
        (RFC 2397). Text without padding that ends within a byte was cut, and is refused.

        :raises ImageError: INVALID_RESPONSE, when it is no base64 or the image has more than MAX_IMAGE_BYTES. The
            size is known before anything is decoded.
        """
        # A third more for base64, and some more for line breaks and the head of a data URL.
        if self.encoded_length > MAX_IMAGE_BYTES * 3 // 2:
            raise _too_large()
        try:
            return _decode(self.text)
        except (ValueError, ImageError):
            pass  # an image that seems too large may be one with line breaks
        try:
            return _decode_leniently(bytes(self.text))
        except ValueError:
            pass
        raise ImageError(Reason.INVALID_RESPONSE, "An image in the provider's answer is no base64.")


def _decode(text: bytes | memoryview) -> bytes:
    data_length = len(text) // 4 * 3 - bytes(text[-2:]).count(b"=")
    if data_length > MAX_IMAGE_BYTES:
        raise _too_large()
    return pybase64.b64decode(text, validate=True)


def _decode_leniently(text: bytes) -> bytes:
    text = text.strip(_WHITESPACE)
    if head := _DATA_URL.match(text):
        text = text[head.end() :]
    text = text.translate(_URL_SAFE, _WHITESPACE)
    missing = -len(text) % 4
    data = _decode(text + b"=" * missing)
    if missing and not pybase64.b64encode(data[-(len(data) % 3) :]).startswith(text[len(text) // 4 * 4 :]):
        raise ValueError
    return data


def _too_large() -> ImageError:
    return ImageError(
        Reason.INVALID_RESPONSE,
        f"An image in the provider's answer has more than {MAX_IMAGE_BYTES} bytes.",
    )
