"""How soon a worker is started again."""

from random import Random

import pytest
from imagegen_server.workers.pace import FIRST_SECONDS, HEALTHY_SECONDS, LONGEST_SECONDS, RestartPace


class Edge(Random):
    """Chance at one end of its range."""

    def __init__(self, *, last: bool) -> None:
        super().__init__()
        self.last = last

    def uniform(self, a: float, b: float) -> float:
        """Return one end."""
        return b if self.last else a


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    """A worker that cannot stay is tried less and less often, and never given up."""
    pace = RestartPace(Edge(last=True))

    waits = [pace.wait_after(0.0) for _ in range(9)]

    assert waits == [min(FIRST_SECONDS * 2**times, LONGEST_SECONDS) for times in range(9)]
    assert waits[-1] == LONGEST_SECONDS


@pytest.mark.parametrize(("last", "share"), [(False, 0.5), (True, 1.0)])
def test_waits_are_spread(last: bool, share: float) -> None:
    """Workers that ended together do not come back together; at least half of the wait is kept."""
    assert RestartPace(Edge(last=last)).wait_after(0.0) == FIRST_SECONDS * share


def test_a_healthy_while_begins_anew() -> None:
    """Who served for a while is started soon; who did not served too short."""
    pace = RestartPace(Edge(last=True))
    for _ in range(5):
        pace.wait_after(HEALTHY_SECONDS - 1)

    assert pace.wait_after(HEALTHY_SECONDS) == FIRST_SECONDS
    assert pace.wait_after(0.0) == 2 * FIRST_SECONDS
