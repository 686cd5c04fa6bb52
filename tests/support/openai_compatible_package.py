"""The official packages that speak to these servers: `openai`, which most of them document, and Together's own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from .openai_compatible_api import KEY, FakeServer, fake_server
from .openai_package import BASE_URL, sent_by_package
from .recording import RecordedRequest, recorded
from .tools import require_package

_VERSION = "/v1"
"""What Together's package has in its paths, and we in the base URL."""

__all__ = ["BASE_URL", "openai_on_fake", "sent_by_openai", "sent_by_together", "together_on_fake"]


async def sent_by_openai(call: Callable[[Any], Awaitable[object]]) -> RecordedRequest:
    """Make a call of `openai` and return what it would have sent; nothing leaves the process."""
    return await sent_by_package(
        call,
        lambda package, http: package.AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0, http_client=http),
    )


async def sent_by_together(call: Callable[[Any], Awaitable[object]]) -> RecordedRequest:
    """The same of `together`."""
    together = require_package("together")
    requests: list[RecordedRequest] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), request.read()))
        return httpx.Response(200, json={"id": "o", "model": "m", "object": "list", "data": []})

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http,
        together.AsyncTogether(
            base_url=BASE_URL.removesuffix(_VERSION), api_key=KEY, max_retries=0, http_client=http
        ) as client,
    ):
        await call(client)
    (request,) = requests
    return request


@asynccontextmanager
async def openai_on_fake(dialect: str, key: str = KEY) -> AsyncIterator[tuple[FakeServer, Any]]:
    """Run the fake of a dialect and a client of `openai` on it that tries nothing twice."""
    openai = require_package("openai")
    async with (
        fake_server(dialect) as fake,
        openai.AsyncOpenAI(
            base_url=fake.base_url,
            api_key=key,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
        ) as client,
    ):
        yield fake, client


@asynccontextmanager
async def together_on_fake(key: str = KEY) -> AsyncIterator[tuple[FakeServer, Any]]:
    """Run the fake of Together and a client of its package on it that tries nothing twice."""
    together = require_package("together")
    async with (
        fake_server("together") as fake,
        httpx.AsyncClient(trust_env=False) as http,
        together.AsyncTogether(
            base_url=fake.base_url.removesuffix(_VERSION), api_key=key, max_retries=0, http_client=http
        ) as client,
    ):
        yield fake, client
