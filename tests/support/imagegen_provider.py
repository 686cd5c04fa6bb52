"""Our imagegen provider in front of whole servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from imagegen_server.config import ProviderConfig
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.providers.base import Provider
from imagegen_server.providers.imagegen import PROVIDER, ImagegenSettings

from .server import Running, as_config, running_server

FAR = "far"
"""The near server's name of the other one."""


def far_at(address: str, *, name: str = FAR, token: str = "", attempts: int = 1, **settings: Any) -> ProviderConfig:
    """Set another server up as a provider, as config does. Nothing is retried unless `attempts` says so."""
    keys = (ProviderKey(Secret(token)),) if token else ()
    upstream = UpstreamSettings(keys, retry=RetrySettings("linear", attempts, base_delay=0.0, ambiguous=attempts > 1))
    return ProviderConfig(name, PROVIDER, ImagegenSettings(address, **settings), 600.0, upstream=upstream)


@dataclass(frozen=True)
class Chain:
    """A server, and the one that it has as its provider `far`."""

    near: Running
    far: Running


@asynccontextmanager
async def chain(provider: Provider | None = None, *, attempts: int = 1, **near: Any) -> AsyncIterator[Chain]:
    """Run two servers until the block ends. The far one has the sandbox, and `provider` as "test"."""
    own = [as_config("test", provider)] if provider else []
    async with (
        running_server(*own, sandbox=True) as far,
        running_server(far_at(far.address, attempts=attempts), sandbox=True, **near) as server,
    ):
        yield Chain(server, far)
