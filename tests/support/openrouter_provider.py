"""Our openrouter provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.catalogue import Catalogue
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import Upstream, UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import NoSettings
from imagegen_server.providers.openrouter import PROVIDER
from imagegen_server.providers.registry import ProviderEntry, Registry

from .generation import Workshop, workshop_of
from .openrouter_api import KEY, FakeOpenRouter, fake_openrouter

MODEL = "openrouter/openai/gpt-image-2"
SEEDREAM = "openrouter/bytedance-seed/seedream-4.5"


@dataclass
class OpenRouterWorkshop:
    """An engine with the provider `openrouter`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeOpenRouter
    entry: ProviderEntry


def openrouter_entry(base_url: str) -> ProviderEntry:
    """Set the provider up as the app does."""
    http = HttpClient(HttpSettings(base_url))
    return ProviderEntry("openrouter", PROVIDER.name, PROVIDER.build("openrouter", NoSettings()), http=http)


def catalogue(key: str = KEY) -> Catalogue:
    """Make what asks for the vendor's list."""
    return Catalogue({"openrouter": Upstream(UpstreamSettings((ProviderKey(Secret(key)),)))})


@asynccontextmanager
async def openrouter_workshop(*, key: str = KEY, listed: bool = False) -> AsyncIterator[OpenRouterWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice.

    `listed`: the vendor's list has been read before, as ListModels does; it is not among the fake's requests.
    """
    async with fake_openrouter() as fake:
        entry = openrouter_entry(fake.base_url)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        try:
            if listed:
                await catalogue(key).models(entry)
                fake.requests.clear()
            yield OpenRouterWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake, entry)
        finally:
            await Registry([entry]).close()
