"""One generation: who reads it, and how it is stopped and ended."""

from imagegen_server.domain.errors import ImageError, Reason
from imagegen_server.domain.events import Broken, Finished

from tests.support.generation import workshop
from tests.support.provider import never
from tests.support.values import break_off, end

FIRST, SECOND = ImageError(Reason.CANCELLED, "first"), ImageError(Reason.TIMEOUT, "second")


async def test_the_first_stop_counts() -> None:
    """Whatever stops a generation first is the reason; later ones change nothing."""
    generation, stops = (await workshop().open()).generation, []
    generation.on_stop = lambda: stops.append(generation.stop_error)

    generation.stop(FIRST)
    generation.stop(SECOND)

    assert generation.stop_error is FIRST
    assert stops == [FIRST]


async def test_what_has_ended_cannot_be_stopped() -> None:
    """A stop that comes too late leaves no trace."""
    generation, stops = (await workshop().open()).generation, []
    generation.on_stop = lambda: stops.append(generation.stop_error)
    generation.end(end())

    generation.stop(FIRST)

    assert generation.stop_error is None
    assert stops == []


async def test_the_call_is_in_hand_until_it_has_ended_and_nobody_reads() -> None:
    """The room in the store is given back at the end, the ticket when the last reader has left after it."""
    for last in (end(), break_off()):
        shop = workshop()
        assert isinstance(last, Finished | Broken)
        async with shop.opened() as generation:
            generation.end(last)
            calls, _, reserved = shop.in_hand
            assert (calls, reserved) == (1, 0)
        assert shop.in_hand == (0, 0, 0)


async def test_leaving_after_the_end_stops_nothing() -> None:
    """Readers may go when they have read it all, and others may come after them."""
    async with workshop().opened() as generation:
        generation.end(end())
    with generation.reading() as log:
        assert log.ended

    assert generation.stop_error is None


async def test_leaving_before_the_end_stops_it() -> None:
    """The last reader to leave stops it as CANCELLED."""
    shop = workshop(never)
    async with shop.opened() as generation:
        shop.engine.launch(generation)
        with generation.reading():
            pass
        assert generation.stop_error is None

    assert generation.stop_error is not None
    assert generation.stop_error.reason is Reason.CANCELLED
