"""How much callers may use, by the clock of a process that serves alone."""

from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.caller import Caller
from imagegen_server.generation.caller_limits import OwnCallerLimits

from tests.support.limits import error_of, over_limit


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Begin anywhere."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


async def test_images_of_a_minute() -> None:
    """A call is refused until enough images are older than a minute, and the wait that is told is just long enough."""
    clock = Clock()
    limits, caller = OwnCallerLimits(clock), Caller("c", images_per_minute=10)
    for images in (4, 4, 2):
        await limits.ask_for(caller, images)
        clock.now += 10

    clock.now -= 10
    assert (await over_limit(limits.ask_for(caller, 1))).retry_after == 40.0
    assert (await over_limit(limits.ask_for(caller, 5))).retry_after == 50.0
    clock.now += 39.5
    assert (await over_limit(limits.ask_for(caller, 1))).retry_after == 0.5
    clock.now += 0.5
    await limits.ask_for(caller, 4)
    await over_limit(limits.ask_for(caller, 1))


@given(
    steps=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 6)), max_size=60),
    limit=st.integers(1, 12),
)
async def test_no_minute_ever_has_more_images_than_allowed(steps: list[tuple[float, int]], limit: int) -> None:
    """Whenever calls come; and a refused one is let in after the wait that it was told, and not before."""
    clock = Clock()
    limits, caller = OwnCallerLimits(clock), Caller("c", images_per_minute=limit)
    taken: list[tuple[float, int]] = []
    for pause, images in steps:
        clock.now += pause
        if (error := await error_of(limits.ask_for(caller, images))) is not None:
            recent = [(at, count) for at, count in taken if clock.now - at < 60]
            assert sum(count for _, count in recent) + images > limit
            if images > limit:
                assert error.retry_after is None
                continue
            assert error.retry_after is not None
            clock.now += error.retry_after + 1e-6
            await limits.ask_for(caller, images)
        taken.append((clock.now, images))
        assert sum(count for at, count in taken if clock.now - at < 60) <= limit
