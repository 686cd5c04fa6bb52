"""How long requests usually take."""

from imagegen_server.domain.task import Operation
from imagegen_server.generation.durations import Durations

DRAW, CHANGE = Operation.GENERATE, Operation.EDIT


def noted(*seconds: float) -> Durations:
    """Note requests of one model."""
    durations = Durations()
    for one in seconds:
        durations.note("a/b", DRAW, one)
    return durations


def test_a_few_requests_tell_nothing() -> None:
    """Four are too few, five are enough."""
    assert noted(1, 2, 3, 4).usual("a/b", DRAW) is None
    assert noted(9, 2, 3, 1, 4).usual("a/b", DRAW) == 3


def test_models_and_operations_are_kept_apart() -> None:
    """What drawing takes says nothing of edits or of another model."""
    durations = noted(1, 1, 1, 1, 1)

    assert durations.usual("a/b", CHANGE) is None
    assert durations.usual("a/c", DRAW) is None


def test_only_the_last_count() -> None:
    """101 requests of today outweigh any number of yesterday's."""
    assert noted(*[50.0] * 500, *[2.0] * 101).usual("a/b", DRAW) == 2.0


def test_a_thousand_models_are_remembered() -> None:
    """The one that was not asked for longest is forgotten; one that was just asked is not."""
    durations = noted(1, 1, 1, 1, 1)
    for number in range(5 * 999):
        durations.note(f"a/{number % 999}", DRAW, 7.0)
    durations.note("a/b", DRAW, 1.0)
    durations.note("a/one more", DRAW, 1.0)

    assert durations.usual("a/b", DRAW) == 1
    assert durations.usual("a/0", DRAW) is None
    assert durations.usual("a/1", DRAW) == 7
