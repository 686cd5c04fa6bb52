"""Our bfl provider in front of a fake of the vendor, without a server."""

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
from imagegen_server.providers.bfl import PROVIDER
from imagegen_server.providers.bfl.provider import BFL
from imagegen_server.providers.registry import ProviderEntry, Registry

from .bfl_api import KEY, FakeBFL, fake_bfl
from .generation import Workshop, workshop_of

MODEL = "bfl/flux-2-pro"
AT_ONCE = Pace(first=0, longest=0.01)
"""Ask without waiting."""


@dataclass
class BFLWorkshop:
    """An engine with the provider `bfl`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeBFL


def bfl_entry(base_url: str) -> ProviderEntry:
    """Set the provider up as the app does, but that it asks after tasks at once."""
    http = HttpClient(HttpSettings(base_url))
    return ProviderEntry("bfl", PROVIDER.name, BFL("bfl", NoSettings(), AT_ONCE), http=http)


@asynccontextmanager
async def bfl_workshop(*, key: str = KEY) -> AsyncIterator[BFLWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_bfl() as fake:
        entry = bfl_entry(fake.base_url)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        try:
            yield BFLWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake)
        finally:
            await Registry([entry]).close()
