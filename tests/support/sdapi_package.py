"""The client package `webuiapi` in front of a fake server: not ours, and written against the servers themselves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .sdapi_api import LOGIN, FakeSdapi, Flavor, fake_sdapi
from .tools import require_package


@asynccontextmanager
async def package_on_fake(flavor: Flavor = "a1111", *, login: str = LOGIN) -> AsyncIterator[tuple[FakeSdapi, Any]]:
    """Run a fake that wants a login, and a client of the package that has one. The client blocks."""
    package = require_package("webuiapi")
    async with fake_sdapi(flavor, locked=True) as fake:
        # It asks for scripts at once, and goes on without an answer.
        client = await asyncio.to_thread(package.WebUIApi, baseurl=f"{fake.base_url}/sdapi/v1")
        user, _, password = login.partition(":")
        client.session.auth = (user, password)
        # A proxy of whoever runs the tests is not meant for the fake.
        client.session.trust_env = False
        fake.requests.clear()
        try:
            yield fake, client
        finally:
            client.session.close()
