"""The official `google-genai` package: on the fakes, and what it and our adapters send for a call."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call, Provider

from .google_api import KEY, RATIOS, SIZES, camel
from .recording import RecordedRequest, recorded
from .tools import require_package

NOBODY = "http://127.0.0.1:9"

OPTIONS = {
    "aspect_ratio": st.sampled_from(sorted(RATIOS)),
    "resolution": st.sampled_from(sorted(SIZES)),
    "seed": st.integers(0, 2**31 - 1),
}
"""Options that both interfaces have."""


@asynccontextmanager
async def package_client(
    base_url: str, transport: Any = None, api_version: str = "v1beta", **who: Any
) -> AsyncIterator[Any]:
    """Make a client of the package that tries nothing twice. `base_url` without the version of the API.

    `who` tells who asks, and of which interface: a key of the Gemini API if nothing is said.
    """
    genai, httpx2 = require_package("google.genai"), require_package("httpx2")
    # A proxy of whoever runs the tests is not meant for the fake.
    async with httpx2.AsyncClient(trust_env=False, **({"transport": transport} if transport else {})) as http:
        options = genai.types.HttpOptions(base_url=base_url, api_version=api_version, httpx_async_client=http)
        client = genai.Client(**(who or {"api_key": KEY}), http_options=options)
        try:
            yield client.aio.models
        finally:
            client.close()


async def sent_by_package(call: Callable[[Any], Awaitable[object]], **client: Any) -> RecordedRequest:
    """Make a call of the package and return what it would have sent; nothing leaves the process.

    `call` is given the package's `client.aio.models`; `client` as in `package_client`.
    """
    httpx2 = require_package("httpx2")
    requests: list[RecordedRequest] = []

    def answer(request: Any) -> Any:
        url = request.url
        path = f"{url.path}?{url.query.decode()}" if url.query else url.path
        requests.append(recorded(request.method, path, request.headers.multi_items(), request.read()))
        return httpx2.Response(200, json={"candidates": []})

    async with package_client(NOBODY, httpx2.MockTransport(answer), **client) as models:
        answered: Any = await call(models)
        if hasattr(answered, "__aiter__"):
            with suppress(StopAsyncIteration):
                await anext(answered)
    (request,) = requests
    return request


async def sent_by_adapter(provider: Provider, task: Task, base_url: str, key: str = KEY) -> RecordedRequest:
    """Run a task against nobody and return what it would have sent. `key` "" = there is none."""
    requests: list[RecordedRequest] = []

    class Reading(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            body = await request.aread()
            path = request.url.raw_path.decode()
            requests.append(recorded(request.method, path, request.headers.multi_items(), body))
            return httpx.Response(200, json={"candidates": []})

    http = HttpClient(HttpSettings(base_url), Reading())
    call = Call(0.0, None, lambda _id: None, http, Secret(key) if key else None)  # type: ignore[arg-type]  # no log
    fitted, _ = provider.prepare(task)
    with pytest.raises(ImageError):
        async for _ in provider.run(fitted, call):
            pass
    (request,) = requests
    return request


def plain(request: RecordedRequest) -> Any:
    """What was said, in one form of JSON."""

    def usual(value: Any) -> Any:
        if isinstance(value, dict):
            data = value.get("data")
            if isinstance(data, str):
                value = value | {"data": data.replace("-", "+").replace("_", "/")}
            return {name: usual(item) for name, item in value.items()}
        return [usual(item) for item in value] if isinstance(value, list) else value

    return usual(camel(json.loads(request.body)))


def blob(types: Any, data: bytes, **more: Any) -> Any:
    """A part with a picture, as the package wants it."""
    return types.Part(inline_data=types.Blob(data=data, mime_type="image/png"), **more)
