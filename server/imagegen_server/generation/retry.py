"""When a request to a provider is repeated."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from imagegen_server.domain.errors import ImageError, Reason

StrategyName = Literal["exponential", "linear", "retry_after", "token_bucket", "none"]

_REPEATING_CAN_HELP = frozenset(
    {
        Reason.RATE_LIMITED,
        Reason.PROVIDER_UNAVAILABLE,
        Reason.NETWORK_ERROR,
        Reason.TIMEOUT,
        Reason.PROVIDER_ERROR,
        Reason.INVALID_RESPONSE,
    }
)

_MOST_DOUBLINGS = 64
"""More of them change nothing: whatever `base_delay` is, `max_delay` has been reached."""

_TOKENS_AFTER_A_LIMIT = 2
"""A bucket that was limited all the same waits for as long as this many requests take."""


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How often and when a request is repeated.

    `max_attempts` counts requests in all, the first included. `base_delay` and `max_delay` are in seconds. `ambiguous`:
    also what may have been billed is repeated. `capacity` (requests that may go at once) and `per_second` belong to
    "token_bucket".
    """

    strategy: StrategyName = "exponential"
    max_attempts: int = 3
    base_delay: float = 1.0
    max_delay: float = 30.0
    ambiguous: bool = False
    capacity: int = 10
    per_second: float = 1.0


class RetryStrategy(ABC):
    """Decides by the reason of a failure when the next request may go. Money is the business of who asks.

    Holds for one provider, whatever the number of its calls.
    """

    def __init__(self, settings: RetrySettings) -> None:
        """Take over what the settings say."""
        self.max_attempts = settings.max_attempts
        self.ambiguous = settings.ambiguous
        self._base_delay = settings.base_delay
        self._max_delay = settings.max_delay

    def before_request(self) -> float:
        """Reserve the place of a request that is to be sent; tells in how many seconds it may go."""
        return 0.0

    def give_back(self) -> None:  # noqa: B027 - most hold nothing back
        """Undo the last `before_request`: the request was not sent."""

    def delay(self, error: ImageError, attempt: int) -> float | None:
        """Tell in how many seconds the next request may go, after the `attempt`-th (from 1) failed with `error`.

        At least what the provider asked for. None: do not repeat, because that cannot help, or enough was tried, or the
        provider asks for more than `max_delay`, which the caller should rather hear than sit out.
        """
        asked = error.retry_after or 0.0
        if attempt >= self.max_attempts or asked > self._max_delay or not self._repeats(error):
            return None
        return max(asked, min(self._own_delay(attempt), self._max_delay))

    def _repeats(self, error: ImageError) -> bool:
        """Tell whether repeating can help."""
        return error.reason in _REPEATING_CAN_HELP

    @abstractmethod
    def _own_delay(self, attempt: int, /) -> float:
        """Tell the delay by this strategy alone, in seconds."""


class ExponentialBackoff(RetryStrategy):
    """Twice as long each time. Between half of that and all of it, so that those who failed together part."""

    def __init__(self, settings: RetrySettings, random: Random) -> None:
        """Spread delays by `random`."""
        super().__init__(settings)
        self._random = random

    def _own_delay(self, attempt: int, /) -> float:
        longest = min(self._base_delay * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS), self._max_delay)
        return longest * self._random.uniform(0.5, 1.0)


class LinearBackoff(RetryStrategy):
    """Longer by the same each time."""

    def _own_delay(self, attempt: int, /) -> float:
        return self._base_delay * attempt


class RetryAfter(RetryStrategy):
    """When the provider says, and only if it asks to be called again; `base_delay` at least."""

    def _repeats(self, error: ImageError) -> bool:
        return error.reason is Reason.RATE_LIMITED or (error.retry_after is not None and super()._repeats(error))

    def _own_delay(self, _attempt: int, /) -> float:
        return self._base_delay


class TokenBucket(RetryStrategy):
    """Keeps to a rate, so that there are no limits to run into; repeats if there are all the same.

    Only time refills it. A request takes its token ahead of time if there is none, and waits until it would be there.
    """

    def __init__(self, settings: RetrySettings, clock: Callable[[], float]) -> None:
        """Start full. `clock` tells seconds and never goes back."""
        super().__init__(settings)
        self._capacity = float(settings.capacity)
        self._per_second = settings.per_second
        self._clock = clock
        self._tokens = self._capacity
        self._counted_at = clock()

    def before_request(self) -> float:
        """Take a token; tells in how many seconds it is there."""
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_second)

    def give_back(self) -> None:
        """Put the token back."""
        self._tokens = min(self._capacity, self._tokens + 1)

    def _repeats(self, error: ImageError) -> bool:
        return error.reason is Reason.RATE_LIMITED

    def _own_delay(self, _attempt: int, /) -> float:
        return _TOKENS_AFTER_A_LIMIT / self._per_second


def strategy_of(
    settings: RetrySettings, *, clock: Callable[[], float] = time.monotonic, random: Random | None = None
) -> RetryStrategy:
    """Make the strategy that the settings name; "none" sends one request. `clock` and `random` are for tests."""
    match settings.strategy:
        case "exponential":
            return ExponentialBackoff(settings, random or Random())  # noqa: S311 - spreads load, hides nothing
        case "linear":
            return LinearBackoff(settings)
        case "retry_after":
            return RetryAfter(settings)
        case "token_bucket":
            return TokenBucket(settings, clock)
        case "none":
            return LinearBackoff(replace(settings, max_attempts=1))
