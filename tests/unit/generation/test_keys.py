"""Which key goes with the next request, and which ones rest."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ChosenKey, KeyRing, ProviderKey
from structlog.testing import capture_logs

REFUSED = ImageError(Reason.AUTHENTICATION_FAILED, "no such key")
EXHAUSTED = ImageError(Reason.QUOTA_EXCEEDED, "no money")
LIMITED = ImageError(Reason.RATE_LIMITED, "slower")


class Clock:
    """Tells the time that the test sets."""

    def __init__(self) -> None:
        """Begin anywhere but at 0."""
        self.now = 50.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def ring(names: str, clock: Clock | None = None) -> KeyRing:
    """Make a ring of keys that are a letter each, used in turn."""
    return KeyRing([ProviderKey(Secret(name)) for name in names], clock=clock or Clock())


def reloading(clock: Clock, reload: Callable[[], Secret], *others: str) -> KeyRing:
    """Make a ring whose first key, "old", can be read again."""
    return KeyRing(
        [ProviderKey(Secret("old"), 1.0, reload), *(ProviderKey(Secret(name)) for name in others)], clock=clock
    )


def chosen(keys: KeyRing, times: int) -> str:
    """Choose often; tells the letters."""
    return "".join(keys.choose().secret.reveal() for _ in range(times))


def take(keys: KeyRing, name: str) -> ChosenKey:
    """Choose until this key comes."""
    return next(key for key in iter(keys.choose, None) if key.secret.reveal() == name)


def test_keys_take_turns() -> None:
    """From the first, and round again."""
    assert chosen(ring("abc"), 7) == "abcabca"


def test_a_ring_needs_a_key() -> None:
    """Without one there is nothing to choose."""
    with pytest.raises(ValueError, match="key"):
        KeyRing([])


def test_weights_are_frequencies() -> None:
    """Three to one; the random numbers are the test's."""
    keys = KeyRing(
        [ProviderKey(Secret("a"), 3.0), ProviderKey(Secret("b"), 1.0)], "weighted", random=Random(1), clock=Clock()
    )

    counted = Counter(chosen(keys, 4000))
    assert 2800 < counted["a"] < 3200


def test_weighted_leaves_tried_and_resting_keys_out() -> None:
    """However heavy they are."""
    keys = KeyRing(
        [ProviderKey(Secret("a"), 1e9), ProviderKey(Secret("b"), 1.0), ProviderKey(Secret("c"), 1e9)],
        "weighted",
        random=Random(1),
        clock=Clock(),
    )
    first = take(keys, "a")
    keys.note_failure(take(keys, "c"), LIMITED)

    assert {keys.choose([first]).secret.reveal() for _ in range(20)} == {"b"}


def test_another_key_goes_first() -> None:
    """One that was tried is taken again only when all were, and then by turns."""
    keys = ring("ab")
    first = keys.choose()
    second = keys.choose([first])

    assert second is not first
    assert not keys.another_than([first, second])
    assert {keys.choose([first, second]) for _ in range(2)} == {first, second}


@pytest.mark.parametrize("error", [REFUSED, EXHAUSTED, LIMITED], ids=lambda error: error.reason.name)
def test_a_key_that_failed_rests(error: ImageError) -> None:
    """Others are used meanwhile, by later calls too."""
    keys = ring("abc")
    failed = keys.choose()

    assert keys.belongs_to_key(error)
    keys.note_failure(failed, error)

    assert keys.another_than([failed])
    assert chosen(keys, 4) == "bcbc"


@pytest.mark.parametrize(
    "reason", set(Reason) - {Reason.AUTHENTICATION_FAILED, Reason.QUOTA_EXCEEDED, Reason.RATE_LIMITED}
)
def test_failures_that_belong_to_no_key_leave_it_alone(reason: Reason) -> None:
    """Another key would fare no better."""
    keys = ring("ab")
    error = ImageError(reason, "no", retry_after=9.0)

    assert not keys.belongs_to_key(error)
    keys.note_failure(keys.choose(), error)

    assert chosen(keys, 3) == "bab"


def test_a_limited_key_rests_as_long_as_the_provider_asks() -> None:
    """Or a few seconds, if it does not say; the second time is no longer."""
    clock = Clock()
    keys = ring("ab", clock)
    for error, rest in ((LIMITED, 5.0), (LIMITED, 5.0), (ImageError(Reason.RATE_LIMITED, "", retry_after=60.0), 60.0)):
        keys.note_failure(take(keys, "a"), error)
        clock.now += rest - 0.1
        assert chosen(keys, 2) == "bb"
        clock.now += 0.1
        assert sorted(chosen(keys, 2)) == ["a", "b"]


@pytest.mark.parametrize("error", [REFUSED, EXHAUSTED], ids=lambda error: error.reason.name)
def test_a_refused_key_rests_longer_each_time(error: ImageError) -> None:
    """Twice as long, up to an hour; a success makes it the first time again."""
    clock = Clock()
    keys = ring("ab", clock)

    def rest() -> float:
        keys.note_failure(take(keys, "a"), error)
        begin = clock.now
        while chosen(keys, 2) == "bb":
            clock.now += 5.0
        return clock.now - begin

    assert [rest() for _ in range(9)] == [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]
    keys.note_success(take(keys, "a"))
    assert rest() == 30.0


def test_a_longer_wait_of_the_provider_holds_for_an_exhausted_key() -> None:
    """It knows when there is more."""
    clock = Clock()
    keys = ring("ab", clock)
    failed = take(keys, "a")
    keys.note_failure(failed, ImageError(Reason.QUOTA_EXCEEDED, "", retry_after=100.0))
    keys.note_failure(failed, LIMITED)

    clock.now += 99.0
    assert chosen(keys, 2) == "bb"
    clock.now += 1.0
    assert sorted(chosen(keys, 2)) == ["a", "b"]


def test_those_who_fail_together_count_once() -> None:
    """A hundred calls with one refused key do not let it rest for an hour."""
    clock = Clock()
    keys = ring("ab", clock)
    failed = take(keys, "a")
    for _ in range(100):
        keys.note_failure(failed, REFUSED)

    clock.now += 30.0
    assert sorted(chosen(keys, 2)) == ["a", "b"]


def test_a_success_ends_the_rest() -> None:
    """Whoever was refused by mistake, or paid, is used again."""
    keys = ring("ab")
    failed = take(keys, "a")
    keys.note_failure(failed, EXHAUSTED)
    keys.note_success(failed)

    assert sorted(chosen(keys, 2)) == ["a", "b"]


def test_when_all_rest_the_one_that_rests_shortest_is_used() -> None:
    """Nothing is refused by ourselves."""
    keys = ring("abc")
    for name, error in (("a", REFUSED), ("b", LIMITED), ("c", EXHAUSTED)):
        keys.note_failure(take(keys, name), error)

    assert not keys.another_than([])
    assert chosen(keys, 3) == "bbb"


def test_a_single_key_is_always_used() -> None:
    """Tried and resting or not."""
    keys = ring("a")
    only = keys.choose()
    keys.note_failure(only, REFUSED)

    assert keys.choose([only]) is only
    assert not keys.another_than([only])


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 100), st.sampled_from([None, REFUSED, EXHAUSTED, LIMITED]), st.booleans()), max_size=40
    ),
    count=st.integers(1, 4),
)
def test_a_key_is_always_there_and_a_rested_one_goes_first(
    steps: list[tuple[float, ImageError | None, bool]], count: int
) -> None:
    """Whatever happened: as long as there is another key, that is what is chosen."""
    clock = Clock()
    keys = ring("abcd"[:count], clock)
    tried: list[ChosenKey] = []
    for pause, error, forget in steps:
        clock.now += pause
        another = keys.another_than(tried)
        key = keys.choose(tried)
        assert not another or key not in tried
        if error is None:
            keys.note_success(key)
        else:
            keys.note_failure(key, error)
            assert keys.choose() is not key or not keys.another_than([key])
        tried = [] if forget else [*tried, key]


async def test_a_refused_key_that_changed_where_it_is_kept_is_used_at_once() -> None:
    """Read beside the event loop; for those who tried the old one it is another key."""
    may_end, clock = Event(), Clock()

    def reload() -> Secret:
        assert may_end.wait(30)
        return Secret("new")

    keys = reloading(clock, reload)
    old = keys.choose()
    keys.note_failure(old, REFUSED)
    assert not keys.another_than([old])  # and the loop is free
    waiting = asyncio.create_task(keys.reread(old))
    await asyncio.sleep(0)
    assert not waiting.done()
    may_end.set()
    await waiting

    assert keys.another_than([old])
    assert keys.choose([old]).secret == Secret("new")


async def test_a_changed_key_begins_without_the_past_of_the_old_one() -> None:
    """It does not rest, and what still comes of requests with the old one does not touch it."""
    keys = reloading(Clock(), lambda: Secret("new"), "b")
    old = take(keys, "old")
    keys.note_failure(old, REFUSED)
    await keys.reread(old)

    keys.note_failure(old, REFUSED)
    assert {keys.choose().secret.reveal() for _ in range(4)} == {"new", "b"}

    keys.note_failure(take(keys, "new"), REFUSED)
    keys.note_success(old)
    assert {keys.choose().secret.reveal() for _ in range(4)} == {"b"}


async def test_a_refused_key_that_did_not_change_rests() -> None:
    """Another is used."""
    keys = reloading(Clock(), lambda: Secret("old"), "b")
    old = take(keys, "old")
    keys.note_failure(old, REFUSED)
    await keys.reread(old)

    assert {keys.choose().secret.reveal() for _ in range(4)} == {"b"}


async def test_a_refused_key_is_not_read_again_all_the_time() -> None:
    """Once by all who are refused together, and then after a few seconds."""
    reads, clock = [], Clock()

    def reload() -> Secret:
        reads.append(clock.now)
        return Secret("old")

    keys = reloading(clock, reload)
    only = keys.choose()
    for pause in (0.0, 0.0, 4.9, 0.1, 1.0):
        clock.now += pause
        keys.note_failure(only, REFUSED)
        keys.note_failure(only, REFUSED)
        await keys.reread(only)

    assert reads == [50.0, 55.0]


@pytest.mark.parametrize("error", [EXHAUSTED, LIMITED], ids=lambda error: error.reason.name)
async def test_a_key_that_was_not_refused_is_not_read_again(error: ImageError) -> None:
    """It is the right one."""
    keys = reloading(Clock(), lambda: Secret("new"))
    only = keys.choose()
    keys.note_failure(only, error)
    await keys.reread(only)

    assert keys.choose() is only


async def test_a_key_that_cannot_be_read_again_stays() -> None:
    """The log says why, and the next refusal tries again."""
    clock = Clock()

    def fail() -> Secret:
        raise OSError("providers.far.api_key.file: cannot be read")

    keys = reloading(clock, fail)
    only = keys.choose()
    with capture_logs() as lines:
        keys.note_failure(only, REFUSED)
        await keys.reread(only)

    assert keys.choose() is only
    assert [(line["log_level"], line["problem"]) for line in lines] == [
        ("warning", "providers.far.api_key.file: cannot be read")
    ]


async def test_leaving_while_a_key_is_read_leaves_the_reading() -> None:
    """The next call has the new key although nobody waited for it."""
    may_end = Event()

    def reload() -> Secret:
        assert may_end.wait(30)
        return Secret("new")

    keys = reloading(Clock(), reload)
    old = keys.choose()
    keys.note_failure(old, REFUSED)
    waiting = asyncio.create_task(keys.reread(old))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    may_end.set()
    await keys.reread(old)

    assert keys.choose().secret == Secret("new")
