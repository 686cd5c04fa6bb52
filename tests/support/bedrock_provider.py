"""Our bedrock provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.bedrock import PROVIDER, BedrockSettings
from imagegen_server.providers.registry import ProviderEntry, Registry

from .bedrock_api import KEY, REGION, FakeBedrock, fake_bedrock
from .generation import Workshop, workshop_of

MODEL = "bedrock/stability.stable-image-core-v1:1"
EDITOR = "bedrock/us.stability.stable-image-control-structure-v1:0"


@dataclass
class BedrockWorkshop:
    """An engine with the provider `bedrock`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeBedrock
    entry: ProviderEntry


def bedrock_entry(base_url: str, settings: BedrockSettings | None = None) -> ProviderEntry:
    """Set the provider up as the app does."""
    http = HttpClient(HttpSettings(base_url))
    provider = PROVIDER.build("bedrock", settings or BedrockSettings(REGION))
    return ProviderEntry("bedrock", PROVIDER.name, provider, http=http)


@asynccontextmanager
async def bedrock_workshop(*, key: str = KEY) -> AsyncIterator[BedrockWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice. "" = no key: it signs."""
    async with fake_bedrock() as fake:
        entry = bedrock_entry(fake.base_url)
        keys = (ProviderKey(Secret(key)),) if key else ()
        once = UpstreamSettings(keys, retry=RetrySettings("none"))
        try:
            yield BedrockWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake, entry)
        finally:
            await Registry([entry]).close()
