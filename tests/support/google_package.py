"""The official `google-genai` package: on the fake, and what it sends for a call."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from .google_api import KEY
from .recording import RecordedRequest, recorded
from .tools import require_package


@asynccontextmanager
async def package_client(base_url: str, transport: Any = None, key: str = KEY) -> AsyncIterator[Any]:
    """Make a client of the package that tries nothing twice. `base_url` without the version of the API."""
    genai, httpx2 = require_package("google.genai"), require_package("httpx2")
    # A proxy of whoever runs the tests is not meant for the fake.
    async with httpx2.AsyncClient(trust_env=False, **({"transport": transport} if transport else {})) as http:
        options = genai.types.HttpOptions(base_url=base_url, api_version="v1beta", httpx_async_client=http)
        client = genai.Client(api_key=key, http_options=options)
        try:
            yield client.aio.models
        finally:
            client.close()


async def sent_by_package(call: Callable[[Any], Awaitable[object]]) -> RecordedRequest:
    """Make a call of the package and return what it would have sent; nothing leaves the process.

    `call` is given the package's `client.aio.models`.
    """
    httpx2 = require_package("httpx2")
    requests: list[RecordedRequest] = []

    def answer(request: Any) -> Any:
        url = request.url
        path = f"{url.path}?{url.query.decode()}" if url.query else url.path
        requests.append(recorded(request.method, path, request.headers.multi_items(), request.read()))
        return httpx2.Response(200, json={"candidates": []})

    async with package_client("http://127.0.0.1:9", httpx2.MockTransport(answer)) as models:
        answered: Any = await call(models)
        if hasattr(answered, "__aiter__"):
            with suppress(StopAsyncIteration):
                await anext(answered)
    (request,) = requests
    return request
