"""What a request has beside its images, counted before it is parsed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen.v1 import image_pb2, image_service_pb2
from imagegen_server.rpc import wire
from imagegen_server.rpc.wire import EDIT_REQUEST, MAX_BESIDE_IMAGES, bytes_beside_images

from tests.support.calls import edit


@given(st.lists(st.binary(max_size=300), max_size=5), st.binary(max_size=300), st.text(max_size=50))
def test_all_but_the_image_bytes_are_counted(images: list[bytes], mask: bytes, prompt: str) -> None:
    """The count is the length of the message less the bytes of its images, however few they are."""
    request = edit(*images, mask=mask, params={"test": {"a": [1, {"b": prompt}]}})
    data = request.SerializeToString()
    carried = sum(len(source.data) for source in request.input.images) + len(request.input.mask.data)

    beside = bytes_beside_images(data, EDIT_REQUEST)
    assert beside == len(data) - carried


@given(st.binary(max_size=400))
def test_any_bytes_are_counted_without_harm(data: bytes) -> None:
    """Bytes that are no message never raise, and never count as less than nothing or more than they are."""
    assert 0 <= bytes_beside_images(data, EDIT_REQUEST) <= len(data)


@pytest.mark.parametrize("tiny", [b"\x9a\x06\x00", b"\x12\x02\x12\x00"])
def test_counting_stops_when_there_is_too_much(tiny: bytes) -> None:
    """Tens of megabytes of tiny fields, unknown ones or empty images, are not walked to their end."""
    data = tiny * (30_000_000 // len(tiny))
    start = time.monotonic()

    assert bytes_beside_images(data, EDIT_REQUEST) > MAX_BESIDE_IMAGES
    assert time.monotonic() - start < 30


def test_large_images_are_no_burden() -> None:
    """A request may carry tens of megabytes of images."""
    source = image_pb2.ImageSource(data=bytes(40_000_000))
    request = image_service_pb2.EditRequest(input=image_pb2.ImageEditInput(prompt="a", images=[source]))

    assert bytes_beside_images(request.SerializeToString(), EDIT_REQUEST) < 100


def test_very_many_fields_are_not_walked() -> None:
    """A request of the smallest fields is counted whole, soon."""
    data = b"\x98\x06\x01" * (wire._MOST_FIELDS + 1)

    assert bytes_beside_images(b"\x12\x00" + data, EDIT_REQUEST) == len(data) + 2
    assert bytes_beside_images(data[3:], EDIT_REQUEST) == len(data) - 3
