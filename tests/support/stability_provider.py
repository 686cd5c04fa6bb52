"""Our stability provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.polling import Pace
from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.registry import ProviderEntry, Registry
from imagegen_server.providers.stability import PROVIDER
from imagegen_server.providers.stability.provider import Stability

from .generation import Workshop, workshop_of
from .stability_api import KEY, FakeStability, fake_stability

MODEL = "stability/core"
EDITOR = "stability/control/structure"
LATER = "stability/upscale/creative"
"""One whose picture is asked after."""

AT_ONCE = Pace(first=0, longest=0.01)
"""Ask without waiting."""


@dataclass
class StabilityWorkshop:
    """An engine with the provider `stability`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeStability


def stability_entry(base_url: str) -> ProviderEntry:
    """Set the provider up as the app does, but that it asks after generations at once."""
    http = HttpClient(HttpSettings(base_url))
    return ProviderEntry("stability", PROVIDER.name, Stability("stability", NoSettings(), AT_ONCE), http=http)


@asynccontextmanager
async def stability_workshop(*, key: str = KEY) -> AsyncIterator[StabilityWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_stability() as fake:
        entry = stability_entry(fake.base_url)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        try:
            yield StabilityWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake)
        finally:
            await Registry([entry]).close()
