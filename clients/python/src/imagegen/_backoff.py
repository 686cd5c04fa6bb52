"""How long to wait before a broken connection is tried again, and how often."""

from __future__ import annotations

import random
from typing import Final

DELAYS: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0)
"""Seconds before each try after a break. With the last one failed, the break stands."""


class Backoff:
    """Counts the tries since something was last received."""

    def __init__(self) -> None:
        """Begin with all tries left."""
        self._tries = 0

    def renew(self) -> None:
        """Something was received: the next break is a new one."""
        self._tries = 0

    def next_delay(self) -> float | None:
        """Seconds to wait before the next try. None = there were enough."""
        if self._tries == len(DELAYS):
            return None
        delay = DELAYS[self._tries]
        self._tries += 1
        # Clients whose connections broke at the same moment shall not come back at the same moment.
        return random.uniform(delay / 2, delay)  # noqa: S311 - no secret
