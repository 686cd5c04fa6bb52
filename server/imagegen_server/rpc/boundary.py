"""The edge of every RPC: one place where errors become statuses, and one log line for each call."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeAlias, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.route import arriving_by
from imagegen_server.generation.faults import describe_fault
from imagegen_server.generation.generation import BrokenGeneration

from .callers import Authenticator, acting_for
from .route import route_of
from .status import MAX_VIOLATIONS, Trailers, status_of
from .wire import IMAGES_OF, MAX_BESIDE_IMAGES, Paths, bytes_beside_images

_SERVICES = "/imagegen.v1."
_LONGEST_FACT = 200
"""Characters of one fact in a log line: a caller may have made it long."""

_IDS = ("generation_id", "request_id")
_logger = structlog.get_logger("imagegen.call")

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


_facts: ContextVar[dict[str, object]] = ContextVar("call_facts")


def note(**facts: object) -> None:
    """Add facts to the log line of the call that is being served: ids, sizes, times; never bytes, keys or prompts."""
    _facts.get({}).update(facts)


class Boundary(grpc.aio.ServerInterceptor):
    """Wraps every method of our services. Handlers only return or yield messages, or raise.

    A streaming one may yield bytes: a message that is written already.
    """

    def __init__(self, slow_reader: float, authenticator: Authenticator | None = None) -> None:
        """End a stream whose reader takes nothing for `slow_reader` seconds. No `authenticator`: everybody may call."""
        self._server_id = secrets.token_hex(8)
        self._slow_reader = slow_reader
        self._authenticator = authenticator
        self._wrapped: dict[str, _Handler] = {}
        """By method: a server asks for the handler with every call, and it is always the same."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Wrap the handler, unless the service is not ours."""
        method = handler_call_details.method
        if self._authenticator and method.startswith(_SERVICES):
            try:
                self._authenticator.by_token(handler_call_details.invocation_metadata)
            except ImageError as problem:
                return _refusing(method, problem)
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(_SERVICES):
            return handler
        self._wrapped[method] = self._wrap(handler, method)
        return self._wrapped[method]

    def _wrap(self, handler: "grpc.RpcMethodHandler[Any, Any]", method: str) -> _Handler:
        unary = cast("Callable[[Message, Context], Awaitable[Message]]", handler.unary_unary)
        paths = IMAGES_OF.get(method.rpartition("/")[2], {})
        streaming = cast("Callable[[Message, Context], AsyncGenerator[Message | bytes, None]]", handler.unary_stream)

        # grpc keeps what `abort` raises, in a circle with the context, until the collector comes by. So it is called
        # where neither the request nor what went wrong, with the frames that it came through, can be reached.
        async def answer(request: bytes, context: Context) -> bytes:
            with _CallLine(method) as line:
                try:
                    with self._identified(context):
                        # Written here, because grpc would keep the message beside its bytes until all is sent.
                        message = await unary(_parse(request, handler.request_deserializer, paths), context)
                        return message.SerializeToString()
                except Exception as problem:  # noqa: BLE001 - a fault in one call must not touch the others
                    refusal = line.refusal(problem)
                finally:
                    del request
                return await context.abort(*refusal)

        async def stream(request: bytes, context: Context) -> None:
            with _CallLine(method) as line:
                try:
                    with self._identified(context):
                        await self._send(
                            context, streaming(_parse(request, handler.request_deserializer, paths), context)
                        )
                        return
                except Exception as problem:  # noqa: BLE001 - as above
                    refusal = line.refusal(problem)
                finally:
                    del request
                await context.abort(*refusal)

        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(cast("Any", stream), None, None)
        return grpc.unary_unary_rpc_method_handler(cast("Any", answer), None, None)

    @contextmanager
    def _identified(self, context: Context) -> Iterator[None]:
        """Know who calls, and by which way.

        :raises ImageError: CALLER_UNAUTHENTICATED, or as route_of
        """
        with arriving_by(route_of(context.invocation_metadata() or (), self._server_id)):
            if self._authenticator is None:
                yield
                return
            with self._acting(self._authenticator, context):
                yield

    @contextmanager
    def _acting(self, authenticator: Authenticator, context: Context) -> Iterator[None]:
        try:
            caller = authenticator.identify(context)
        except ImageError:
            note(peer=context.peer())
            raise
        note(caller=caller.name)
        with acting_for(caller):
            yield

    async def _send(self, context: Context, messages: AsyncGenerator[Message | bytes, None]) -> None:
        async with aclosing(messages):
            async for message in messages:
                await self._write(context, message if isinstance(message, bytes) else message.SerializeToString())

    async def _write(self, context: Context, message: bytes) -> None:
        try:
            async with asyncio.timeout(self._slow_reader):
                await context.write(message)
        except TimeoutError:
            raise ImageError(Reason.CANCELLED, f"the reader took nothing for {self._slow_reader:g} s") from None


def _refusing(method: str, error: ImageError) -> _Handler:
    """Answer a call of a stranger without reading its request, which may be large."""

    async def refuse(_requests: object, context: Context) -> None:
        with _CallLine(method) as line:
            note(peer=context.peer())
            refusal = line.refusal(error)
            await context.abort(*refusal)

    return grpc.stream_stream_rpc_method_handler(cast("Any", refuse), None, None)


def _parse(data: bytes, deserialize: Callable[[bytes], Message] | None, paths: Paths) -> Message:
    """Read a request, after a look at what parsing it would cost.

    :raises ImageError: INVALID_REQUEST
    """
    assert deserialize is not None
    if len(data) > MAX_BESIDE_IMAGES and bytes_beside_images(data, paths) > MAX_BESIDE_IMAGES:
        raise ImageError(
            Reason.INVALID_REQUEST,
            f"the request has more than {MAX_BESIDE_IMAGES} bytes that are no image: prompts, params or unknown fields",
        )
    try:
        return deserialize(data)
    except DecodeError:
        raise ImageError(
            Reason.INVALID_REQUEST,
            "the request is no message of this method: damaged, not UTF-8, or too deep",
        ) from None


class _CallLine:
    """The log line of one call, written when it ends."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._facts: dict[str, object] = {}
        self._code = "OK"

    def __enter__(self) -> Self:
        self._token = _facts.set(self._facts)
        self._start = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _facts.reset(self._token)
        if kind is asyncio.CancelledError:
            self._code, self._facts["client_left"] = "CANCELLED", True
        write = _logger.error if "exception" in self._facts else _logger.info
        write(
            "call",
            method=self._method,
            code=self._code,
            seconds=round(time.monotonic() - self._start, 4),
            **{key: fact[:_LONGEST_FACT] if isinstance(fact, str) else fact for key, fact in self._facts.items()},
        )

    def refusal(self, problem: Exception) -> tuple[grpc.StatusCode, str, Trailers]:
        """Make the status of what went wrong, as `abort` of a context takes it."""
        if isinstance(problem, NotImplementedError):
            self._code = "UNIMPLEMENTED"
            return grpc.StatusCode.UNIMPLEMENTED, str(problem), ()
        failure = None
        if isinstance(problem, BrokenGeneration):
            error, failure = problem.error, problem.failure
        elif isinstance(problem, ImageError):
            error = problem
        else:
            # Before there is a generation nothing can have been spent.
            billed = Billed.UNKNOWN if "generation_id" in self._facts else Billed.NO
            error = ImageError(Reason.INTERNAL_ERROR, "a fault of this server; its log has the details", billed=billed)
            self._facts |= describe_fault(problem)
        ids = {key: str(fact) for key, fact in self._facts.items() if key in _IDS}
        error = error.with_metadata(ids | error.metadata)
        code, message, trailers = status_of(error, failure)
        self._code = code.name
        self._facts |= {"reason": error.reason.name, "billed": error.billed.name.lower()}
        if error.violations:
            fields = [violation.field[:_LONGEST_FACT] for violation in error.violations[:MAX_VIOLATIONS]]
            self._facts["violations"] = fields
        return code, message, trailers
