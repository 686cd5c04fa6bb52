"""Answers of vendors that are read as a whole."""

from typing import Any

import httpx
import pytest
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.http.answer import Answer
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.http.image_json import EncodedImage
from imagegen_server.http.whole_answer import read_images, read_list

HOST = "vendor.example"
KEYS = frozenset({"b64_json"})


class Cut(httpx.AsyncByteStream):
    """A body whose connection breaks behind it."""

    def __init__(self, data: bytes) -> None:
        """Have what comes before."""
        self._data = data

    async def __aiter__(self) -> Any:
        """Yield it, and break."""
        yield self._data
        raise httpx.ReadError("reset")


def answered(body: bytes, status: int = 200, *, cut: bool = False) -> tuple[Answer, ErrorContext]:
    """Make an answer, and what it is read with."""
    content: Any = Cut(body) if cut else body
    response = httpx.Response(status, headers={"content-type": "application/json"}, content=None)
    response.stream = content if cut else httpx.ByteStream(body)
    return Answer(response, HOST), ErrorContext("p", HOST, status, response.headers, "", "")


def refused(context: ErrorContext, body: bytes) -> ImageError:
    """Read a refusal."""
    return context.told(Reason.AUTHENTICATION_FAILED, body.decode())


@pytest.mark.parametrize("cut", [False, True])
async def test_images_of_whole_json(cut: bool) -> None:
    """They are there, also when the connection broke behind the last byte."""
    payload = await read_images(*answered(b'{"data":[{"b64_json":"aGk="}]}', cut=cut), KEYS, 1)

    data: Any = payload["data"]
    assert isinstance(data[0]["b64_json"], EncodedImage)
    assert data[0]["b64_json"].decode() == b"hi"


@pytest.mark.parametrize(
    ("body", "cut", "reason"),
    [
        (b'{"data":[{"b64_json":"aG', False, Reason.INVALID_RESPONSE),
        (b'{"data":[{"b64_json":"aG', True, Reason.NETWORK_ERROR),
        (b"[]", False, Reason.INVALID_RESPONSE),
        (b"", False, Reason.INVALID_RESPONSE),
    ],
)
async def test_no_images(body: bytes, cut: bool, reason: Reason) -> None:
    """What broke the answer off is told before what it looks like."""
    with pytest.raises(ImageError) as raised:
        await read_images(*answered(body, cut=cut), KEYS, 1)
    assert raised.value.reason is reason


async def test_a_list() -> None:
    """It is what the reader makes of it."""
    names = await read_list(*answered(b'{"data":["a","b"]}'), refused, lambda page: page["data"], most_bytes=100)

    assert names == ["a", "b"]


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b"7", b"null", b"[" * 100_000])
async def test_a_list_over_which_the_reader_stumbles(body: bytes) -> None:
    """It cannot be read, and that is said."""
    with pytest.raises(ImageError, match="a list of models that cannot be read") as raised:
        await read_list(*answered(body), refused, lambda page: page["data"].copy(), most_bytes=200_000)
    assert raised.value.reason is Reason.INVALID_RESPONSE


async def test_a_list_that_is_refused_or_too_long() -> None:
    """The vendor's own words, or the limit."""
    with pytest.raises(ImageError, match="no key") as raised:
        await read_list(*answered(b"no key", 401), refused, list, most_bytes=100)
    assert raised.value.reason is Reason.AUTHENTICATION_FAILED
    with pytest.raises(ImageError, match="longer than 5 bytes"):
        await read_list(*answered(b'["a","b"]'), refused, list, most_bytes=5)
