"""The one exception of the server."""

import pytest
from imagegen_server.domain.errors import Billed, ImageError, Reason, Violation


@pytest.mark.parametrize(
    ("stage", "billed"), [("input", Billed.NO), ("output", Billed.UNKNOWN), ("", Billed.UNKNOWN)], ids=repr
)
def test_moderation_of_a_finished_picture_may_be_billed(stage: str, billed: Billed) -> None:
    """CONTENT_FILTERED is free when the input was refused, and may be billed when the picture was or nobody told."""
    assert ImageError(Reason.CONTENT_FILTERED, "no", stage=stage).billed is billed


@pytest.mark.parametrize(("sent", "billed"), [(False, Billed.NO), (True, Billed.UNKNOWN)])
def test_a_request_that_was_not_sent_is_free(sent: bool, billed: Billed) -> None:
    """NETWORK_ERROR may be billed as soon as the request may have arrived."""
    assert ImageError(Reason.NETWORK_ERROR, "gone", sent=sent).billed is billed


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("billed", Billed)
def test_what_is_known_of_the_bill_wins(reason: Reason, billed: Billed) -> None:
    """Whoever knows better than the reason says so."""
    assert ImageError(reason, "x", billed=billed).billed is billed


def test_another_bill_changes_nothing_else() -> None:
    """A copy with another answer to whether it was paid for keeps every fact."""
    error = ImageError(
        Reason.RATE_LIMITED,
        "slow down",
        stage="input",
        sent=False,
        http_status=429,
        provider_code="rate_limit",
        provider_request_id="req-1",
        retry_after=2.5,
        violations=[Violation("options.count", "less")],
        metadata={"model": "test/any"},
    )

    copy = error.with_billed(Billed.YES)

    kept = {key: value for key, value in vars(error).items() if not key.startswith("billed")}
    assert {key: value for key, value in vars(copy).items() if not key.startswith("billed")} == kept
    assert (error.billed, copy.billed) == (Billed.NO, Billed.YES)
    assert copy.metadata is not error.metadata


def test_facts_hold_what_is_known_and_nothing_else() -> None:
    """An unknown fact is absent; whether it was billed always stands there, in lower case."""
    assert ImageError(Reason.TIMEOUT, "late").facts() == {"billed": "unknown"}
    assert ImageError(
        Reason.CONTENT_FILTERED,
        "no",
        stage="output",
        http_status=200,
        provider_code="moderation_blocked",
        provider_request_id="req-1",
        metadata={"provider": "test", "model": "test/any"},
    ).facts() == {
        "provider": "test",
        "model": "test/any",
        "stage": "output",
        "http_status": "200",
        "provider_code": "moderation_blocked",
        "provider_request_id": "req-1",
        "billed": "unknown",
    }


def test_an_error_is_an_exception_with_its_message() -> None:
    """The text of the exception is the message for people."""
    assert str(ImageError(Reason.TIMEOUT, "late")) == "late"
