"""The caller's token as call metadata."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

import grpc

_RequestT = TypeVar("_RequestT")
_ResponseT = TypeVar("_ResponseT")


def authorization(token: str | None) -> Sequence[tuple[str, str]]:
    """The metadata of a call; empty without a token."""
    return (("authorization", f"Bearer {token}"),) if token else ()


def authorization_interceptors(token: str) -> Sequence[grpc.aio.ClientInterceptor]:
    """Interceptors that add the token to every call of the two kinds that the API has."""
    return (_Unary(token), _Stream(token))


class _Authorized:
    def __init__(self, token: str) -> None:
        self._token = token

    def _add(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = details.metadata if details.metadata is not None else grpc.aio.Metadata()
        for key, value in authorization(self._token):
            metadata.add(key, value)
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class _Unary(_Authorized, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, _RequestT], Awaitable[grpc.aio.UnaryUnaryCall[_RequestT, _ResponseT]]
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: _RequestT,
    ) -> _ResponseT | grpc.aio.UnaryUnaryCall[_RequestT, _ResponseT]:
        return await continuation(self._add(client_call_details), request)


class _Stream(_Authorized, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self,
        continuation: Callable[
            [grpc.aio.ClientCallDetails, _RequestT], Awaitable[grpc.aio.UnaryStreamCall[_RequestT, _ResponseT]]
        ],
        client_call_details: grpc.aio.ClientCallDetails,
        request: _RequestT,
    ) -> AsyncIterator[_ResponseT] | grpc.aio.UnaryStreamCall[_RequestT, _ResponseT]:
        return await continuation(self._add(client_call_details), request)
