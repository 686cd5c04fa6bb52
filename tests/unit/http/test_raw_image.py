"""Which answers are a picture themselves."""

import io

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.raw_image import picture_in
from PIL import Image

from tests.support.pictures import encoded, png

CONTEXT = ErrorContext("vendor", "vendor.example", 200, {"x-request-id": "req-1"}, "", "")
FAULT = ImageError(Reason.NETWORK_ERROR, "it broke")
KINDS = ["PNG", "JPEG", "WEBP", "GIF"]


def picture(kind: str) -> bytes:
    """Draw something."""
    return encoded(Image.new("RGB", (16, 16), "teal"), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("media_type", ["image/png", "application/octet-stream", "", "application/json"])
def test_the_bytes_decide_what_is_a_picture(kind: str, media_type: str) -> None:
    """Whatever the answer calls them; they are handed on as they are."""
    assert picture_in(picture(kind), media_type, CONTEXT) == picture(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_came_whole_is_not_lost(kind: str) -> None:
    """Though the connection broke behind its last byte."""
    assert picture_in(picture(kind), "image/png", CONTEXT, FAULT) == picture(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_was_cut_is_none(kind: str) -> None:
    """What broke the answer off is told."""
    with pytest.raises(ImageError) as caught:
        picture_in(picture(kind)[:-3], f"image/{kind.lower()}", CONTEXT, FAULT)

    assert caught.value is FAULT


def test_a_type_that_does_not_tell_its_end_is_not_trusted() -> None:
    """After a break nobody knows whether it is whole."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "BMP")
    with pytest.raises(ImageError) as caught:
        picture_in(file.getvalue(), "image/bmp", CONTEXT, FAULT)

    assert caught.value is FAULT


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", bytes(range(256))])
def test_what_is_called_a_picture_and_is_none_is_invalid(body: bytes) -> None:
    """With the vendor's id of the request."""
    with pytest.raises(ImageError) as caught:
        picture_in(body, "image/png", CONTEXT)

    assert (caught.value.reason, caught.value.provider_request_id) == (Reason.INVALID_RESPONSE, "req-1")
    assert "image/png" in caught.value.message


@pytest.mark.parametrize("media_type", ["application/json", "text/html", "application/octet-stream", ""])
def test_anything_else_is_left_to_others(media_type: str) -> None:
    """JSON above all."""
    assert picture_in(b'{"image": ""}', media_type, CONTEXT) is None
    assert picture_in(png()[:4], media_type, CONTEXT) is None
