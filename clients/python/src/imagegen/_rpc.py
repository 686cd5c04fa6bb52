"""Waiting for an RPC, so that every end of it is an ImageGenError and only one's own cancellation a CancelledError."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

import grpc

from imagegen._errors import cancelled, error_from_rpc

_ResponseT = TypeVar("_ResponseT")


async def receive(call: grpc.aio.UnaryStreamCall[Any, _ResponseT], *, free: bool = False) -> _ResponseT | None:
    """The next message of a stream, or None at its good end. Cancelling this cancels the RPC.

    Raises:
        ImageGenError: the RPC failed, or was cancelled on this side by somebody else than the waiting task.
    """
    message = await _settled(call.read(), free=free)
    return None if message is grpc.aio.EOF else cast("_ResponseT", message)


async def answer(call: grpc.aio.UnaryUnaryCall[Any, _ResponseT], *, free: bool = False) -> _ResponseT:
    """The answer of a unary call. Cancelling this cancels the RPC.

    Raises:
        ImageGenError: as in `receive`.
    """
    return await _settled(call, free=free)


async def _settled(waiting: Awaitable[_ResponseT], *, free: bool) -> _ResponseT:
    try:
        return await waiting
    except grpc.aio.AioRpcError as rpc_error:
        raise error_from_rpc(rpc_error, free=free) from rpc_error
    except asyncio.CancelledError:
        # grpc reports an RPC that was cancelled here as the cancellation of whoever waits for it.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise cancelled("the call was stopped on this side") from None
