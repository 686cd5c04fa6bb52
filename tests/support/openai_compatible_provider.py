"""Our openai-compatible provider in front of a fake of a server, without a server of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.guarded_fetch import FetchSettings
from imagegen_server.providers.openai_compatible import PROVIDER, CompatibleSettings
from imagegen_server.providers.openai_compatible.settings import Dialect
from imagegen_server.providers.registry import ProviderEntry, Registry

from .generation import Workshop, workshop_of
from .openai_compatible_api import KEY, MODEL, FakeServer, fake_server

NAMES = {"recraft": "recraftv3", "sd-server": "sd-cpp-local"}
"""Models of servers that do not take any name."""


def model_of(dialect: str) -> str:
    """Name a model of a server as callers do."""
    return f"house/{NAMES.get(dialect, MODEL)}"


@dataclass
class CompatibleWorkshop:
    """An engine with a provider `house` of the type `openai-compatible`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeServer
    entry: ProviderEntry
    model: str


def compatible_entry(base_url: str, settings: CompatibleSettings) -> ProviderEntry:
    """Set the provider up as the app does."""
    http = HttpClient(HttpSettings(base_url))
    return ProviderEntry("house", PROVIDER.name, PROVIDER.build("house", settings), http=http)


@asynccontextmanager
async def compatible_workshop(
    dialect: Dialect, settings: CompatibleSettings | None = None, *, key: str = KEY
) -> AsyncIterator[CompatibleWorkshop]:
    """Run the fake of a dialect and an engine in front of it until the block ends. Nothing is sent twice. "" = no key.

    `settings` are those of the dialect alone, unless said otherwise.
    """
    async with fake_server(dialect) as fake:
        entry = compatible_entry(fake.base_url, settings or CompatibleSettings(dialect))
        once = UpstreamSettings((ProviderKey(Secret(key)),) if key else (), retry=RetrySettings("none"))
        made = workshop_of(entry, upstreams={entry.name: once}, fetch=FetchSettings())
        try:
            yield CompatibleWorkshop(made, fake, entry, model_of(dialect))
        finally:
            await Registry([entry]).close()
