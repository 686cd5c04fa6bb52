"""Our google provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.google import PROVIDER, GoogleSettings
from imagegen_server.providers.registry import ProviderEntry, Registry

from .generation import Workshop, workshop_of
from .google_api import KEY, FakeGoogle, fake_google

MODEL = "google/gemini-3-pro-image"


@dataclass
class GoogleWorkshop:
    """An engine with the provider `google`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeGoogle


@asynccontextmanager
async def google_workshop(*, key: str = KEY) -> AsyncIterator[GoogleWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_google() as fake:
        http = HttpClient(HttpSettings(fake.base_url))
        entry = ProviderEntry("google", PROVIDER.name, PROVIDER.build("google", GoogleSettings()), http=http)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        built = workshop_of(entry, upstreams={entry.name: once})
        try:
            yield GoogleWorkshop(built, fake)
        finally:
            await Registry([entry]).close()
