"""Every call of our services is authenticated before anything else."""

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
import structlog
from google.protobuf.message import Message
from imagegen.v1 import image_pb2
from imagegen_server.domain.caller import ANONYMOUS, Caller
from imagegen_server.domain.credentials import KnownCallers
from imagegen_server.rpc.boundary import Boundary
from imagegen_server.rpc.callers import Authenticator, current_caller

from tests.support.callers import TOKEN, hash_of
from tests.support.context import Aborted, FakeContext

METHOD = "/imagegen.v1.ImageService/Generate"
GOOD = (("authorization", f"Bearer {TOKEN}"),)
PEER = {"peer_dns": [b"batch.internal"]}
KNOWN = KnownCallers(tokens={bytes.fromhex(hash_of(TOKEN).removeprefix("sha256:")): Caller("billing")})
PARSE = image_pb2.ImageInput.FromString


async def answering(_request: Message, _context: Any) -> Message:
    """Tell who calls."""
    return image_pb2.ImageResult(model=current_caller().name)


async def streaming(_request: Message, _context: Any) -> AsyncGenerator[Message, None]:
    """Tell twice who calls."""
    yield image_pb2.ImageResult(model=current_caller().name)
    yield image_pb2.ImageResult(model=current_caller().name)


UNARY: Any = grpc.unary_unary_rpc_method_handler(cast("Any", answering), PARSE)
STREAM: Any = grpc.unary_stream_rpc_method_handler(cast("Any", streaming), PARSE)


async def handler_of(authenticator: Authenticator | None, metadata: Any, handler: Any, method: str = METHOD) -> Any:
    """Let the boundary choose the handler of a call, as grpc would."""

    async def found(_details: grpc.HandlerCallDetails) -> Any:
        return handler

    details = cast("grpc.HandlerCallDetails", SimpleNamespace(method=method, invocation_metadata=metadata))
    return await Boundary(60.0, authenticator).intercept_service(found, details)


def by_token() -> Authenticator:
    """Know callers by their tokens."""
    return Authenticator(lambda: KNOWN, tokens=True, certificates=False)


def by_certificate() -> Authenticator:
    """Know callers by their certificates, but not that of PEER."""
    return Authenticator(lambda: KNOWN, tokens=True, certificates=True)


async def test_a_handler_knows_its_caller() -> None:
    """While it works, and the log line has the name; afterwards nobody is there any more."""
    context = FakeContext(given_metadata=GOOD)
    made = await handler_of(by_token(), GOOD, UNARY)

    with structlog.testing.capture_logs() as lines:
        answer = await made.unary_unary(b"", context)

    assert image_pb2.ImageResult.FromString(answer).model == "billing"
    assert [(line["code"], line["caller"]) for line in lines] == [("OK", "billing")]
    assert TOKEN not in str(lines)
    assert current_caller() is ANONYMOUS


async def test_a_streaming_handler_knows_its_caller_to_the_end() -> None:
    """In every message."""
    context = FakeContext(given_metadata=GOOD)
    made = await handler_of(by_token(), GOOD, STREAM)

    with structlog.testing.capture_logs() as lines:
        await made.unary_stream(b"", context)

    assert [image_pb2.ImageResult.FromString(data).model for data in context.written] == ["billing"] * 2
    assert [line["caller"] for line in lines] == ["billing"]


@pytest.mark.parametrize("handler", [UNARY, STREAM], ids=["unary", "stream"])
@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),)], ids=["none", "wrong"])
async def test_a_stranger_is_refused_before_the_request_is_read(handler: Any, metadata: Any) -> None:
    """The handler that answers takes a stream, which is not read unless it asks; the line tells who knocked."""
    made = await handler_of(by_token(), metadata, handler)
    assert made.request_streaming

    with structlog.testing.capture_logs() as lines, pytest.raises(Aborted) as caught:
        await made.stream_stream(None, FakeContext(given_metadata=metadata))

    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.trailers["imagegen-reason"] == "ERROR_REASON_CALLER_UNAUTHENTICATED"
    assert caught.value.trailers["imagegen-billed"] == "no"
    (line,) = lines
    assert (line["code"], line["reason"], line["peer"]) == (
        "UNAUTHENTICATED",
        "CALLER_UNAUTHENTICATED",
        "ipv4:192.0.2.1:7",
    )
    assert (line["method"], line["log_level"]) == (METHOD, "info")
    assert "caller" not in line


async def test_the_handler_of_one_caller_is_not_kept_for_a_stranger() -> None:
    """Handlers are remembered by method, and who may have them is asked each time."""
    boundary = Boundary(60.0, by_token())

    async def found(_details: grpc.HandlerCallDetails) -> Any:
        return UNARY

    for metadata, refused in ((GOOD, False), ((), True), (GOOD, False)):
        details = cast("grpc.HandlerCallDetails", SimpleNamespace(method=METHOD, invocation_metadata=metadata))
        made: Any = await boundary.intercept_service(found, details)
        assert made.request_streaming is refused


@pytest.mark.parametrize(
    ("handler", "kind"), [(UNARY, "unary_unary"), (STREAM, "unary_stream")], ids=["unary", "stream"]
)
async def test_a_certificate_is_looked_at_before_the_request_is_parsed(handler: Any, kind: str) -> None:
    """What an unknown caller sent is nobody's business: not even that it is no message."""
    made = await handler_of(by_certificate(), (), handler)

    with structlog.testing.capture_logs() as lines, pytest.raises(Aborted) as caught:
        await getattr(made, kind)(b"\xff", FakeContext(peer_facts=PEER))

    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert [line["peer"] for line in lines] == ["ipv4:192.0.2.1:7"]


@pytest.mark.parametrize("method", ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/X"])
async def test_other_services_are_open(method: str) -> None:
    """Probes and tools have no tokens."""
    assert await handler_of(by_token(), (), UNARY, method) is UNARY


async def test_without_an_authenticator_everybody_may_call() -> None:
    """Nobody in particular, and the log does not repeat that in every line; a token is not looked at."""
    metadata = (("authorization", "Bearer any"),)
    made = await handler_of(None, metadata, UNARY)

    with structlog.testing.capture_logs() as lines:
        answer = await made.unary_unary(b"", FakeContext(given_metadata=metadata))

    assert image_pb2.ImageResult.FromString(answer).model == ANONYMOUS.name
    assert "caller" not in lines[0]
