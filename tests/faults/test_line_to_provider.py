"""The line between server and provider is cut: what was billed, what is asked for again, and what the caller hears."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from imagegen.v1 import error_reason_pb2, image_pb2, image_service_pb2
from imagegen_server.generation.retry import RetrySettings

from tests.support.calls import Refusal, generate, refusal, sha256, watch
from tests.support.faults_setup import OPENAI_MODEL, QUICK_RETRIES, joined, remote, within
from tests.support.openai_api import FakeOpenAI, fake_openai
from tests.support.openai_wire import event, picture
from tests.support.server import Running, running_server
from tests.support.tcp_relay import TcpRelay
from tests.support.vendor import Answer, event_answer, json_answer

SIZE = {"size": {"width": 1024, "height": 1024}}
PICTURE = picture((1024, 1024), "png")
"""What the fake draws."""
BODY = b'{"created": 1, "data": [{"b64_json": "'
RETRIES_AMBIGUOUS = RetrySettings(max_attempts=3, base_delay=0.01, ambiguous=True)


@dataclass
class Line:
    """A server, its vendor, and the line between them."""

    server: Running
    vendor: FakeOpenAI
    relay: TcpRelay

    async def refused(self, **fields: Any) -> Refusal:
        """Ask for a picture that will not come."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.server.images.Generate(wish(**fields))
        return refusal(caught.value)

    async def drawn(self, **fields: Any) -> image_pb2.ImageResult:
        """Ask for a picture that comes, and see that it is the vendor's."""
        result = await self.server.images.Generate(wish(**fields))
        assert result.images[0].image.data == PICTURE
        return result


@asynccontextmanager
async def line(retry: RetrySettings = QUICK_RETRIES) -> AsyncIterator[Line]:
    """Serve, with a vendor behind a relay."""
    async with (
        fake_openai() as vendor,
        TcpRelay(vendor.base_url.split("/")[2]) as relay,
        running_server(remote(f"http://{relay.address}/v1", retry=retry)) as server,
    ):
        yield Line(server, vendor, relay)


def wish(**fields: Any) -> image_service_pb2.GenerateRequest:
    """Ask for a picture of a known size."""
    return generate(OPENAI_MODEL, options=SIZE, **fields)


def attempts_of(told: "Refusal | image_pb2.ImageResult") -> list[tuple[str, str, str]]:
    """List how far each attempt came: outcome, bill, reason."""
    failure = told.failure if isinstance(told, Refusal) else told
    assert failure is not None
    return [
        (
            image_pb2.AttemptOutcome.Name(attempt.outcome).removeprefix("ATTEMPT_OUTCOME_"),
            image_pb2.Billed.Name(attempt.billed).removeprefix("BILLED_"),
            error_reason_pb2.ErrorReason.Name(attempt.reason).removeprefix("ERROR_REASON_"),
        )
        for attempt in failure.attempts
    ]


NOT_SENT = ("NOT_SENT", "NO", "NETWORK_ERROR")
AMBIGUOUS = ("AMBIGUOUS", "UNKNOWN", "NETWORK_ERROR")
GOOD = ("ACCEPTED", "YES", "UNSPECIFIED")


async def test_no_connection_is_tried_three_times_and_costs_nothing() -> None:
    """A port where nobody listens: nothing was sent, so it is tried again, up to max_attempts, and billed is no."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        async with running_server(remote(base_url)) as server:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await server.images.Generate(wish())

    told = refusal(caught.value)
    assert (told.code, told.reason, told.billed) == (grpc.StatusCode.UNAVAILABLE, "NETWORK_ERROR", "no")
    assert attempts_of(told) == [NOT_SENT] * 3


async def test_cut_before_the_answer_it_is_not_asked_again() -> None:
    """The vendor has the request and may be at work: billed is unknown, and one call was made."""
    answer = Answer(before=asyncio.Event())
    async with line() as made:
        made.vendor.answer_next(answer)
        call = asyncio.create_task(made.refused())
        await within(answer.asked)
        made.relay.cut()
        told = await call
        assert len(made.vendor.requests) == 1
        await made.drawn()

    # UNAVAILABLE would have clients send it again by themselves.
    assert (told.code, told.reason, told.billed) == (grpc.StatusCode.INTERNAL, "NETWORK_ERROR", "unknown")
    assert attempts_of(told) == [AMBIGUOUS]


async def test_refused_after_the_connection_stood_it_is_not_asked_again() -> None:
    """A connection that is reset as soon as it stands may have carried the request: that is ambiguous, too."""
    async with line() as made:
        made.relay.refuse()
        told = await made.refused()

    assert attempts_of(told) == [AMBIGUOUS]
    assert made.vendor.requests == []
    assert made.relay.accepted == 1


@pytest.mark.parametrize("who", ["operator", "caller"])
async def test_cut_before_the_answer_it_is_asked_again_if_somebody_says_so(who: str) -> None:
    """retry.ambiguous of the operator, or retry_ambiguous of the caller: two calls, both reported."""
    answer = Answer(before=asyncio.Event())
    fields = {"retry": {"retry_ambiguous": True}} if who == "caller" else {}
    async with line(RETRIES_AMBIGUOUS if who == "operator" else QUICK_RETRIES) as made:
        made.vendor.answer_next(answer)
        call = asyncio.create_task(made.drawn(**fields))
        await within(answer.asked)
        made.relay.cut()
        result = await call

    assert attempts_of(result) == [AMBIGUOUS, GOOD]
    assert len(made.vendor.requests) == 2


async def test_cut_in_the_middle_of_the_answer_it_is_not_asked_again() -> None:
    """Half a picture has come, so it was drawn: billed is unknown, one call, and the vendor's id is told."""
    answer = Answer(200, {"content-type": "application/json"}, [BODY + b"A" * 100_000, asyncio.Event()])
    async with line() as made:
        made.vendor.answer_next(answer)
        call = asyncio.create_task(made.refused())
        await within(answer.begun)
        await asyncio.sleep(0.1)
        made.relay.cut()
        told = await call
        assert len(made.vendor.requests) == 1
        await made.drawn()

    assert (told.reason, told.billed) == ("NETWORK_ERROR", "unknown")
    assert attempts_of(told) == [AMBIGUOUS]
    assert told.metadata["provider_request_id"].startswith("req_")


async def test_cut_after_a_preview_it_is_not_asked_again() -> None:
    """A preview was shown: the vendor is at work, nothing is repeated even if ambiguous calls are."""
    partial = event(
        "image_generation.partial_image", {"b64_json": base64.b64encode(PICTURE).decode(), "partial_image_index": 0}
    )
    answer = event_answer(partial, asyncio.Event())
    async with line(RETRIES_AMBIGUOUS) as made:
        made.vendor.answer_next(answer)
        stream = made.server.images.StreamGenerate(wish())
        async for message in stream:
            if message.HasField("preview"):
                break
        made.relay.cut()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch(joined([message], stream))

    told = refusal(caught.value)
    assert (told.reason, told.billed) == ("NETWORK_ERROR", "unknown")
    assert attempts_of(told) == [("ACCEPTED", "UNKNOWN", "NETWORK_ERROR")]
    assert len(made.vendor.requests) == 1


async def test_cut_after_the_answer_the_picture_is_there() -> None:
    """Whatever happens to the line then: the picture is delivered, and the next call has a line of its own."""
    async with line() as made:
        result = await made.drawn()
        made.relay.cut()
        await made.drawn()

    assert attempts_of(result) == [GOOD]
    assert result.images[0].image.sha256 == sha256(PICTURE)
    assert len(made.vendor.requests) == 2


async def test_cut_before_the_last_byte_of_the_answer_no_half_picture_is_shown() -> None:
    """An answer that lacks its last bytes is no picture, whatever came before."""
    body = BODY + base64.b64encode(PICTURE)
    answer = Answer(200, {"content-type": "application/json"}, [body, b""], breaks_off=True)
    async with line() as made:
        made.vendor.answer_next(answer)
        told = await made.refused()

    assert (told.reason, told.billed) == ("NETWORK_ERROR", "unknown")
    assert attempts_of(told) == [AMBIGUOUS]
    assert len(made.vendor.requests) == 1


async def test_what_the_vendor_rejects_is_asked_again_and_bought_once() -> None:
    """Two refusals that cost nothing, then a picture: three calls upstream, one of them billed."""
    limited = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded", "param": None}}
    async with line() as made:
        made.vendor.answer_next(json_answer(429, limited, {"retry-after": "0"}), json_answer(503, {}))
        result = await made.drawn()

    assert attempts_of(result) == [
        ("REJECTED", "NO", "RATE_LIMITED"),
        ("REJECTED", "NO", "PROVIDER_UNAVAILABLE"),
        GOOD,
    ]
    assert len(made.vendor.requests) == 3
