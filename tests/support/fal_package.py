"""The vendor's official `fal-client` package: on the fake, and what it sends for a call."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import httpx

from .fal_api import KEY, FakeFal, fake_fal
from .recording import RecordedRequest, recorded
from .tools import require_package

BASE_URL = "http://127.0.0.1:9"
_PLACE = f"{BASE_URL}/queue/x/y/requests/r-1"
_SUBMITTED = {
    "request_id": "r-1",
    "response_url": _PLACE,
    "status_url": f"{_PLACE}/status",
    "cancel_url": f"{_PLACE}/cancel",
}


def answer_to(path: str, picture: str = "", *, status: str = "COMPLETED") -> httpx.Response:
    """Answer one request of a work that goes well, or that stays in a `status`."""
    if path.endswith("/stream"):
        event = f"data: {json.dumps({'images': [{'url': picture}]})}\n\n"
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=event.encode())
    if "/status" in path:
        return httpx.Response(200, json={"status": status, "logs": None})
    return httpx.Response(200, json={"images": [{"url": picture}]} if path.endswith("/r-1") else _SUBMITTED)


@asynccontextmanager
async def _client(base_url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[Any]:
    """Make a client of the package for the queue at `base_url`/queue. It knows no other way to another address."""
    require_package("fal_client")
    module = require_package("fal_client.client")
    changes: dict[str, Any] = {
        "QUEUE_URL_FORMAT": f"{base_url}/queue/",
        "RUN_URL_FORMAT": f"{base_url}/run/",
        # Its own takes the proxy of whoever runs the tests.
        "AsyncBackupDomainTransport": lambda: transport or httpx.AsyncHTTPTransport(),
    }
    with patch.multiple(module, **changes):
        client = module.AsyncClient(key=key)
        try:
            yield client
        finally:
            await (await client._client).aclose()


async def sent_by_package(call: Callable[[Any], Awaitable[object]]) -> list[RecordedRequest]:
    """Make calls of the package and return what it would have sent; nothing leaves the process.

    `call` is given a client: `lambda client: client.submit("fal-ai/flux/dev", {...})`.
    """
    requests: list[RecordedRequest] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), await request.aread()))
        return answer_to(path)

    async with _client(BASE_URL, KEY, httpx.MockTransport(answer)) as client:
        await call(client)
    return requests


@asynccontextmanager
async def package_on_fake(key: str = KEY) -> AsyncIterator[tuple[FakeFal, Any]]:
    """Run a fake and a client of the package on it."""
    async with fake_fal() as fake, _client(fake.base_url.removesuffix("/queue"), key) as client:
        yield fake, client
