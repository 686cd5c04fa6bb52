"""The official `openai` package as it speaks to Azure: what it sends for a call, and a client of it on the fake."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from imagegen_server.providers.azure.settings import OLDEST_VERSION, PATHS

from .azure_api import KEY, FakeAzure, fake_azure
from .openai_package import sent_by_package
from .recording import RecordedRequest
from .tools import require_package

ENDPOINT = "https://acme.example"


def client_of(package: Any, http: Any, url_style: str, credentials: dict[str, Any], endpoint: str = ENDPOINT) -> Any:
    """Make a client as the vendor's pages do for a style of URLs: the newer one is that of OpenAI itself."""
    if url_style == "v1":
        (secret,) = credentials.values()
        return package.AsyncOpenAI(base_url=endpoint + PATHS["v1"], api_key=secret, max_retries=0, http_client=http)
    return package.AsyncAzureOpenAI(
        azure_endpoint=endpoint, api_version=OLDEST_VERSION, max_retries=0, http_client=http, **credentials
    )


async def sent_to_azure(
    call: Callable[[Any], Awaitable[object]], url_style: str, credentials: dict[str, Any]
) -> RecordedRequest:
    """Make a call of the package and return what it would have sent; nothing leaves the process."""
    return await sent_by_package(call, lambda package, http: client_of(package, http, url_style, credentials))


@asynccontextmanager
async def azure_package_on_fake(url_style: str, **credentials: Any) -> AsyncIterator[tuple[FakeAzure, Any]]:
    """Run a fake and a client of the package on it that tries nothing twice."""
    openai = require_package("openai")
    async with fake_azure(PATHS[url_style]) as fake:
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        endpoint = fake.endpoint.rstrip("/")
        async with client_of(openai, http, url_style, credentials or {"api_key": KEY}, endpoint) as client:
            yield fake, client
