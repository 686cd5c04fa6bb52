"""The base64 text of an image is read in every usual spelling, and never with a byte lost."""

import base64
import tracemalloc

import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http import encoded_image
from imagegen_server.http.encoded_image import EncodedImage


def _encoded(text: str | bytes) -> EncodedImage:
    return EncodedImage(memoryview(text.encode() if isinstance(text, str) else text))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("QUJD", b"ABC"),
        ("QUI=", b"AB"),
        ("QQ==", b"A"),
        ("QUI", b"AB"),
        ("QQ", b"A"),
        ("QQ=", b"A"),
        ("+/+/", b"\xfb\xff\xbf"),
        ("-_-_", b"\xfb\xff\xbf"),
        ("data:image/png;base64,QUJD", b"ABC"),
        ("DATA:image/svg+xml;charset=utf-8;BASE64,QQ", b"A"),
        (" data:;base64, QUJD ", b"ABC"),
        ("data:image/png;base64,", b""),
        ("QU\r\nJD\n", b"ABC"),
        (" Q U\tI = ", b"AB"),
        (" \n", b""),
    ],
)
def test_spellings_of_base64(text: str, data: bytes) -> None:
    """Every spelling that vendors use is read."""
    assert _encoded(text).decode() == data


@pytest.mark.parametrize(
    "text",
    [
        *("Q", "QUJDR", "=", "==", "====", "QUJD=", "QUJD====", "QUI==", "Q===", "QUI=QUI=", "QQ==QUJD", "QU=I"),
        *("QUJ", "QR", "QR="),  # ends within a byte: something was there
        *("QUJD!", "QU!JD", "QU.JD", "QU,JD", "é", "QUJD\0", "QUJD\xa0", "QUJD\u2028", "not base64"),
        *("https://example.com/a.png", "data:image/png,QUJD", "data:image/png;base64", "xdata:;base64,QUJD"),
        "data:;base64,data:;base64,QUJD",
    ],
)
def test_what_is_no_base64_is_refused(text: str) -> None:
    """Nothing is skipped: an odd character is an error, and never shorter bytes."""
    with pytest.raises(ImageError, match="is no base64") as caught:
        _encoded(text).decode()

    assert caught.value.reason is Reason.INVALID_RESPONSE
    assert text not in caught.value.message


def test_an_image_can_be_decoded_again() -> None:
    """Decoding uses nothing up."""
    encoded = _encoded("QUJD")

    assert encoded.decode() == encoded.decode() == b"ABC"


def test_an_image_is_not_shown() -> None:
    """What is written into a log is no picture."""
    assert "QUJD" not in repr(_encoded("QUJD"))
    assert "QUJD" not in str(_encoded("QUJD").text)


@pytest.mark.parametrize("size", [300, 301, 302])
@pytest.mark.parametrize("wrap", ["{}", "{}\n", "data:image/png;base64,{}"])
def test_the_cap_is_exact(monkeypatch: pytest.MonkeyPatch, size: int, wrap: str) -> None:
    """The largest image allowed is read however it is spelled, and one byte more is refused."""
    monkeypatch.setattr(encoded_image, "MAX_IMAGE_BYTES", size)
    for length in (size, size + 1):
        data = bytes(length)
        for text in (base64.b64encode(data).decode(), base64.b64encode(data).decode().rstrip("=")):
            encoded = _encoded(wrap.format(text))
            if length == size:
                assert encoded.decode() == data
            else:
                with pytest.raises(ImageError, match="more than") as caught:
                    encoded.decode()
                assert caught.value.reason is Reason.INVALID_RESPONSE


def test_far_too_much_is_refused_before_memory_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusing takes no memory that grows with the text, base64 or not."""
    monkeypatch.setattr(encoded_image, "MAX_IMAGE_BYTES", 1_000_000)
    for text in (b"A" * 4_000_000, b"!" * 4_000_000):
        encoded = _encoded(text)
        tracemalloc.start()
        try:
            with pytest.raises(ImageError, match="more than 1000000 bytes"):
                encoded.decode()
            assert tracemalloc.get_traced_memory()[1] < 500_000
        finally:
            tracemalloc.stop()
