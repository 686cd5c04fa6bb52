"""Two servers, as processes, that share a Redis: each with a way to it that can be cut, and with a clock of its own."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from imagegen.v1 import image_service_pb2_grpc
from imagegen_server.config.callers import TokensTable

from .faults_setup import connected, remote_environment
from .openai_api import FakeOpenAI
from .process import ServerProcess, server_process
from .redis_server import RedisServer, redis_server
from .tcp_relay import TcpRelay
from .wrong_clock import wrong_clock


@dataclass(frozen=True)
class Place:
    """One of the servers, and stubs to call it."""

    server: ServerProcess
    images: "image_service_pb2_grpc.ImageServiceAsyncStub"
    relay: TcpRelay
    """Its way to Redis."""
    redis: RedisServer
    clock: Path
    """For `set_clock`, if the clock was not right at the start."""


@asynccontextmanager
async def places(
    vendor: FakeOpenAI,
    folder: Path,
    *,
    clocks: Sequence[float] = (0.0, 0.0),
    tokens: TokensTable | None = None,
    ttl: str = "15m",
) -> AsyncIterator[tuple[Place, Place]]:
    """Start two servers that share a Redis.

    `clocks`: how many seconds theirs are ahead; `tokens`: who may call, None = everybody; `ttl`: that of the store.
    """
    rights = {"IMAGEGEN__SERVER__TOKENS__FILE": str(tokens.file)} if tokens else {}
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(redis_server(tcp=True))
        prefix, made = secrets.token_hex(8), []
        for name, skew in zip(("one", "other"), clocks, strict=True):
            (folder / name).mkdir()
            relay = await stack.enter_async_context(TcpRelay(f"127.0.0.1:{redis.port}"))
            keys = {"URL": f"redis://{relay.address}", "PREFIX": prefix, "TTL": ttl}
            environment = remote_environment(vendor.base_url) | {
                **{f"IMAGEGEN__STORE__{key}": value for key, value in keys.items()},
                **stack.enter_context(wrong_clock(skew, folder / name / "clock")),
            }
            server = await stack.enter_async_context(server_process(folder / name, **environment, **rights))
            images = await stack.enter_async_context(connected(server.address))
            made.append(Place(server, images, relay, redis, folder / name / "clock"))
        yield made[0], made[1]
