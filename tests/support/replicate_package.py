"""The vendor's official `replicate` package: on the fake, and what it sends for a call."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from .recording import RecordedRequest, recorded
from .replicate_api import KEY, FakeReplicate, fake_replicate
from .tools import require_package

ORIGIN = "http://127.0.0.1:9"


def prediction_at(origin: str, status: str, picture: str = "") -> dict[str, Any]:
    """Write a prediction as the package wants it."""
    place = f"{origin}/v1/predictions/p1"
    return {
        "id": "p1",
        "model": "x/y",
        "version": "hidden",
        "status": status,
        "input": {},
        "output": picture or None,
        "logs": "",
        "error": None,
        "metrics": {},
        "created_at": None,
        "started_at": None,
        "completed_at": None,
        "urls": {"get": place, "cancel": f"{place}/cancel"},
    }


def answer_to(method: str, path: str, picture: str = "", *, status: str = "succeeded") -> httpx.Response:
    """Answer one request: an upload, a prediction that is created, and then one of some status."""
    if path == "/v1/files":
        body: dict[str, Any] = {
            "id": "f1",
            "name": "1.png",
            "content_type": "image/png",
            "size": 1,
            "etag": "e",
            "checksums": {},
            "metadata": {},
            "created_at": "",
            "expires_at": None,
            "urls": {"get": f"{ORIGIN}/v1/files/f1"},
        }
    else:
        created = method == "POST" and not path.endswith("/cancel")
        body = prediction_at(ORIGIN, "starting" if created else status, picture)
    return httpx.Response(201 if method == "POST" else 200, json=body)


async def sent_by_package(use: Callable[[Any], Awaitable[object]]) -> list[RecordedRequest]:
    """Let the package do something against a transport that answers as if all went well; tells what it sent."""
    requests: list[RecordedRequest] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), await request.aread()))
        return answer_to(request.method, path)

    client = require_package("replicate").Client(KEY, base_url=ORIGIN, transport=httpx.MockTransport(answer))
    await use(client)
    return requests


@asynccontextmanager
async def package_on_fake(key: str = KEY) -> AsyncIterator[tuple[FakeReplicate, Any]]:
    """Run a fake, and the package in front of it, until the block ends."""
    package = require_package("replicate")
    async with fake_replicate() as fake:
        # Pictures are fetched by the package with the key, which the vendor's delivery overlooks and the fake does not.
        client = package.Client(key, base_url=fake.origin)
        client.poll_interval = 0.001
        try:
            yield fake, client
        finally:
            with suppress(AttributeError):
                await client._async_client.aclose()
