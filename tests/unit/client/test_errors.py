"""What an error says, and that nothing a server or proxy sends can keep it from being one."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st
from imagegen import AsyncClient, FieldViolation, ImageGenError, Reason
from imagegen._errors import error_from_rpc
from imagegen.v1 import error_reason_pb2, image_pb2

from tests.unit.client.fake_server import (
    Context,
    Event,
    FakeServer,
    StreamScript,
    Wish,
    error_info,
    failure,
    started,
    status_trailer,
)


def abort(code: grpc.StatusCode, message: str, *trailers: tuple[str, str | bytes]) -> StreamScript:
    """A script that starts and then fails."""

    async def script(_request: Wish, context: Context) -> AsyncIterator[Event]:
        yield started()
        await context.abort(code, message, trailers)

    return script


async def failed(server: FakeServer, client: AsyncClient, script: StreamScript) -> ImageGenError:
    """The error that a call ends in."""
    server.stream = script
    with pytest.raises(ImageGenError) as caught:
        await client.generate("sandbox/scene", "a cat")
    return caught.value


def test_reasons_are_those_of_the_api() -> None:
    """Every value of ErrorReason has its name here, and there is no other."""
    names = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118

    assert {reason.value for reason in Reason} == names


async def test_all_details_arrive(server: FakeServer, client: AsyncClient) -> None:
    """Everything that the server tells of a failure can be read from the exception."""
    details = image_pb2.GenerationFailure(
        generation_id="gen_9",
        request_id="req_9",
        failures=[failure(0)],
        attempts=[
            image_pb2.Attempt(
                provider="openai",
                model="openai/x",
                outcome=image_pb2.ATTEMPT_OUTCOME_REJECTED,
                billed=image_pb2.BILLED_NO,
                reason=error_reason_pb2.ERROR_REASON_RATE_LIMITED,
                http_status=429,
                duration=duration_pb2.Duration(seconds=1, nanos=500_000_000),
            )
        ],
        usage=image_pb2.ImageUsage(input_tokens=5, cost=image_pb2.Cost(amount=0.5, currency="USD", estimated=True)),
    )
    trailer = status_trailer(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "too fast",
        error_info("RATE_LIMITED", provider="openai", model="openai/x", billed="no", http_status="429"),
        error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=12, nanos=500_000_000)),
        error_details_pb2.BadRequest(
            field_violations=[error_details_pb2.BadRequest.FieldViolation(field="options.seed", description="is odd")]
        ),
        details,
    )

    error = await failed(server, client, abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too fast", trailer))

    assert error.reason == Reason.RATE_LIMITED
    assert (error.code, error.message) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too fast")
    assert (error.provider, error.model, error.billed, error.retry_delay) == ("openai", "openai/x", "no", 12.5)
    assert error.violations == (FieldViolation("options.seed", "is odd"),)
    assert error.failures[0].reason == Reason.CONTENT_FILTERED
    attempt = error.attempts[0]
    assert (attempt.outcome, attempt.http_status, attempt.duration, attempt.start_time) == ("rejected", 429, 1.5, None)
    assert error.usage is not None
    assert error.usage.cost is not None
    assert (error.usage.input_tokens, error.usage.cost.amount, error.usage.cost.estimated) == (5, 0.5, True)
    assert error.metadata["http_status"] == "429"
    assert (error.generation_id, error.request_id) == ("gen_9", "req_9")
    assert isinstance(error.__cause__, grpc.aio.AioRpcError)
    assert str(error) == "RATE_LIMITED: too fast (options.seed: is odd)"


async def test_plain_trailers_are_enough(server: FakeServer, client: AsyncClient) -> None:
    """Where a proxy took the details away, reason and money are still told."""
    error = await failed(
        server,
        client,
        abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            "refused",
            ("imagegen-reason", "ERROR_REASON_CONTENT_FILTERED"),
            ("imagegen-billed", "yes"),
        ),
    )

    assert (error.reason, error.billed, error.message) == (Reason.CONTENT_FILTERED, "yes", "refused")


@pytest.mark.parametrize(
    "details",
    [
        pytest.param(b"\xff\xff\xff garbage", id="garbage"),
        pytest.param(status_trailer(grpc.StatusCode.NOT_FOUND, "", error_info("TIMEOUT"))[1], id="other code"),
        pytest.param(b"", id="empty"),
    ],
)
async def test_details_that_do_not_fit_are_left_aside(server: FakeServer, client: AsyncClient, details: bytes) -> None:
    """Garbled details, or those of another failure, do not hide the error at hand."""
    error = await failed(
        server,
        client,
        abort(
            grpc.StatusCode.UNAVAILABLE,
            "down",
            ("grpc-status-details-bin", details),
            ("imagegen-reason", "ERROR_REASON_PROVIDER_UNAVAILABLE"),
            ("imagegen-billed", "no"),
        ),
    )

    assert (error.reason, error.billed, error.retry_delay) == (Reason.PROVIDER_UNAVAILABLE, "no", None)


async def test_details_of_others_are_not_ours(server: FakeServer, client: AsyncClient) -> None:
    """An ErrorInfo of another domain gives neither a reason nor a word about money."""
    foreign = error_details_pb2.ErrorInfo(domain="example.com", reason="NOPE", metadata={"billed": "no"})

    error = await failed(
        server,
        client,
        abort(grpc.StatusCode.INTERNAL, "x", status_trailer(grpc.StatusCode.INTERNAL, "x", foreign)),
    )

    assert (error.reason, error.billed, error.metadata) == (Reason.UNSPECIFIED, "unknown", {})


async def test_unknown_reason_is_kept_as_text(server: FakeServer, client: AsyncClient) -> None:
    """A reason that a newer server sends can be read and compared."""
    error = await failed(
        server,
        client,
        abort(grpc.StatusCode.INTERNAL, "x", status_trailer(grpc.StatusCode.INTERNAL, "x", error_info("SOLAR_FLARE"))),
    )

    assert error.reason == "SOLAR_FLARE"
    assert not isinstance(error.reason, Reason)
    assert error.billed == "unknown"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, Reason.NETWORK_ERROR),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Reason.TIMEOUT),
        (grpc.StatusCode.CANCELLED, Reason.CANCELLED),
        (grpc.StatusCode.UNAUTHENTICATED, Reason.CALLER_UNAUTHENTICATED),
        (grpc.StatusCode.PERMISSION_DENIED, Reason.CALLER_NOT_ALLOWED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Reason.UNSPECIFIED),
        (grpc.StatusCode.UNIMPLEMENTED, Reason.UNSPECIFIED),
    ],
)
async def test_bare_status_of_a_proxy(
    server: FakeServer, client: AsyncClient, code: grpc.StatusCode, reason: Reason
) -> None:
    """A status that no imagegen server made says only what its code says, and that money may have been spent."""
    error = await failed(server, client, abort(code, "bare"))

    assert (error.reason, error.code, error.billed, error.message) == (reason, code, "unknown", "bare")


async def test_ids_come_from_initial_metadata(server: FakeServer, client: AsyncClient) -> None:
    """A call that died without details still leaves its handle."""

    async def script(_request: Wish, context: Context) -> AsyncIterator[Event]:
        await context.send_initial_metadata((("imagegen-generation-id", "gen_7"), ("imagegen-request-id", "req_7")))
        await context.abort(grpc.StatusCode.INTERNAL, "gone")
        yield started()

    error = await failed(server, client, script)

    assert (error.generation_id, error.request_id) == ("gen_7", "req_7")


async def test_nothing_listening_cannot_have_been_billed() -> None:
    """Where there never was a connection, nothing was sent and nothing paid."""
    async with AsyncClient("127.0.0.1:1") as client:
        with pytest.raises(ImageGenError) as caught:
            await client.generate("sandbox/scene", "a cat")

    assert (caught.value.reason, caught.value.billed) == (Reason.NETWORK_ERROR, "no")


async def test_deadline_of_the_client(server: FakeServer, client: AsyncClient) -> None:
    """A call that takes longer than it may is a TIMEOUT that may have cost money, and the server is told."""

    async def script(_request: Wish, _context: Context) -> AsyncIterator[Event]:
        yield started()
        await server.hang()

    server.stream = script
    with pytest.raises(ImageGenError) as caught:
        await client.generate("sandbox/scene", "a cat", timeout=0.3)

    assert (caught.value.reason, caught.value.billed, caught.value.generation_id) == (
        Reason.TIMEOUT,
        "unknown",
        "gen_1",
    )
    assert await server.saw_cancel()


def test_error_crosses_process_borders() -> None:
    """An error can be pickled and keeps what it knows."""
    error = ImageGenError("x", reason=Reason.TIMEOUT, violations=(FieldViolation("a", "b"),), retry_delay=2.0)

    copy = pickle.loads(pickle.dumps(error))

    assert isinstance(copy, ImageGenError)
    assert (str(copy), copy.reason, copy.retry_delay) == (str(error), error.reason, 2.0)
    assert copy.violations == error.violations


@given(st.binary(max_size=200), st.binary(max_size=50), st.sampled_from(list(grpc.StatusCode)))
def test_no_trailers_can_break_the_reading(details: bytes, plain: bytes, code: grpc.StatusCode) -> None:
    """Whatever stands in the trailers, the result is an error that says what is known."""
    trailers = grpc.aio.Metadata(
        ("grpc-status-details-bin", details),
        ("imagegen-reason", plain.decode("latin-1")),
        ("imagegen-billed", plain.decode("latin-1")),
    )

    error = error_from_rpc(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers))

    assert error.code is code
    assert error.billed in {"no", "unknown", "yes"}
    assert error_from_rpc(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())).message == ""


@pytest.mark.parametrize(
    "words",
    [
        "failed to connect to all addresses; last error: UNKNOWN",
        "DNS resolution failed for nosuch.invalid:50051",
        "errors resolving nosuch.invalid:50051: [field:hostname lookup error:Domain name not found]",
    ],
)
def test_what_never_reached_a_server_is_free(words: str) -> None:
    """The words of several versions of gRPC for a server that is not there: nothing can have been billed."""
    call = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), words)
    error = error_from_rpc(call)

    assert (error.reason, error.billed) == (Reason.NETWORK_ERROR, "no")
