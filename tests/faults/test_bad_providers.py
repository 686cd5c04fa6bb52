"""A provider that stalls, trickles or answers garbage: one call, its own reason, and a server that goes on."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from imagegen.v1 import image_service_pb2

from tests.support.calls import Refusal, generate, refusal, watch
from tests.support.faults_setup import OPENAI_MODEL, remote, within
from tests.support.http_server import Exchange, HttpServer, Script
from tests.support.openai_wire import event
from tests.support.pictures import noisy_png
from tests.support.provider import TEN_TIMES_THE_PROMISE
from tests.support.server import Running, nothing_left, running_server

PICTURE = noisy_png(300, 300)
WISH = generate(OPENAI_MODEL, request_id="wish-1")
BODY = json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(PICTURE).decode()}]}).encode()
JSON = "Content-Type: application/json"


class Vendor:
    """What the vendor does to the first call; the next ones get their picture."""

    def __init__(self, script: Script) -> None:
        """Do as the script says."""
        self._script = script
        self.left = asyncio.Event()
        """Set when the server has closed the connection of the first call."""
        self.http = HttpServer(self._answer)

    async def _answer(self, exchange: Exchange) -> None:
        if len(self.http.requests) > 1:
            await exchange.answer(BODY, "200 OK", JSON)
            return
        await self._script(exchange)
        await exchange.closed_by_peer()
        self.left.set()


@asynccontextmanager
async def served(script: Script, timeout: float = 600.0) -> AsyncIterator[tuple[Running, Vendor]]:  # noqa: ASYNC109 - the provider's own
    """Serve in front of such a vendor, and see at the end that the server is as good as before."""
    vendor = Vendor(script)
    async with vendor.http, running_server(remote(f"{vendor.http.url}/v1", timeout=timeout)) as server:
        yield server, vendor
        await within(vendor.left)
        await nothing_left(server)
        calls = len(vendor.http.requests)
        result = await server.images.Generate(generate(OPENAI_MODEL))
        assert result.images[0].image.data == PICTURE
        assert len(vendor.http.requests) == calls + 1


async def refused(server: Running) -> Refusal:
    """Ask for the picture that will not come."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.images.Generate(WISH)
    return refusal(caught.value)


def facts(told: Refusal) -> tuple[str, str, int]:
    """Tell the reason, the bill, and how many calls were reported."""
    assert told.failure is not None
    return told.reason, told.billed, len(told.failure.attempts)


async def stall(_exchange: Exchange) -> None:
    """Say nothing, for ever."""


async def stall_in_the_body(exchange: Exchange) -> None:
    """Begin the answer and never go on."""
    await exchange.send(f"HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:1000])


@pytest.mark.parametrize("script", [stall, stall_in_the_body])
async def test_a_provider_that_stalls_is_left_after_its_timeout(script: Script) -> None:
    """TIMEOUT, billed unknown, one call; its connection is closed. The same request_id replays that failure."""
    async with served(script, timeout=1.0) as (server, vendor):
        told = await refused(server)
        replayed = await refused(server)
        assert len(vendor.http.requests) == 1

    assert facts(told) == facts(replayed) == ("TIMEOUT", "unknown", 1)


@pytest.mark.parametrize("script", [stall, stall_in_the_body])
async def test_a_provider_that_stalls_is_left_by_cancel(script: Script) -> None:
    """Cancel ends the waiting, and closes the provider's connection at once."""
    async with served(script) as (server, vendor):
        call = asyncio.create_task(refused(server))
        await vendor.http.arrived(1)
        answer = await server.images.Cancel(image_service_pb2.CancelRequest(request_id="wish-1"))
        await within(vendor.left, TEN_TIMES_THE_PROMISE)
        told = await call
        assert len(vendor.http.requests) == 1

    assert answer.stopped
    assert facts(told) == ("CANCELLED", "unknown", 1)


async def trickle(exchange: Exchange) -> None:
    """Send the whole answer in a hundred pieces."""
    await exchange.send(f"HTTP/1.1 200 OK\r\n{JSON}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode())
    size = len(BODY) // 100 + 1
    for start in range(0, len(BODY), size):
        await exchange.send(BODY[start : start + size])
        await asyncio.sleep(0.01)
    exchange.hang_up()


async def test_a_provider_that_trickles_is_heard_out() -> None:
    """Slow is not broken: a hundred small pieces make the same picture."""
    async with served(trickle) as (server, vendor):
        result = await server.images.Generate(WISH)
        assert len(vendor.http.requests) == 1

    assert result.images[0].image.data == PICTURE


async def trickle_for_ever(exchange: Exchange) -> None:
    """Send a space every now and then: JSON that never begins."""
    await exchange.send(f"HTTP/1.1 200 OK\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    while True:
        await exchange.send(b"1\r\n \r\n")
        await asyncio.sleep(0.02)


async def ping_for_ever(exchange: Exchange) -> None:
    """Send comments on a stream of events every now and then."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await exchange.send(b"8\r\n: ping\n\n\r\n")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("script", [trickle_for_ever, ping_for_ever])
async def test_signs_of_life_do_not_extend_the_timeout(script: Script) -> None:
    """A provider that is never silent and never done is left after its timeout all the same."""

    async def until_closed(exchange: Exchange) -> None:
        sending = asyncio.ensure_future(script(exchange))
        await exchange.closed_by_peer()
        sending.cancel()

    async with served(until_closed, timeout=1.0) as (server, vendor):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch(server.images.StreamGenerate(WISH))
        assert len(vendor.http.requests) == 1

    assert facts(refusal(caught.value)) == ("TIMEOUT", "unknown", 1)


def saying(data: bytes) -> Script:
    """Send bytes and hang up."""

    async def say(exchange: Exchange) -> None:
        await exchange.send(data)
        exchange.hang_up()

    return say


def answering(body: bytes, kind: str = "application/json") -> Script:
    """Answer 200 with a body."""

    async def say(exchange: Exchange) -> None:
        await exchange.answer(body, "200 OK", f"Content-Type: {kind}")
        exchange.hang_up()

    return say


def holding(data: bytes) -> bytes:
    """Write a body that is right but for its picture."""
    return json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(data).decode()}]}).encode()


GARBAGE = {
    "no HTTP": (saying(b"\x00\xff SSH-2.0-OpenSSH_9.2\r\n\r\n"), "NETWORK_ERROR"),
    "nothing at all": (saying(b""), "NETWORK_ERROR"),
    "a head without an end": (saying(b"HTTP/1.1 200 OK\r\nContent-Ty"), "NETWORK_ERROR"),
    "wrong chunk": (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "NETWORK_ERROR"),
    "no JSON": (answering(b"{" * 1000), "INVALID_RESPONSE"),
    "a web page": (answering(b"<html>It works!</html>", "text/html"), "INVALID_RESPONSE"),
    "an empty body": (answering(b""), "INVALID_RESPONSE"),
    "no picture": (answering(b'{"created": 1, "data": []}'), "INVALID_RESPONSE"),
    "no base64": (answering(b'{"created": 1, "data": [{"b64_json": "!!!"}]}'), "INVALID_RESPONSE"),
    "bytes that are no picture": (answering(holding(b"\x00" * 10_000)), "INVALID_RESPONSE"),
    "half a picture": (answering(holding(PICTURE[: len(PICTURE) // 2])), "INVALID_RESPONSE"),
    "no events": (answering(b"\xff\xfe\x00" * 1000, "text/event-stream"), "INVALID_RESPONSE"),
    "an event of nonsense": (
        answering(event("image_generation.completed", {}), "text/event-stream"),
        "INVALID_RESPONSE",
    ),
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_is_told_as_such_and_not_asked_for_again(kind: str) -> None:
    """It may have been billed, so it is not repeated; nothing that is no picture is handed out."""
    script, reason = GARBAGE[kind]
    async with served(script) as (server, vendor):
        told = await refused(server)
        assert len(vendor.http.requests) == 1

    assert facts(told) == (reason, "unknown", 1)
