"""When a request is repeated: by the reason, by what the provider asks, and within the limits."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.retry import RetrySettings, RetryStrategy, StrategyName, strategy_of

NAMES: list[StrategyName] = ["exponential", "linear", "retry_after", "token_bucket", "none"]
REPEATED = {
    Reason.RATE_LIMITED,
    Reason.PROVIDER_UNAVAILABLE,
    Reason.NETWORK_ERROR,
    Reason.TIMEOUT,
    Reason.PROVIDER_ERROR,
    Reason.INVALID_RESPONSE,
}


class Clock:
    """Tells the time that the test sets."""

    def __init__(self) -> None:
        """Begin anywhere but at 0."""
        self.now = 50.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def failure(reason: Reason = Reason.RATE_LIMITED, retry_after: float | None = None) -> ImageError:
    """Make an error of a provider."""
    return ImageError(reason, "no", retry_after=retry_after)


def delays(strategy: RetryStrategy, count: int, reason: Reason = Reason.RATE_LIMITED) -> list[float | None]:
    """List the delays after each of the first attempts."""
    return [strategy.delay(failure(reason), attempt) for attempt in range(1, count + 1)]


def bucket(clock: Clock, capacity: int = 10, per_second: float = 1.0) -> RetryStrategy:
    """Make a token bucket that goes by this clock."""
    return strategy_of(RetrySettings("token_bucket", capacity=capacity, per_second=per_second), clock=clock)


def test_the_defaults() -> None:
    """Three requests in all, exponential from 1 s to 30 s, and nothing twice that may have been billed."""
    strategy = strategy_of(RetrySettings())

    assert (strategy.max_attempts, strategy.ambiguous, strategy.before_request()) == (3, False, 0.0)
    assert [delay is None for delay in delays(strategy, 4)] == [False, False, True, True]
    assert strategy_of(RetrySettings(ambiguous=True)).ambiguous


@pytest.mark.parametrize("name", NAMES)
@given(
    reason=st.sampled_from(Reason),
    attempt=st.integers(1, 10**6),
    asked=st.none() | st.floats(0, 100),
    base=st.floats(0.001, 1000),
    most=st.floats(0.001, 1000),
    seed=st.integers(),
)
def test_a_delay_is_within_what_was_asked_and_allowed(  # noqa: PLR0917 - one for each thing that varies
    name: StrategyName, reason: Reason, attempt: int, asked: float | None, base: float, most: float, seed: int
) -> None:
    """Never shorter than the provider asks, never longer than max_delay; a wait beyond that is left to the caller."""
    settings = RetrySettings(name, max_attempts=10**6 + 1, base_delay=base, max_delay=most, per_second=1 / base)

    delay = strategy_of(settings, random=Random(seed)).delay(failure(reason, asked), attempt)

    if reason not in REPEATED or (asked or 0.0) > most or name == "none":
        assert delay is None
    elif reason is Reason.RATE_LIMITED or name in {"exponential", "linear"}:
        assert delay is not None
    assert delay is None or (asked or 0.0) <= delay <= most


@pytest.mark.parametrize("name", ["exponential", "linear"])
@pytest.mark.parametrize("reason", Reason)
def test_only_what_repeating_can_help_is_repeated(name: StrategyName, reason: Reason) -> None:
    """Moderation, a wrong request, a missing model and the like stay what they are."""
    assert (strategy_of(RetrySettings(name)).delay(failure(reason, 1.0), 1) is not None) == (reason in REPEATED)


@pytest.mark.parametrize("name", ["exponential", "linear", "retry_after", "token_bucket"])
def test_attempts_count_requests_in_all(name: StrategyName) -> None:
    """The first included, so 1 means no repetition."""
    assert [delay is None for delay in delays(strategy_of(RetrySettings(name, max_attempts=2)), 2)] == [False, True]
    assert delays(strategy_of(RetrySettings(name, max_attempts=1)), 1) == [None]


@pytest.mark.parametrize("name", ["exponential", "linear", "retry_after", "token_bucket"])
def test_a_wait_as_long_as_allowed_is_waited_and_a_longer_one_is_not(name: StrategyName) -> None:
    """The limit belongs to what is allowed."""
    strategy = strategy_of(RetrySettings(name, max_delay=30.0))

    assert strategy.delay(failure(retry_after=30.0), 1) == 30.0
    assert strategy.delay(failure(retry_after=30.1), 1) is None


@given(attempt=st.integers(1, 2000), seed=st.integers())
def test_exponential_doubles_and_spreads(attempt: int, seed: int) -> None:
    """From half to all of base_delay times a power of two, or of max_delay."""
    strategy = strategy_of(RetrySettings(max_attempts=9999), random=Random(seed))
    delay = strategy.delay(failure(), attempt)

    whole = min(2 ** (attempt - 1), 30)
    assert delay is not None
    assert whole / 2 <= delay <= whole


def test_those_who_failed_together_part() -> None:
    """The same failure gives another delay to the next."""
    strategy = strategy_of(RetrySettings(), random=Random(1))

    assert len({strategy.delay(failure(), 1) for _ in range(10)}) == 10


def test_linear_grows_by_the_same() -> None:
    """Up to max_delay."""
    strategy = strategy_of(RetrySettings("linear", max_attempts=9, base_delay=2.0, max_delay=5.0))

    assert delays(strategy, 4) == [2.0, 4.0, 5.0, 5.0]


def test_retry_after_does_as_the_provider_says() -> None:
    """With base_delay as the least, and for a limit without a wait; what it does not ask for is not done."""
    strategy = strategy_of(RetrySettings("retry_after", base_delay=2.0))

    assert strategy.delay(failure(retry_after=7.0), 1) == 7.0
    assert strategy.delay(failure(retry_after=0.0), 1) == 2.0
    assert strategy.delay(failure(), 1) == 2.0
    assert strategy.delay(failure(Reason.PROVIDER_UNAVAILABLE, 7.0), 1) == 7.0
    assert strategy.delay(failure(Reason.PROVIDER_UNAVAILABLE), 1) is None
    assert strategy.delay(failure(Reason.QUOTA_EXCEEDED, 7.0), 1) is None


def test_none_sends_one_request() -> None:
    """Whatever the settings allow and the provider asks for."""
    strategy = strategy_of(RetrySettings("none", max_attempts=5))

    assert strategy.max_attempts == 1
    assert strategy.delay(failure(retry_after=0.0), 1) is None


def test_a_bucket_lets_twenty_requests_through_in_eighteen_seconds() -> None:
    """Two at once, then one a second; that they succeed does not fill it."""
    clock = Clock()
    strategy = bucket(clock, capacity=2, per_second=1.0)

    for _ in range(20):
        clock.now += strategy.before_request()

    assert clock.now == pytest.approx(50.0 + 18.0)


def test_requests_at_the_same_time_reserve_one_slot_each() -> None:
    """None of them may go together with another, but for the capacity."""
    strategy = bucket(Clock(), capacity=2, per_second=4.0)

    assert [strategy.before_request() for _ in range(5)] == [0.0, 0.0, 0.25, 0.5, 0.75]


def test_a_bucket_holds_no_more_than_its_capacity() -> None:
    """However long nothing was sent."""
    clock = Clock()
    strategy = bucket(clock, capacity=2, per_second=1.0)
    clock.now += 1000.0

    assert [strategy.before_request() for _ in range(3)] == [0.0, 0.0, 1.0]


def test_a_bucket_repeats_limits_alone() -> None:
    """After the time of two requests, or what the provider asks."""
    strategy = bucket(Clock(), per_second=0.5)

    assert strategy.delay(failure(), 1) == 4.0
    assert strategy.delay(failure(retry_after=9.0), 1) == 9.0
    assert [reason for reason in Reason if strategy.delay(failure(reason), 1) is not None] == [Reason.RATE_LIMITED]


@given(steps=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 4)), max_size=30))
def test_a_bucket_never_lets_more_through_than_its_rate(steps: list[tuple[float, int]]) -> None:
    """In no stretch of time do more requests go than the capacity and the rate allow."""
    clock = Clock()
    strategy = bucket(clock, capacity=3, per_second=2.0)
    starts = []
    for pause, requests in steps:
        clock.now += pause
        starts += [clock.now + strategy.before_request() for _ in range(requests)]

    for first, begin in enumerate(starts):
        for last, end in enumerate(starts[first:], first):
            assert last - first + 1 <= 3 + 2.0 * (end - begin) + 1e-6
