"""Our azure provider in front of a fake of the vendor, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.azure import PROVIDER, AzureSettings
from imagegen_server.providers.azure.settings import PATHS, base_url_of
from imagegen_server.providers.registry import ProviderEntry, Registry

from .azure_api import DEPLOYMENTS, KEY, FakeAzure, fake_azure
from .generation import Workshop, workshop_of

MODEL = "azure/pictures"


@dataclass
class AzureWorkshop:
    """An engine with the provider `azure`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeAzure
    entry: ProviderEntry


def azure_entry(settings: AzureSettings) -> ProviderEntry:
    """Set the provider up as the app does."""
    http = HttpClient(HttpSettings(base_url_of(settings)))
    return ProviderEntry("azure", PROVIDER.name, PROVIDER.build("azure", settings), http=http)


@asynccontextmanager
async def azure_workshop(
    settings: AzureSettings | None = None, *, key: str = KEY, named: bool = True
) -> AsyncIterator[AzureWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice. "" = no key.

    `named`: the settings tell the models of the deployments.
    """
    settings = settings or AzureSettings()
    async with fake_azure(PATHS[settings.url_style]) as fake:
        entry = azure_entry(
            replace(settings, endpoint=fake.endpoint, deployments=DEPLOYMENTS if named else settings.deployments)
        )
        once = UpstreamSettings((ProviderKey(Secret(key)),) if key else (), retry=RetrySettings("none"))
        try:
            yield AzureWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake, entry)
        finally:
            await Registry([entry]).close()
