"""Our xai provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.registry import ProviderEntry, Registry
from imagegen_server.providers.xai import PROVIDER

from .generation import Workshop, workshop_of
from .xai_api import KEY, FakeXAI, fake_xai

MODEL = "xai/grok-imagine-image-2.0"


@dataclass
class XAIWorkshop:
    """An engine with the provider `xai`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeXAI


def xai_entry(base_url: str) -> ProviderEntry:
    """Set the provider up as the app does."""
    http = HttpClient(HttpSettings(base_url))
    return ProviderEntry("xai", PROVIDER.name, PROVIDER.build("xai", NoSettings()), http=http)


@asynccontextmanager
async def xai_workshop(*, key: str = KEY) -> AsyncIterator[XAIWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_xai() as fake:
        entry = xai_entry(fake.base_url)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        try:
            yield XAIWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake)
        finally:
            await Registry([entry]).close()
