"""The clients `comfy-api-simplified` and `comfyui-async-api-tool` in front of a fake: not ours, made for the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from .comfyui_api import FakeComfyUI, Version, fake_comfyui
from .tools import require_package


@asynccontextmanager
async def simplified_on_fake(version: Version = "2026") -> AsyncIterator[tuple[FakeComfyUI, Any]]:
    """Run a fake, and a client of `comfy-api-simplified`, which blocks."""
    package = require_package("comfy_api_simplified")
    async with fake_comfyui(version) as fake:
        yield fake, package.ComfyApiWrapper(fake.base_url)


def simplified_workflow(graph: dict[str, Any]) -> Any:
    """Read a workflow as `comfy-api-simplified` does."""
    return require_package("comfy_api_simplified").ComfyWorkflowWrapper(graph)


@asynccontextmanager
async def async_tool_on_fake(version: Version = "2026") -> AsyncIterator[tuple[FakeComfyUI, Any]]:
    """Run a fake, and a client of `comfyui-async-api-tool`."""
    package = require_package("comfyui_async_api_tool")
    async with fake_comfyui(version) as fake, aiohttp.ClientSession() as session:
        yield fake, package.ComfyClient(session, fake.base_url)
