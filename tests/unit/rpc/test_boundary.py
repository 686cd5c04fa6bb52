"""The edge of every call: errors become statuses, and each call has one log line."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
import structlog
from google.protobuf.message import Message
from google.rpc import status_pb2
from imagegen.v1 import image_pb2
from imagegen_server.domain.errors import Failure, ImageError, Reason, Violation
from imagegen_server.generation.generation import BrokenGeneration
from imagegen_server.rpc.boundary import Boundary, note

from tests.support.context import Aborted, FakeContext
from tests.support.values import failed

METHOD = "/imagegen.v1.ImageService/Generate"
REQUEST, ANSWER = image_pb2.ImageInput(prompt="the secret prompt"), image_pb2.ImageResult(generation_id="gen_1")

PARSE = image_pb2.ImageInput.FromString

Handler = Callable[
    [Message, Any], Awaitable[Message] | AsyncGenerator[Message, None] | AsyncGenerator[Message | bytes, None]
]


async def wrapped(handler: Any, method: str = METHOD, slow_reader: float = 60.0) -> Any:
    """Let the boundary wrap a handler, as grpc would."""

    async def found(_details: grpc.HandlerCallDetails) -> Any:
        return handler

    details = cast("grpc.HandlerCallDetails", SimpleNamespace(method=method, invocation_metadata=()))
    return await Boundary(slow_reader).intercept_service(found, details)


async def unary(handler: Handler, context: FakeContext | None = None) -> tuple[Any, Any]:
    """Serve a unary call; returns its answer or its abort, and its log line."""
    made = await wrapped(grpc.unary_unary_rpc_method_handler(cast("Any", handler), PARSE))
    with structlog.testing.capture_logs() as lines:
        try:
            answer = await made.unary_unary(REQUEST.SerializeToString(), context or FakeContext())
        except Aborted as aborted:
            answer = aborted
    (line,) = lines
    return answer, line


async def stream(handler: Handler, context: FakeContext, slow_reader: float = 60.0) -> tuple[Any, Any]:
    """Serve a streaming call; returns its abort, if any, and its log line."""
    made = await wrapped(grpc.unary_stream_rpc_method_handler(cast("Any", handler), PARSE), slow_reader=slow_reader)
    aborted = None
    with structlog.testing.capture_logs() as lines:
        try:
            await made.unary_stream(REQUEST.SerializeToString(), context)
        except Aborted as problem:
            aborted = problem
    (line,) = lines
    return aborted, line


def raising(problem: BaseException) -> Handler:
    """Make a handler that fails."""

    async def handler(_request: Message, _context: Any) -> Message:
        note(generation_id="gen_1", request_id="req_1")
        raise problem

    return handler


async def test_a_good_call_has_its_answer_and_its_line() -> None:
    """Method, code, time and what was noted; nothing of the request."""

    async def handler(_request: Message, _context: Any) -> Message:
        note(model="test/any", images=2)
        return ANSWER

    answer, line = await unary(handler)

    assert answer == ANSWER.SerializeToString()
    assert (line["event"], line["log_level"], line["method"], line["code"]) == ("call", "info", METHOD, "OK")
    assert (line["model"], line["images"]) == ("test/any", 2)
    assert line["seconds"] >= 0
    assert "secret" not in str(line)


async def test_other_services_are_left_alone() -> None:
    """Health and reflection are not ours to wrap, and neither is a method that nobody has."""
    handler: Any = grpc.unary_unary_rpc_method_handler(cast("Any", raising(RuntimeError())))

    assert await wrapped(handler, "/grpc.health.v1.Health/Check") is handler
    assert await wrapped(None) is None


async def test_an_error_becomes_its_status() -> None:
    """Code, message and trailers of the contract; the line has reason, bill and the fields that are wrong."""
    violations = [Violation("options.count", "less")]

    aborted, line = await unary(raising(ImageError(Reason.INVALID_REQUEST, "no", violations=violations)))

    assert (aborted.code, aborted.message) == (grpc.StatusCode.INVALID_ARGUMENT, "no")
    assert aborted.trailers["imagegen-reason"] == "ERROR_REASON_INVALID_REQUEST"
    assert (line["code"], line["reason"], line["billed"]) == ("INVALID_ARGUMENT", "INVALID_REQUEST", "no")
    assert line["violations"] == ["options.count"]
    assert line["log_level"] == "info"


async def test_a_line_stays_short() -> None:
    """However much a caller writes into a model's name or a param's key, the log keeps a line of it."""

    async def handler(_request: Message, _context: Any) -> Message:
        note(model="m" * 100_000)
        raise ImageError(Reason.INVALID_REQUEST, "no", violations=[Violation("params." + "k" * 100_000, "no")] * 5000)

    _, line = await unary(handler)

    assert len(str(line)) < 10_000


async def test_a_broken_generation_tells_what_happened() -> None:
    """The details have the failures and attempts."""
    error = ImageError(Reason.TIMEOUT, "late")

    aborted, line = await unary(raising(BrokenGeneration(error, failed(Failure(0, error)))))

    assert aborted.code is grpc.StatusCode.DEADLINE_EXCEEDED
    status = status_pb2.Status.FromString(aborted.trailers["grpc-status-details-bin"])
    assert any(detail.Is(image_pb2.GenerationFailure.DESCRIPTOR) for detail in status.details)
    assert (line["reason"], line["billed"]) == ("TIMEOUT", "unknown")


async def test_a_fault_is_internal_and_its_text_is_kept_back() -> None:
    """Neither caller nor log read the text of an unexpected exception; both have the ids to find each other."""
    aborted, line = await unary(raising(RuntimeError("the secret prompt")))

    assert aborted.code is grpc.StatusCode.INTERNAL
    assert (aborted.trailers["imagegen-reason"], aborted.trailers["imagegen-billed"]) == (
        "ERROR_REASON_INTERNAL_ERROR",
        "unknown",
    )
    assert b"gen_1" in aborted.trailers["grpc-status-details-bin"]
    assert (line["log_level"], line["exception"], line["generation_id"]) == ("error", "RuntimeError", "gen_1")
    assert line["frames"]
    assert "secret" not in str(line) + str(aborted) + str(aborted.trailers)


async def test_what_this_version_lacks_is_unimplemented() -> None:
    """The caller reads which method it is; there is no reason of ours to give."""
    aborted, line = await unary(raising(NotImplementedError("Resume is not in this version of the server")))

    assert (aborted.code, aborted.trailers) == (grpc.StatusCode.UNIMPLEMENTED, {})
    assert "Resume" in aborted.message
    assert line["code"] == "UNIMPLEMENTED"


async def test_a_caller_that_left_is_noted() -> None:
    """Cancellation goes on its way, and the line says who ended the call."""
    made = await wrapped(grpc.unary_unary_rpc_method_handler(cast("Any", raising(asyncio.CancelledError())), PARSE))

    with structlog.testing.capture_logs() as lines, pytest.raises(asyncio.CancelledError):
        await made.unary_unary(REQUEST.SerializeToString(), FakeContext())

    assert [(line["code"], line["client_left"]) for line in lines] == [("CANCELLED", True)]


async def test_notes_of_two_calls_do_not_mix() -> None:
    """Each call has its own facts, also while another one is served; outside of a call a note is lost."""
    gate = asyncio.Event()

    async def waits(_request: Message, _context: Any) -> Message:
        note(model="first")
        await gate.wait()
        return ANSWER

    async def passes(_request: Message, _context: Any) -> Message:
        note(images=1)
        gate.set()
        return ANSWER

    first, second = [
        await wrapped(grpc.unary_unary_rpc_method_handler(cast("Any", handler), PARSE)) for handler in (waits, passes)
    ]
    note(model="nobody's")
    with structlog.testing.capture_logs() as lines:
        await asyncio.gather(
            *(made.unary_unary(REQUEST.SerializeToString(), FakeContext()) for made in (first, second))
        )

    assert [(line.get("model"), line.get("images")) for line in lines] == [(None, 1), ("first", None)]


async def test_a_stream_is_written_message_by_message() -> None:
    """What the handler yields is what is sent, in its order; what is written already is sent as it is."""
    context = FakeContext()

    async def handler(_request: Message, _context: Any) -> AsyncGenerator[Message | bytes, None]:
        for number in range(2):
            yield image_pb2.ImageResult(model=str(number))
        yield image_pb2.ImageResult(model="2").SerializeToString()

    aborted, line = await stream(handler, context)

    assert aborted is None
    assert [image_pb2.ImageResult.FromString(message).model for message in context.written] == ["0", "1", "2"]
    assert line["code"] == "OK"


async def test_an_error_in_a_stream_comes_after_what_was_sent() -> None:
    """Messages before it are not lost, and the generator is closed."""
    context, closed = FakeContext(), asyncio.Event()

    async def handler(_request: Message, _context: Any) -> AsyncGenerator[Message, None]:
        try:
            yield ANSWER
            raise ImageError(Reason.PROVIDER_ERROR, "it broke")
        finally:
            closed.set()

    aborted, line = await stream(handler, context)

    assert context.written == [ANSWER.SerializeToString()]
    assert aborted.code is grpc.StatusCode.INTERNAL
    assert line["reason"] == "PROVIDER_ERROR"
    assert closed.is_set()


async def test_a_reader_that_takes_nothing_is_ended() -> None:
    """After the time of a slow reader the stream is CANCELLED, and the generator is closed."""
    closed = asyncio.Event()

    class Stuck(FakeContext):
        async def write(self, message: bytes) -> None:  # noqa: ARG002 - takes nothing
            await asyncio.Event().wait()

    async def handler(_request: Message, _context: Any) -> AsyncGenerator[Message, None]:
        try:
            yield ANSWER
        finally:
            closed.set()

    aborted, line = await stream(handler, Stuck(), slow_reader=0.01)

    assert aborted.code is grpc.StatusCode.CANCELLED
    assert line["reason"] == "CANCELLED"
    assert closed.is_set()
