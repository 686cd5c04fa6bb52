"""Our sdapi provider in front of a fake server, without a server of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.registry import ProviderEntry, Registry
from imagegen_server.providers.sdapi import PROVIDER, SdapiSettings
from imagegen_server.providers.sdapi.provider import Sdapi
from imagegen_server.providers.sdapi.watching import Pace

from .generation import Workshop, workshop_of
from .sdapi_api import FakeSdapi, Flavor, fake_sdapi

MODEL = "sdapi/default"
AT_ONCE = Pace(previews=0.002, progress=0.002, costly=1.0)
"""Ask without waiting."""

UNASKED = Pace(previews=0.002, progress=600.0)
"""Ask only where previews are wanted."""


@dataclass
class SdapiWorkshop:
    """An engine with the provider `sdapi`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeSdapi
    provider: Sdapi


def sdapi_entry(base_url: str, settings: SdapiSettings | None = None, pace: Pace = AT_ONCE) -> ProviderEntry:
    """Set the provider up as the app does, but that it asks at once."""
    provider = Sdapi("sdapi", settings or SdapiSettings(), pace)
    return ProviderEntry("sdapi", PROVIDER.name, provider, http=HttpClient(HttpSettings(base_url)))


@asynccontextmanager
async def sdapi_workshop(
    flavor: Flavor = "forge", settings: SdapiSettings | None = None, *, key: str = "", pace: Pace = AT_ONCE
) -> AsyncIterator[SdapiWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_sdapi(flavor, locked=bool(key)) as fake:
        entry = sdapi_entry(fake.base_url, settings, pace)
        assert isinstance(entry.provider, Sdapi)
        keys = (ProviderKey(Secret(key)),) if key else ()
        once = UpstreamSettings(keys, retry=RetrySettings("none"))
        try:
            yield SdapiWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake, entry.provider)
        finally:
            await Registry([entry]).close()
