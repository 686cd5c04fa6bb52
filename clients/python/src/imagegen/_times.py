"""Times and durations of the API as Python's own values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NANOS_A_MICROSECOND: Final = 1000
_NANOS_A_SECOND: Final = 1_000_000_000


def time_in(message: Message, name: str) -> datetime | None:
    """The time in a field, in UTC; None = not told, or none that a datetime can hold."""
    if not message.HasField(name):
        return None
    told: Timestamp = getattr(message, name)
    try:
        # Timestamp.ToDatetime() takes ten times as long.
        return _EPOCH + timedelta(seconds=told.seconds, microseconds=told.nanos // _NANOS_A_MICROSECOND)
    except OverflowError:
        return None


def seconds_in(message: Message, name: str) -> float | None:
    """The duration in a field, in seconds; None = not told."""
    if not message.HasField(name):
        return None
    told: Duration = getattr(message, name)
    return told.seconds + told.nanos / _NANOS_A_SECOND
