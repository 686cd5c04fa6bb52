"""The official `openai` package as a client of xAI, which documents it for drawing: on the fake."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .tools import require_package
from .xai_api import KEY, FakeXAI, fake_xai


@asynccontextmanager
async def package_on_fake(key: str = KEY) -> AsyncIterator[tuple[FakeXAI, Any]]:
    """Run a fake and a client of the package on it that tries nothing twice."""
    openai = require_package("openai")
    # A proxy of whoever runs the tests is not meant for the fake.
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    async with (
        fake_xai() as fake,
        openai.AsyncOpenAI(base_url=fake.base_url, api_key=key, max_retries=0, http_client=http) as client,
    ):
        yield fake, client
