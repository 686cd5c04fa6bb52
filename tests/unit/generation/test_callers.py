"""What callers may use, and how much of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.caller import ANONYMOUS, Caller
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.generation.callers import CallerLimits, may_use, may_use_provider


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Begin anywhere."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def refused(limits: CallerLimits, caller: Caller, images: int = 1) -> ImageError:
    """Admit a call that must be refused."""
    with pytest.raises(ImageError) as caught:
        limits.admit(caller, images)
    assert caught.value.reason is Reason.CALLER_LIMIT_EXCEEDED
    assert caller.name in caught.value.message
    return caught.value


def attempted(limits: CallerLimits, caller: Caller, images: int) -> ImageError | None:
    """Admit a call, or tell why it is refused."""
    try:
        limits.admit(caller, images)
    except ImageError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("models", "asked", "model", "allowed"),
    [
        (None, "openai/gpt-image-2", "openai/gpt-image-2", True),
        ((), "openai/gpt-image-2", "openai/gpt-image-2", False),
        (("openai/*",), "openai/gpt-image-2", "openai/gpt-image-2", True),
        (("openai/*",), "draft", "openai/gpt-image-2", True),
        (("openai/*",), "openai2/gpt-image-2", "openai2/gpt-image-2", False),
        (("openai/*",), "OpenAI/gpt-image-2", "OpenAI/gpt-image-2", False),
        (("openrouter/*",), "openrouter/google/x", "openrouter/google/x", True),
        (("draft",), "draft", "openai/gpt-image-2", True),
        (("draft",), "openai/gpt-image-2", "openai/gpt-image-2", False),
        (("draft",), "other/draft", "other/draft", False),
        (("a/1", "b/2"), "b/2", "b/2", True),
        (("*",), "any/thing", "any/thing", True),
    ],
)
def test_models_are_allowed_by_name_or_by_alias(
    models: tuple[str, ...] | None, asked: str, model: str, allowed: bool
) -> None:
    """Whichever of the two the operator wrote down; what is only like it is not it."""
    assert may_use(Caller("c", models), asked, model) is allowed


@pytest.mark.parametrize(
    ("models", "allowed"),
    [
        (None, True),
        ((), False),
        (("a/*",), True),
        (("a/1",), True),
        (("b/*",), False),
        (("*/1",), True),
        (("x",), True),
    ],
)
def test_a_provider_is_told_of_where_one_of_its_models_may_be_used(
    models: tuple[str, ...] | None, allowed: bool
) -> None:
    """An alias may mean a model of any provider."""
    assert may_use_provider(Caller("c", models), "a") is allowed


def test_calls_at_a_time() -> None:
    """As many as allowed; one that ended makes room for one, however often it is said to have ended."""
    limits, caller = CallerLimits(), Caller("c", max_calls=2)
    first, _second = limits.admit(caller, 1), limits.admit(caller, 1)

    assert refused(limits, caller).retry_after is None
    first()
    first()
    limits.admit(caller, 1)
    refused(limits, caller)


def test_images_of_a_minute() -> None:
    """A call is refused until enough images are older than a minute, and the wait that is told is just long enough."""
    clock = Clock()
    limits, caller = CallerLimits(clock), Caller("c", images_per_minute=10)
    limits.admit(caller, 4)()
    clock.now += 10
    limits.admit(caller, 4)()
    clock.now += 10
    limits.admit(caller, 2)()

    assert refused(limits, caller, 1).retry_after == 40.0
    assert refused(limits, caller, 5).retry_after == 50.0
    clock.now += 39.5
    assert refused(limits, caller, 1).retry_after == 0.5
    clock.now += 0.5
    limits.admit(caller, 4)
    refused(limits, caller, 1)


def test_a_call_above_the_whole_limit_is_told_no_wait() -> None:
    """Waiting would not help it; nothing is counted for it."""
    limits, caller = CallerLimits(), Caller("c", images_per_minute=3)

    error = refused(limits, caller, 4)

    assert error.retry_after is None
    assert "3" in error.message
    limits.admit(caller, 3)


def test_what_is_refused_counts_for_nothing() -> None:
    """Neither as a call nor as images: a caller that keeps trying is not kept out by that."""
    clock = Clock()
    limits, caller = CallerLimits(clock), Caller("c", max_calls=1, images_per_minute=2)
    end = limits.admit(caller, 1)
    refused(limits, caller, 1)
    end()
    refused(limits, caller, 2)

    limits.admit(caller, 1)()
    clock.now += 60
    limits.admit(caller, 2)


def test_callers_do_not_share_their_limits() -> None:
    """And whoever has none is never refused."""
    limits = CallerLimits()
    for name in ("a", "b"):
        limits.admit(Caller(name, max_calls=1, images_per_minute=1), 1)
    for _ in range(1000):
        limits.admit(ANONYMOUS, 16)

    refused(limits, Caller("a", max_calls=1, images_per_minute=1))


def test_a_limit_that_changes_holds_at_once() -> None:
    """What is in hand and what was asked for counts against the new one."""
    limits = CallerLimits()
    limits.admit(Caller("c", max_calls=5, images_per_minute=100), 8)

    refused(limits, Caller("c", max_calls=1))
    refused(limits, Caller("c", images_per_minute=8))
    limits.admit(Caller("c", max_calls=2, images_per_minute=9), 1)


def test_reading_needs_no_images() -> None:
    """What was made can be fetched by a caller that may make nothing more; it is a call all the same."""
    limits, caller = CallerLimits(), Caller("c", max_calls=2, images_per_minute=1)
    limits.admit(caller, 1)

    limits.admit(Caller("c", max_calls=2, images_per_minute=1), 0)
    assert "at a time" not in refused(limits, Caller("c", max_calls=3, images_per_minute=1)).message
    assert "at a time" in refused(limits, caller, 0).message


@given(
    steps=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 6)), max_size=60),
    limit=st.integers(1, 12),
)
def test_no_minute_ever_has_more_images_than_allowed(steps: list[tuple[float, int]], limit: int) -> None:
    """Whenever calls come; and a refused one is let in after the wait that it was told, and not before."""
    clock = Clock()
    limits, caller = CallerLimits(clock), Caller("c", images_per_minute=limit)
    taken: list[tuple[float, int]] = []
    for pause, images in steps:
        clock.now += pause
        if (error := attempted(limits, caller, images)) is not None:
            recent = [(at, count) for at, count in taken if clock.now - at < 60]
            assert sum(count for _, count in recent) + images > limit
            if images > limit:
                assert error.retry_after is None
                continue
            assert error.retry_after is not None
            clock.now += error.retry_after + 1e-6
            limits.admit(caller, images)
        taken.append((clock.now, images))
        assert sum(count for at, count in taken if clock.now - at < 60) <= limit
