"""Our openai provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.prices import Price
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.http.guarded_fetch import FetchSettings
from imagegen_server.providers.openai import PROVIDER, OpenAISettings
from imagegen_server.providers.registry import ProviderEntry, Registry

from .generation import Workshop, workshop_of
from .openai_api import FakeOpenAI, fake_openai

MODEL = "openai/gpt-image-2"


@dataclass
class OpenAIWorkshop:
    """An engine with the provider `openai`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeOpenAI


def openai_entry(
    base_url: str,
    *,
    settings: OpenAISettings | None = None,
    headers: Mapping[str, str] | None = None,
    engine: Literal["aiohttp", "httpx"] = "aiohttp",
    timeout: float = 600.0,
) -> ProviderEntry:
    """Set the provider up as the app does."""
    http = HttpClient(HttpSettings(base_url, headers=headers or {}, engine=engine))
    provider = PROVIDER.build("openai", settings or OpenAISettings())
    return ProviderEntry("openai", PROVIDER.name, provider, timeout, http)


@asynccontextmanager
async def openai_workshop(
    *,
    key: str = "sk-test",
    settings: OpenAISettings | None = None,
    headers: Mapping[str, str] | None = None,
    engine: Literal["aiohttp", "httpx"] = "aiohttp",
    timeout: float = 600.0,  # noqa: ASYNC109 - the provider's own
    prices: Mapping[str, Price] | None = None,
    fetch: FetchSettings | None = None,
) -> AsyncIterator[OpenAIWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_openai() as fake:
        entry = openai_entry(fake.base_url, settings=settings, headers=headers, engine=engine, timeout=timeout)
        once = UpstreamSettings((ProviderKey(Secret(key)),), retry=RetrySettings("none"))
        built = workshop_of(entry, prices=prices, upstreams={entry.name: once}, fetch=fetch)
        try:
            yield OpenAIWorkshop(built, fake)
        finally:
            await Registry([entry]).close()
