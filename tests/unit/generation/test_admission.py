"""What may be in hand at once, in calls and in bytes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.task import Operation, Options, PixelSize, Task
from imagegen_server.generation.admission import Admission, AdmissionSettings, Ticket, estimate_image_bytes

MIB = 1024 * 1024


def refusal(admit: Callable[[], object]) -> ImageError:
    """Return the error with which a call is refused."""
    with pytest.raises(ImageError) as caught:
        admit()
    return caught.value


def test_calls_over_the_cap_are_refused_until_one_ends() -> None:
    """The cap is a count of calls, whatever their bytes, and an ended call makes room."""
    admission = Admission(AdmissionSettings(max_calls=2))
    first = admission.admit(0)
    admission.admit(0)

    error = refusal(lambda: admission.admit(0))
    first.release()
    admission.admit(0)

    assert (error.reason, error.billed) == (Reason.SERVER_BUSY, Billed.NO)
    assert error.retry_after is not None
    assert admission.calls == 2


def test_bytes_over_the_budget_are_refused() -> None:
    """What fits exactly is taken; one byte more is refused with a wait, and changes no count."""
    admission = Admission(AdmissionSettings(max_bytes_in_flight=100))
    admission.admit(60)

    error = refusal(lambda: admission.admit(41))
    admission.admit(40)

    assert error.reason is Reason.SERVER_BUSY
    assert error.retry_after is not None
    assert (admission.calls, admission.bytes_in_flight) == (2, 100)


def test_a_call_alone_always_fits() -> None:
    """What is more than the whole budget is taken when nothing else is in hand: a wait would be for ever."""
    admission = Admission(AdmissionSettings(max_bytes_in_flight=100))

    alone = admission.admit(300)

    assert refusal(lambda: admission.admit(1)).reason is Reason.SERVER_BUSY
    alone.release()
    admission.admit(300)
    assert admission.bytes_in_flight == 300


def test_a_call_grows_within_the_budget() -> None:
    """What is still to come is refused like a new call, and changes no count; a call alone may grow."""
    admission = Admission(AdmissionSettings(max_bytes_in_flight=100))
    first, second = admission.admit(40), admission.admit(20)

    first.grow(40)
    error = refusal(lambda: second.grow(1))

    assert (error.reason, admission.bytes_in_flight) == (Reason.SERVER_BUSY, 100)
    first.release()
    second.grow(500)
    assert admission.bytes_in_flight == 520
    second.release()
    assert (admission.calls, admission.bytes_in_flight) == (0, 0)


def test_an_answer_larger_than_estimated_is_kept() -> None:
    """What is here already is counted and never refused; only new work is."""
    admission = Admission(AdmissionSettings(max_bytes_in_flight=100))
    ticket = admission.admit(10)

    ticket.add(500)

    assert admission.bytes_in_flight == 510
    assert refusal(lambda: admission.admit(0)).reason is Reason.SERVER_BUSY


def test_a_ticket_ends_once() -> None:
    """Releasing twice, or counting after the release, changes nothing."""
    admission = Admission(AdmissionSettings())
    other = admission.admit(7)
    ticket = admission.admit(10)
    ticket.add(5)

    ticket.release()
    ticket.release()
    ticket.add(100)

    assert (admission.calls, admission.bytes_in_flight) == (1, 7)
    other.release()
    assert (admission.calls, admission.bytes_in_flight) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from(["admit", "add", "release"]), st.integers(0, 80)), max_size=50))
def test_the_budget_is_what_the_tickets_hold(steps: list[tuple[str, int]]) -> None:
    """In any order of calls the counts are the sum of what is in hand, within the limits, and end at zero."""
    admission = Admission(AdmissionSettings(max_calls=5, max_bytes_in_flight=200))
    held: dict[Ticket, int] = {}
    for step, size in steps:
        if step == "admit":
            try:
                held[admission.admit(size)] = size
            except ImageError:
                assert len(held) == 5 or sum(held.values()) + size > 200
        elif held and step == "add":
            ticket = next(iter(held))
            change = size - 40 if held[ticket] >= 40 else size
            ticket.add(change)
            held[ticket] += change
        elif held:
            ticket = next(iter(held))
            ticket.release()
            del held[ticket]
        assert (admission.calls, admission.bytes_in_flight) == (len(held), sum(held.values()))
        assert admission.bytes_in_flight >= 0

    for ticket in held:
        ticket.release()
    assert (admission.calls, admission.bytes_in_flight) == (0, 0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), 16 * MIB),
        (Options(format="png"), 16 * MIB),
        (Options(size=PixelSize(1024, 1024)), 3 * MIB),
        (Options(size=PixelSize(1024, 1024), format="png"), 3 * MIB),
        (Options(size=PixelSize(1024, 1024), format="jpeg"), MIB),
        (Options(size=PixelSize(1024, 1024), format="webp"), MIB),
        (Options(size=PixelSize(1024, 1024), format="tiff"), 16 * MIB),
        (Options(size=PixelSize(1, 1)), 64 * 1024),
        (Options(size=PixelSize(16_384, 16_384)), 64 * MIB),
    ],
)
def test_the_estimate_follows_size_and_format(options: Options, expected: int) -> None:
    """The estimate is generous, and 16 MiB where size or format do not tell."""
    assert estimate_image_bytes(Task(Operation.GENERATE, "any", "a boat", options)) == expected


def test_the_usual_size_stands_for_one_that_the_model_chooses() -> None:
    """An adapter that knows how large pictures usually are keeps the estimate small; a size that was said wins."""
    usual = Task(Operation.GENERATE, "any", "a boat", Options(), usual_size=PixelSize(1024, 1024))

    assert estimate_image_bytes(usual) == 3 * MIB
    assert estimate_image_bytes(replace(usual, options=Options(size=PixelSize(2048, 1024)))) == 6 * MIB
