"""Times and durations of the API as Python's own values."""

from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from imagegen._times import seconds_in, time_in
from imagegen.v1 import image_pb2

EARLIEST, LATEST = -62135596800, 253402300799
"""The seconds of the first day of year 1 and of the last second of year 9999."""


def image(**time: int) -> image_pb2.Image:
    """An image that expires then."""
    return image_pb2.Image(expire_time=Timestamp(**time))


@given(seconds=st.integers(EARLIEST, LATEST), nanos=st.integers(0, 999_999_999))
def test_a_time_is_what_protobuf_says(seconds: int, nanos: int) -> None:
    """Every time that a Timestamp may hold is the one that protobuf's own conversion gives."""
    message = image(seconds=seconds, nanos=nanos)

    assert time_in(message, "expire_time") == message.expire_time.ToDatetime(tzinfo=UTC)


@pytest.mark.parametrize("seconds", [LATEST + 1, EARLIEST - 1, 2**63 - 1, -(2**63)])
def test_a_time_that_there_is_not(seconds: int) -> None:
    """A time that no datetime holds is one that was not told: it costs nobody an image."""
    assert time_in(image(seconds=seconds), "expire_time") is None


def test_what_was_not_told() -> None:
    """An unset field is None, and a set one that is zero is the time zero."""
    assert time_in(image_pb2.Image(), "expire_time") is None
    assert time_in(image(), "expire_time") == datetime(1970, 1, 1, tzinfo=UTC)
    assert seconds_in(image_pb2.Attempt(), "duration") is None


@given(seconds=st.integers(-(10**9), 10**9), nanos=st.integers(0, 999_999_999))
def test_a_duration_in_seconds(seconds: int, nanos: int) -> None:
    """A duration is its seconds, to the microsecond at least."""
    message = image_pb2.Attempt(duration=Duration(seconds=seconds, nanos=nanos))

    assert seconds_in(message, "duration") == pytest.approx(message.duration.ToNanoseconds() / 1e9, abs=1e-6)


def test_a_duration_beyond_all_bounds() -> None:
    """The largest number that can be sent is a number, not an error."""
    assert seconds_in(image_pb2.Attempt(duration=Duration(seconds=2**63 - 1)), "duration") == float(2**63 - 1)
