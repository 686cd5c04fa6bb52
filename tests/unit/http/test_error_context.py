"""What may be told of an answer that is a failure."""

import pytest
from imagegen_server.domain.errors import Billed, Reason, Violation
from imagegen_server.http.error_context import ErrorContext, read_object


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefgh",
        "xai-abcdefgh",
        "AIzaSyabcdefgh",
        "ya29.abcdefgh",
        "r8_abcdefgh",
        "ABSKQmVkcm9ja0FQSUtleS1hYmNk",
        "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3M",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
    ],
)
def test_what_looks_like_a_key_is_taken_out(secret: str) -> None:
    """Also one that is not of the request; the words around it stay."""
    context = ErrorContext("p", "vendor.example", 403, {}, "", "")

    assert context.clean(f"the key {secret} is wrong") == "the key *** is wrong"


def test_words_that_begin_like_a_key_stay() -> None:
    """Only what is as long as a key is one."""
    context = ErrorContext("p", "vendor.example", 403, {}, "", "")

    assert context.clean("ASIA and AKIA are regions") == "ASIA and AKIA are regions"


@pytest.mark.parametrize(
    ("reason", "waits", "names_fields"),
    [
        (Reason.RATE_LIMITED, True, False),
        (Reason.PROVIDER_UNAVAILABLE, True, False),
        (Reason.INVALID_REQUEST, False, True),
        (Reason.AUTHENTICATION_FAILED, False, False),
    ],
)
def test_the_vendors_own_words(reason: Reason, waits: bool, names_fields: bool) -> None:
    """Facts of the answer stand beside them; a wait and wrong fields only where the reason has a use for them."""
    context = ErrorContext("p", "vendor.example", 429, {"x-request-id": "req_1"}, "", "")
    wrong = [Violation("options.size", "too large")]

    error = context.told(reason, "no", code="c1", billed=Billed.NO, wait=3.0, violations=wrong)

    assert (error.reason, error.message, error.http_status) == (reason, "p: no", 429)
    assert (error.provider_code, error.provider_request_id, error.billed) == ("c1", "req_1", Billed.NO)
    assert error.retry_after == (3.0 if waits else None)
    assert error.violations == (tuple(wrong) if names_fields else ())


def test_a_vendor_without_words() -> None:
    """A message says at least what was answered."""
    error = ErrorContext("p", "vendor.example", 429, {}, "", "").told(Reason.RATE_LIMITED, "")

    assert error.message == "p: answered 429, and not in words"


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000, b"<html>"])
def test_a_body_that_is_no_object(body: bytes) -> None:
    """It is empty, whatever it is."""
    assert read_object(body) == {}
    assert read_object(b'{"a": 1}') == {"a": 1}
