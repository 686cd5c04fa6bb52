"""How long provider requests took lately."""

from collections import OrderedDict, deque
from statistics import median

from imagegen_server.domain.task import Operation

_FEWEST = 5
"""Requests that a median is told of."""
_MOST = 101
"""Requests that are remembered of one model."""
_MOST_MODELS = 1000


class Durations:
    """The last finished requests by "provider/model" and operation; those of longest ago go first."""

    def __init__(self) -> None:
        """Know nothing."""
        self._seconds: OrderedDict[tuple[str, Operation], deque[float]] = OrderedDict()

    def note(self, model: str, operation: Operation, seconds: float) -> None:
        """Remember how long a request took that did not fail."""
        key = (model, operation)
        self._seconds.setdefault(key, deque(maxlen=_MOST)).append(seconds)
        self._seconds.move_to_end(key)
        if len(self._seconds) > _MOST_MODELS:
            self._seconds.popitem(last=False)

    def usual(self, model: str, operation: Operation) -> float | None:
        """Tell the median in seconds; None = too few requests to tell."""
        seconds = self._seconds.get((model, operation), ())
        return median(seconds) if len(seconds) >= _FEWEST else None
