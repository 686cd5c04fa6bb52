"""Errors on the wire: code, message, details within their limit, and two plain trailers."""

import math
from dataclasses import dataclass
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from imagegen.v1 import image_pb2
from imagegen_server.domain.errors import Billed, Failure, ImageError, Reason, Violation
from imagegen_server.domain.result import Cost, GenerationFailure, Usage
from imagegen_server.rpc.status import MAX_DETAILS_BYTES, status_of

from tests.support.values import attempt, failed

HUGE = "船" * 10_000


@dataclass(frozen=True)
class Wire:
    """A status as it is sent, taken apart."""

    code: grpc.StatusCode
    message: str
    trailers: dict[str, str | bytes]
    status: status_pb2.Status
    info: error_details_pb2.ErrorInfo
    retry: error_details_pb2.RetryInfo | None
    bad: list[error_details_pb2.BadRequest.FieldViolation]
    failure: image_pb2.GenerationFailure | None


def wire(error: ImageError, failure: GenerationFailure | None = None) -> Wire:
    """Write an error, and check what holds for all of them."""
    code, message, trailers = status_of(error, failure)
    by_name = dict(trailers)
    details = by_name["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    assert len(details) <= MAX_DETAILS_BYTES
    assert len(quote(message)) <= 1000
    status = status_pb2.Status.FromString(details)
    assert (status.code, status.message) == (code.value[0], message)
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    whole = image_pb2.GenerationFailure()
    kinds: list[Message] = [info, retry, bad, whole]
    found = [next(kind for kind in kinds if detail.Unpack(kind)) for detail in status.details]
    assert id(found[0]) == id(info), "ErrorInfo is always there, and first"
    assert len(found) == len({id(kind) for kind in found})
    assert len(bad.field_violations) <= 20
    assert (by_name["imagegen-reason"], by_name["imagegen-billed"]) == (info.reason, info.metadata["billed"])
    assert info.domain == "imagegen"
    return Wire(
        code,
        message,
        by_name,
        status,
        info,
        retry if retry in found else None,
        list(bad.field_violations),
        whole if whole in found else None,
    )


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("billed", Billed)
def test_every_error_has_code_reason_and_bill(reason: Reason, billed: Billed) -> None:
    """Code, details and the two plain trailers agree for every reason and bill."""
    seen = wire(ImageError(reason, "because", billed=billed))

    assert seen.info.reason == f"ERROR_REASON_{reason.name}"
    assert seen.trailers["imagegen-billed"] == billed.name.lower()
    assert (seen.message, seen.retry, seen.bad, seen.failure) == ("because", None, [], None)


def test_the_metadata_is_that_of_the_error() -> None:
    """Facts of the error, and the ids once there is a generation."""
    error = ImageError(
        Reason.RATE_LIMITED, "slow", http_status=429, provider_code="rpm", metadata={"provider": "p", "model": "p/m"}
    )

    assert dict(wire(error).info.metadata) == {
        "provider": "p",
        "model": "p/m",
        "billed": "no",
        "http_status": "429",
        "provider_code": "rpm",
    }
    both = wire(error, failed()).info.metadata
    assert (both["generation_id"], both["request_id"]) == ("gen_a_b", "req_a_b")


@pytest.mark.parametrize(
    ("wait", "milliseconds"),
    [(1.0, 1000), (0.0, 0), (2.5, 2500), (0.0001, 1), (-3.0, 0), (math.inf, 86_400_000), (math.nan, 86_400_000)],
)
def test_a_known_wait_is_told(wait: float, milliseconds: int) -> None:
    """RetryInfo has the wait, never shorter than it was told; nonsense becomes a day and no crash."""
    retry = wire(ImageError(Reason.RATE_LIMITED, "slow", retry_after=wait)).retry

    assert retry is not None
    assert retry.retry_delay.ToMilliseconds() == milliseconds


def test_used_up_credits_do_not_come_back_by_waiting() -> None:
    """QUOTA_EXCEEDED has no RetryInfo, whatever the provider's header said."""
    assert wire(ImageError(Reason.QUOTA_EXCEEDED, "empty", retry_after=5.0)).retry is None


def test_violations_are_told_up_to_twenty() -> None:
    """Fields and descriptions come in their order."""
    violations = [Violation(f"options.{number}", f"is wrong {number}") for number in range(30)]

    bad = wire(ImageError(Reason.INVALID_REQUEST, "no", violations=violations)).bad

    assert [(item.field, item.description) for item in bad] == [
        (f"options.{number}", f"is wrong {number}") for number in range(20)
    ]


def test_what_a_provider_call_came_to_is_told() -> None:
    """GenerationFailure has failures, attempts and usage."""
    error = ImageError(Reason.TIMEOUT, "late")
    value = failed(Failure(0, error), Failure(1, error), attempts=(attempt(), attempt()))

    whole = wire(error, value).failure

    assert whole is not None
    assert [failure.index for failure in whole.failures] == [0, 1]
    assert len(whole.attempts) == 2


def test_the_oldest_attempts_go_first() -> None:
    """Over the limit the oldest attempts are left out, the last one and the failures stay."""
    error = ImageError(Reason.TIMEOUT, "late")
    attempts = tuple(attempt(provider_request_id=f"req-{number}") for number in range(200))

    whole = wire(error, failed(Failure(0, error), attempts=attempts)).failure

    assert whole is not None
    left = [item.provider_request_id for item in whole.attempts]
    assert 1 < len(left) < 200
    assert left == [f"req-{number}" for number in range(200 - len(left), 200)]
    assert len(whole.failures) == 1


def test_then_the_last_failures_go() -> None:
    """When one attempt is left the last failures are left out, the first ones stay."""
    error = ImageError(Reason.TIMEOUT, "late")
    failures = [Failure(index, error) for index in range(200)]

    whole = wire(error, failed(*failures, attempts=(attempt(), attempt()))).failure

    assert whole is not None
    assert len(whole.attempts) == 1
    assert [item.index for item in whole.failures] == list(range(len(whole.failures)))
    assert 1 < len(whole.failures) < 200


def test_then_the_last_violations_go() -> None:
    """Wait, ErrorInfo and the first violations stay whatever else there is."""
    violations = [Violation(HUGE, HUGE)] * 300
    error = ImageError(Reason.INVALID_REQUEST, HUGE, retry_after=1.0, violations=violations, provider_code=HUGE)

    seen = wire(error, failed(*[Failure(0, error)] * 300, attempts=(attempt(provider_request_id=HUGE),) * 300))

    assert seen.retry is not None
    assert seen.info.reason == "ERROR_REASON_INVALID_REQUEST"
    assert 0 < len(wire(error).bad) <= 20


def test_a_long_message_is_cut_to_its_header() -> None:
    """A thousand bytes as the header is written, where every byte that is not ASCII takes three."""
    assert wire(ImageError(Reason.TIMEOUT, "a" * 5000)).message == "a" * 1000
    letters = len(wire(ImageError(Reason.TIMEOUT, HUGE)).message)
    assert 90 <= letters <= 111


def test_text_that_is_no_unicode_does_not_hide_the_error() -> None:
    """Half a surrogate pair in a provider's words becomes a question mark."""
    half = "bad \ud83d text"
    error = ImageError(Reason.PROVIDER_ERROR, half, provider_code=half, violations=[Violation(half, half)])

    seen = wire(error, failed(Failure(0, error), attempts=(attempt(provider_request_id=half),)))

    assert seen.message == "bad ? text"
    assert seen.info.metadata["provider_code"] == "bad ? text"


words = st.text(st.characters(), max_size=300) | st.sampled_from([HUGE, "", "%\n\0", "x" * 9000])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(Reason),
    words,
    st.lists(st.builds(Violation, words, words), max_size=30),
    st.lists(words, max_size=40),
    st.lists(words, max_size=40),
)
def test_no_error_is_too_monstrous(
    reason: Reason, message: str, violations: list[Violation], failures: list[str], attempts: list[str]
) -> None:
    """Whatever was said, details, message and violations keep their limits, and ErrorInfo is there."""
    error = ImageError(
        reason,
        message,
        violations=violations,
        provider_code=message,
        http_status=500,
        retry_after=1.0,
        metadata={"model": message, message: message},
    )
    value = GenerationFailure(
        "gen_a_b",
        "req_a_b",
        tuple(Failure(0, ImageError(reason, text, provider_request_id=text)) for text in failures),
        tuple(attempt(provider_request_id=text, model=text) for text in attempts),
        Usage(1, cost=Cost(1.0, message)),
    )

    assert wire(error, value).info.metadata["http_status"] == "500"
