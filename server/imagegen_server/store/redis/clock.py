"""The clock of Redis, as one process knows it."""

import time
from datetime import UTC, datetime

from .connection import Connection


class RedisClock:
    """Tells the time also while Redis is away. Until Redis was asked for the first time it is this machine's."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is sent yet."""
        self._connection = connection
        self._start = time.time() - time.monotonic()
        """What Redis' clock showed when the monotonic one showed 0."""

    async def look(self) -> None:
        """Ask Redis.

        :raises ImageError: STORE_UNAVAILABLE
        """
        seconds, microseconds = await self._connection.ask("TIME")
        self._start = int(seconds) + int(microseconds) / 1_000_000 - time.monotonic()

    def now(self) -> datetime:
        """Tell the time, as exactly as Redis answered fast."""
        return datetime.fromtimestamp(self._start + time.monotonic(), UTC)
