"""A server that answers as a case says, call by call, and sees whether it was asked as the case says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from conformance.v1 import case_pb2
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc import status_pb2
from imagegen.v1 import image_service_pb2, model_service_pb2

from .comparing import as_json, differences

_MOST_BYTES: Final = 70 * 1024 * 1024
_PATIENCE: Final = 10.0
_DETAILS: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_REQUESTS: Final[Mapping[str, Callable[[bytes], Message]]] = {
    "Generate": image_service_pb2.GenerateRequest.FromString,
    "StreamGenerate": image_service_pb2.GenerateRequest.FromString,
    "Edit": image_service_pb2.EditRequest.FromString,
    "StreamEdit": image_service_pb2.EditRequest.FromString,
    "Resume": image_service_pb2.ResumeRequest.FromString,
    "Cancel": image_service_pb2.CancelRequest.FromString,
    "ReadImage": image_service_pb2.ReadImageRequest.FromString,
    "UploadImage": image_service_pb2.UploadImageRequest.FromString,
    "Explain": image_service_pb2.ExplainRequest.FromString,
    "ListModels": model_service_pb2.ListModelsRequest.FromString,
    "GetModel": model_service_pb2.GetModelRequest.FromString,
}
_WANTS: Final = ("wantGenerate", "wantEdit", "wantResume", "wantCancel", "wantRead", "wantUpload")


@dataclass
class ScriptedServer:
    """Plays one script. `problems` says where it was not asked as the script says."""

    replies: Sequence[dict[str, Any]]
    address: str = ""
    made: int = 0
    problems: list[str] = field(default_factory=list)
    held: set[asyncio.Task[Any]] = field(default_factory=set)

    async def unplayed(self) -> list[str]:
        """Tell which replies nobody asked for. What a client does in the background may take a moment."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while self.made < len(self.replies):  # noqa: ASYNC110 - a counter, no event
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return [f"{reply['method']} was not called" for reply in self.replies[self.made :]]
        return []

    async def answer(
        self, method: str, request: bytes, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[bytes]:
        """Play the next reply."""
        number, self.made = self.made, self.made + 1
        reply = self.replies[number] if number < len(self.replies) else None
        if reply is None or reply["method"] != method:
            due = reply["method"] if reply else "no more"
            self.problems.append(f"call {number} was {method}; the script has {due}")
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not in the script")
            return
        self._look_at(number, reply, request, context)
        if metadata := reply.get("metadata"):
            await context.send_initial_metadata(tuple(metadata.items()))
            await asyncio.sleep(reply.get("pauseMs", 0) / 1000)  # nothing tells when a client has them
        for message in ParseDict(reply, case_pb2.Reply()).messages:
            kind = message.WhichOneof("kind")
            value = getattr(message, kind or "")
            yield value if isinstance(value, bytes) else value.SerializeToString()
        if reply.get("hold"):
            await asyncio.get_running_loop().create_future()
        if "status" in reply:
            await _end(context, ParseDict(reply["status"], case_pb2.Status()))

    def _look_at(
        self, number: int, reply: Mapping[str, Any], request: bytes, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> None:
        at = f"call {number} ({reply['method']})"
        told = {str(key): value for key, value in context.invocation_metadata() or ()}
        self.problems += differences(reply.get("wantMetadata", {}), told, f"{at}: metadata")
        sent = as_json(_REQUESTS[reply["method"]](request))
        for want in _WANTS:
            self.problems += differences(reply.get(want, {}), sent, f"{at}: request")


async def _end(context: "grpc.aio.ServicerContext[Any, Any]", status: case_pb2.Status) -> None:
    trailers: list[tuple[str, str | bytes]] = list(status.trailers.items())
    if status.raw_details:
        trailers.append((_DETAILS, status.raw_details))
    elif status.details:
        code = status.details_code or status.code
        told = status_pb2.Status(code=code, message=status.message, details=status.details)
        trailers.append((_DETAILS, told.SerializeToString()))
    await context.abort(_CODES[status.code], status.message, tuple(trailers))


@asynccontextmanager
async def scripted_server(replies: Sequence[dict[str, Any]]) -> AsyncIterator[ScriptedServer]:
    """Serve a script on a free loopback port."""
    script = ScriptedServer(replies)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", _MOST_BYTES), ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_Handlers(script),))
    script.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield script
    finally:
        await server.stop(None)


class _Handlers(grpc.GenericRpcHandler):
    """Every method answers as a stream: on the wire a unary answer is a stream of one."""

    def __init__(self, script: ScriptedServer) -> None:
        self._script = script

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        method = details.method.rpartition("/")[2]
        if method not in _REQUESTS:
            return None

        async def answer(request: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> AsyncIterator[bytes]:
            async for message in self._script.answer(method, request, context):
                yield message

        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(answer)
        return handler
