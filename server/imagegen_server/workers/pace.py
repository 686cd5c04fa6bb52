"""How soon a worker that ended is started again."""

from random import Random

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""A worker that served for so long ended for a new reason."""


class RestartPace:
    """Waits longer from one early end to the next, and differently in each worker."""

    def __init__(self, random: Random) -> None:
        """Spread the waits by `random`."""
        self._random = random
        self._longest = FIRST_SECONDS

    def wait_after(self, served: float) -> float:
        """Tell how many seconds to wait, after a worker that served for `served` seconds; 0 = it never did."""
        if served >= HEALTHY_SECONDS:
            self._longest = FIRST_SECONDS
        longest = self._longest
        self._longest = min(2 * longest, LONGEST_SECONDS)
        return longest * self._random.uniform(0.5, 1.0)
