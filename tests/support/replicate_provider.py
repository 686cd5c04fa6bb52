"""Our replicate provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.capabilities import Model
from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.polling import Pace
from imagegen_server.providers.registry import ProviderEntry, Registry
from imagegen_server.providers.replicate import PROVIDER, ReplicateSettings
from imagegen_server.providers.replicate.provider import Replicate

from .generation import Workshop, workshop_of
from .replicate_api import KEY, FakeReplicate, fake_replicate

MODEL = "replicate/black-forest-labs/flux-schnell"
PACE = Pace(first=0.005, factor=1.5, longest=0.02, patience=1.0)


@dataclass
class ReplicateWorkshop:
    """An engine with the provider `replicate`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeReplicate
    entry: ProviderEntry
    key: Secret

    async def list_models(self) -> Sequence[Model]:
        """Read the vendor's list."""
        assert self.entry.http is not None
        return await self.entry.provider.list_models(self.entry.http, self.key)


def replicate_provider(settings: ReplicateSettings | None = None, pace: Pace = PACE) -> Replicate:
    """Build the provider, as one that does not wait long before it asks again."""
    return Replicate("replicate", settings or ReplicateSettings(), pace)


def replicate_entry(base_url: str, settings: ReplicateSettings | None = None, pace: Pace = PACE) -> ProviderEntry:
    """Set the provider up as the app does."""
    http = HttpClient(HttpSettings(base_url))
    return ProviderEntry("replicate", PROVIDER.name, replicate_provider(settings, pace), http=http)


@asynccontextmanager
async def replicate_workshop(
    *, key: str = KEY, settings: ReplicateSettings | None = None, pace: Pace = PACE
) -> AsyncIterator[ReplicateWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_replicate() as fake:
        entry = replicate_entry(fake.base_url, settings, pace)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        try:
            yield ReplicateWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake, entry, Secret(key))
        finally:
            await Registry([entry]).close()
