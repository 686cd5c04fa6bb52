"""Our vertex provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.registry import ProviderEntry, Registry
from imagegen_server.providers.vertex import PROVIDER, VertexSettings

from .generation import Workshop, workshop_of
from .vertex_api import KEY, FakeVertex, fake_vertex

MODEL = "vertex/gemini-3-pro-image"


@dataclass
class VertexWorkshop:
    """An engine with the provider `vertex`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeVertex
    entry: ProviderEntry


@asynccontextmanager
async def vertex_workshop(
    settings: VertexSettings | None = None, *, key: str = KEY, http: HttpSettings | None = None
) -> AsyncIterator[VertexWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice.

    `key` "" = none: tokens prove who asks. `http` in place of what leads to the fake.
    """
    settings = settings or VertexSettings()
    async with fake_vertex(settings.place) as fake:
        client = HttpClient(http or HttpSettings(fake.base_url))
        entry = ProviderEntry("vertex", PROVIDER.name, PROVIDER.build("vertex", settings), http=client)
        once = UpstreamSettings((ProviderKey(Secret(key)),) if key else (), retry=RetrySettings("none"))
        try:
            yield VertexWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake, entry)
        finally:
            await Registry([entry]).close()
