"""The official `openai` package: on the fake, and what it sends for a call."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from .openai_api import FakeOpenAI, fake_openai
from .recording import RecordedRequest, recorded
from .tools import require_package

BASE_URL = "http://127.0.0.1:9/v1"
KEY = "sk-test"


def _openai(package: Any, http: Any) -> Any:
    return package.AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0, http_client=http)


async def sent_by_package(
    call: Callable[[Any], Awaitable[object]], client_of: Callable[[Any, Any], Any] = _openai
) -> RecordedRequest:
    """Make a call of the package and return what it would have sent; nothing leaves the process.

    `call` is given the package's AsyncOpenAI: `lambda client: client.images.generate(model=..., prompt=...)`, or what
    `client_of` makes with the package and an HTTP client.
    """
    openai, httpx2 = require_package("openai"), require_package("httpx2")
    requests: list[RecordedRequest] = []

    def answer(request: Any) -> Any:
        body = request.read()
        path = request.url.raw_path.decode()
        requests.append(recorded(request.method, path, request.headers.multi_items(), body))
        return httpx2.Response(200, json={"created": 0, "data": []})

    transport = httpx2.MockTransport(answer)
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        client_of(openai, http) as client,
    ):
        answered = await call(client)
        if isinstance(answered, openai.AsyncStream):
            await answered.close()
    (request,) = requests
    return request


@asynccontextmanager
async def package_on_fake(key: str = KEY) -> AsyncIterator[tuple[FakeOpenAI, Any]]:
    """Run a fake and a client of the package on it that tries nothing twice."""
    openai = require_package("openai")
    # A proxy of whoever runs the tests is not meant for the fake.
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with (
        fake_openai() as fake,
        openai.AsyncOpenAI(base_url=fake.base_url, api_key=key, max_retries=0, http_client=http) as client,
    ):
        yield fake, client
