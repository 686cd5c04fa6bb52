"""The vendor's official `openrouter` package: on the fake, and what it sends for a call."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from .openrouter_api import KEY, FakeOpenRouter, fake_openrouter
from .recording import RecordedRequest, recorded
from .tools import require_package

BASE_URL = "http://127.0.0.1:9/api/v1"


@asynccontextmanager
async def _client(base_url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[Any]:
    """Make a client of the package that tries nothing twice."""
    openrouter = require_package("openrouter")
    # A proxy of whoever runs the tests is not meant for the fake.
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        yield openrouter.OpenRouter(api_key=key, server_url=base_url, async_client=http, retry_config=None).images


async def sent_by_package(call: Callable[[Any], Awaitable[object]]) -> RecordedRequest:
    """Make a call of the package and return what it would have sent; nothing leaves the process.

    `call` is given the package's images: `lambda images: images.generate_async(model=..., prompt=...)`.
    """
    requests: list[RecordedRequest] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        requests.append(recorded(request.method, request.url.path, request.headers.multi_items(), body))
        return httpx.Response(200, json={"created": 0, "data": []})

    async with _client(BASE_URL, KEY, httpx.MockTransport(answer)) as images:
        await call(images)
    (request,) = requests
    return request


@asynccontextmanager
async def package_on_fake(key: str = KEY) -> AsyncIterator[tuple[FakeOpenRouter, Any]]:
    """Run a fake and the images of a client of the package on it."""
    async with fake_openrouter() as fake, _client(fake.base_url, key) as images:
        yield fake, images
