"""Our fal provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.polling import Pace
from imagegen_server.providers.fal import PROVIDER, FalSettings
from imagegen_server.providers.fal.provider import Fal
from imagegen_server.providers.registry import ProviderEntry, Registry

from .fal_api import KEY, FakeFal, fake_fal
from .generation import Workshop, workshop_of

MODEL = "fal/fal-ai/flux/dev"
HERE = FalSettings(run_url="/run", api_url="/v1")
"""Streams and the list are on the host of the fake, too."""

PACE = Pace(first=0.005, factor=1.5, longest=0.02, patience=1.0)


@dataclass
class FalWorkshop:
    """An engine with the provider `fal`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeFal
    entry: ProviderEntry


AT_ONCE = Pace(first=0.001, factor=1.0, longest=0.001, patience=0.01)
"""For answers by the thousand."""


def fal_provider(settings: FalSettings = HERE, pace: Pace = AT_ONCE) -> Fal:
    """Build the provider, as one that does not wait long before it asks again, and soon gives up."""
    return Fal("fal", settings, pace)


def fal_entry(base_url: str, settings: FalSettings = HERE, pace: Pace = PACE) -> ProviderEntry:
    """Set the provider up as the app does."""
    http = HttpClient(HttpSettings(base_url))
    return ProviderEntry("fal", PROVIDER.name, fal_provider(settings, pace), http=http)


@asynccontextmanager
async def fal_workshop(
    *, key: str = KEY, settings: FalSettings = HERE, pace: Pace = PACE
) -> AsyncIterator[FalWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_fal() as fake:
        entry = fal_entry(fake.base_url, settings, pace)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        try:
            yield FalWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake, entry)
        finally:
            await Registry([entry]).close()
