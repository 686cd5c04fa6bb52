"""How far one call to a provider came, and whether it was paid for."""

from datetime import UTC, datetime

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.generation.attempt import AttemptRecord

NOT_SENT = ImageError(Reason.NETWORK_ERROR, "no connection", sent=False)
REFUSED = ImageError(Reason.RATE_LIMITED, "slow down", http_status=429, provider_request_id="req-9")
BROKEN = ImageError(Reason.NETWORK_ERROR, "it broke", sent=True)
LATE = ImageError(Reason.TIMEOUT, "late")
MODERATED = ImageError(Reason.CONTENT_FILTERED, "no, at some stage")


@pytest.mark.parametrize(
    ("error", "outcome", "billed"),
    [
        (NOT_SENT, AttemptOutcome.NOT_SENT, Billed.NO),
        (REFUSED, AttemptOutcome.REJECTED, Billed.NO),
        (BROKEN, AttemptOutcome.AMBIGUOUS, Billed.UNKNOWN),
        (LATE, AttemptOutcome.AMBIGUOUS, Billed.UNKNOWN),
        (None, AttemptOutcome.ACCEPTED, Billed.YES),
    ],
)
def test_before_acceptance_the_error_tells(error: ImageError | None, outcome: AttemptOutcome, billed: Billed) -> None:
    """Refused is free, not sent is free, and where no answer came nobody knows."""
    attempt = AttemptRecord("test", "test/any").end(error)

    assert (attempt.outcome, attempt.billed) == (outcome, billed)


@pytest.mark.parametrize("error", [NOT_SENT, REFUSED, BROKEN, LATE, MODERATED], ids=lambda error: error.message)
def test_after_acceptance_nothing_is_free_by_itself(error: ImageError) -> None:
    """What the provider took on may be billed, however the call failed later."""
    record = AttemptRecord("test", "test/any")
    record.accept("req-1")

    attempt = record.end(record.judge(error))

    assert (attempt.outcome, attempt.billed) == (AttemptOutcome.ACCEPTED, Billed.UNKNOWN)


@pytest.mark.parametrize(
    "error",
    [
        ImageError(Reason.PROVIDER_ERROR, "failed, and refunded", billed=Billed.NO),
        ImageError(Reason.CONTENT_FILTERED, "no", stage="input"),
    ],
    ids=lambda error: error.message,
)
def test_who_knows_better_is_believed(error: ImageError) -> None:
    """An adapter that says that it was free is right, and so is moderation of the input."""
    record = AttemptRecord("test", "test/any")
    record.accept("req-1")

    assert record.judge(error).billed is Billed.NO


def test_before_acceptance_an_error_is_left_as_it_is() -> None:
    """There is nothing to correct while nothing was taken on."""
    assert AttemptRecord("test", "test/any").judge(REFUSED) is REFUSED


def test_what_was_delivered_is_paid_for() -> None:
    """An image that came proves the bill, also if the call failed after it."""
    record = AttemptRecord("test", "test/any")
    record.deliver()

    attempt = record.end(LATE)

    assert (attempt.outcome, attempt.billed, attempt.reason) == (AttemptOutcome.ACCEPTED, Billed.YES, Reason.TIMEOUT)


def test_an_attempt_has_the_facts_for_the_providers_support() -> None:
    """Provider, model, status and request id are told; the id of the error is newer than that of the acceptance."""
    record = AttemptRecord("test", "test/any")
    record.accept("req-1")
    record.accept()

    assert record.end(LATE).provider_request_id == "req-1"
    attempt = record.end(REFUSED)
    assert (attempt.provider, attempt.model) == ("test", "test/any")
    assert (attempt.provider_request_id, attempt.http_status, attempt.reason) == ("req-9", 429, Reason.RATE_LIMITED)


def test_an_attempt_has_its_times() -> None:
    """The start is a moment in UTC, the duration counts from there."""
    before = datetime.now(UTC)
    attempt = AttemptRecord("test", "test/any").end(None)

    assert before <= attempt.start_time <= datetime.now(UTC)
    assert 0 <= attempt.duration < 60
    assert (attempt.reason, attempt.http_status, attempt.provider_request_id) == (None, None, "")
