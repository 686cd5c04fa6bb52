"""The gRPC server: its options, services, health and reflection."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2
from imagegen.v1 import image_service_pb2, image_service_pb2_grpc, model_service_pb2, model_service_pb2_grpc

from imagegen_server.domain.credentials import ServerCertificate

from .boundary import Boundary
from .callers import Authenticator
from .image_service import ImageService
from .model_service import ModelService
from .tls import server_credentials
from .watched import Watched

SERVICES = (
    image_service_pb2.DESCRIPTOR.services_by_name["ImageService"].full_name,
    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
)
SLOW_READER_SECONDS = 60.0
MAX_STREAMS = 4000
"""Calls of one connection at a time, those of health and reflection among them, which nothing else limits."""
_STOP_GRACE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where to listen ("host:port", port 0 = any free one), the largest request in bytes, and patience.

    `slow_reader` in seconds: a stream whose reader takes nothing for so long is ended. `share_port`: other processes
    listen on the same port. `max_connection_age` in seconds: a client whose connection is older, by a tenth more or
    less, is asked to connect anew; what runs on the old one runs on.
    """

    listen: str = "127.0.0.1:50051"
    max_receive_bytes: int = 65 * 1024 * 1024
    slow_reader: float = SLOW_READER_SECONDS
    share_port: bool = False
    max_connection_age: float | None = None


def channel_options(settings: ListenSettings) -> list[tuple[str, int]]:
    """Choose grpc's options for the connections of clients."""
    options = [
        ("grpc.max_receive_message_length", settings.max_receive_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", int(settings.share_port)),
        # Of one connection. Whoever has more waits at the client; max_calls is smaller, and refuses in words.
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        # A call may be silent for minutes while its client pings every 10 s; a stock server would hang up.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
        # Find out within a minute that a client has vanished without a word.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]
    if settings.max_connection_age:
        # Without grpc.max_connection_age_grace_ms, which would cut what still runs: nobody knows how long that takes.
        options.append(("grpc.max_connection_age_ms", round(settings.max_connection_age * 1000)))
    return options


def health_name(provider: str) -> str:
    """Make the name under which a provider's health can be asked for."""
    return f"provider/{provider}"


class _Health(health_aio.HealthServicer):  # type: ignore[misc]  # comes without types
    """Adds List, which grpcio-health-checking declares and does not answer for grpc.aio."""

    async def List(
        self,
        _request: health_pb2.HealthListRequest,
        _context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> health_pb2.HealthListResponse:
        statuses = {name: health_pb2.HealthCheckResponse(status=status) for name, status in self._server_status.items()}
        return health_pb2.HealthListResponse(statuses=statuses)


class Server:
    """One listening gRPC server."""

    def __init__(
        self,
        settings: ListenSettings,
        images: ImageService,
        models: ModelService,
        providers: Iterable[str],
        *,
        tls: Watched[ServerCertificate] | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        """Register the services. No `tls` = clear text; no `authenticator` = everybody may call."""
        self._settings = settings
        self._tls = tls
        boundary = Boundary(settings.slow_reader, authenticator)
        self._server = grpc.aio.server(options=channel_options(settings), interceptors=[boundary])
        self._health = _Health()
        self._names = ["", *SERVICES, *(health_name(provider) for provider in providers)]
        image_service_pb2_grpc.add_ImageServiceServicer_to_server(images, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._add_reflection()

    def _add_reflection(self) -> None:
        names = [*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)
        # grpcio-reflection speaks v1alpha only, while newer tools ask v1 first. The messages are the same on the wire.
        v1alpha = reflection.aio.ReflectionServicer(names)
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "grpc.reflection.v1.ServerReflection",
                    {
                        "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
                            v1alpha.ServerReflectionInfo,
                            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
                            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
                        )
                    },
                ),
            )
        )

    async def start(self) -> str:
        """Listen, say SERVING, and return the bound address.

        :raises OSError: the address cannot be bound
        """
        host, _, _ = self._settings.listen.rpartition(":")
        try:
            port = self._add_port(self._settings.listen)
        except RuntimeError as problem:
            raise OSError(f"cannot listen on {self._settings.listen}") from problem
        await self._server.start()
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return self._settings.listen if self._settings.listen.startswith("unix:") else f"{host}:{port}"

    def _add_port(self, listen: str) -> int:
        if self._tls:
            return self._server.add_secure_port(listen, server_credentials(self._tls))
        return self._server.add_insecure_port(listen)

    async def say_not_serving(self) -> None:
        """Tell load balancers to send new calls elsewhere."""
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """Hang up."""
        await self._server.stop(_STOP_GRACE_SECONDS)
