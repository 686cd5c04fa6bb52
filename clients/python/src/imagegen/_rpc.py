"""Waiting for an RPC, so that every end of it is an ImageGenError and only one's own cancellation a CancelledError."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar, cast

import grpc

from imagegen._errors import cancelled, error_from_rpc

_ResponseT = TypeVar("_ResponseT")
_STOPPED: Final = "the call was stopped on this side"


async def receive(call: grpc.aio.UnaryStreamCall[Any, _ResponseT], *, free: bool = False) -> _ResponseT | None:
    """The next message of a stream, or None at its good end. Cancelling this cancels the RPC.

    Raises:
        ImageGenError: the RPC failed, or was cancelled on this side by somebody else than the waiting task.
    """
    try:
        message = await call.read()
    except grpc.aio.AioRpcError as rpc_error:
        raise error_from_rpc(rpc_error, free=free) from rpc_error
    except asyncio.CancelledError:
        if _waiting_was_cancelled():
            raise
        raise cancelled(_STOPPED) from None
    return None if message is grpc.aio.EOF else cast("_ResponseT", message)


async def answer(call: grpc.aio.UnaryUnaryCall[Any, _ResponseT], *, free: bool = False) -> _ResponseT:
    """The answer of a unary call. Cancelling this cancels the RPC.

    Raises:
        ImageGenError: as in `receive`.
    """
    try:
        return await call
    except grpc.aio.AioRpcError as rpc_error:
        raise error_from_rpc(rpc_error, free=free) from rpc_error
    except asyncio.CancelledError:
        if _waiting_was_cancelled():
            raise
        raise cancelled(_STOPPED) from None


def _waiting_was_cancelled() -> bool:
    """Whether it is the task that waits: grpc reports an RPC that was cancelled here in the same way."""
    task = asyncio.current_task()
    return task is not None and bool(task.cancelling())
