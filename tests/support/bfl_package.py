"""The official `blackforest` package as a client of Black Forest Labs: on the fake.

It knows the models of FLUX.1 and FLUX1.1, and asks in a thread of its own.
"""

import asyncio
import importlib
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .bfl_api import KEY, FakeBFL, fake_bfl
from .tools import require_package

MODELS = (
    *("flux-dev", "flux-pro-1.1", "flux-pro-1.1-ultra"),
    *("flux-pro-1.0-fill", "flux-pro-1.0-expand", "flux-kontext-pro"),
)
"""Those of the package that the vendor still has."""

_WAYS = {"output_format": "jpeg", "safety_tolerance": 2, "prompt_upsampling": False}
_STEPS = {"steps": 50, "guidance": 60.0}
DEFAULTS: dict[str, dict[str, Any]] = {
    "flux-dev": {**_WAYS, "steps": 28, "guidance": 3.0, "width": 1024, "height": 768},
    "flux-pro-1.1": {**_WAYS, "width": 1024, "height": 768},
    "flux-pro-1.1-ultra": {**_WAYS, "aspect_ratio": "16:9", "raw": False, "image_prompt_strength": 0.1},
    "flux-pro-1.0-fill": {**_WAYS, **_STEPS, "prompt": ""},
    "flux-pro-1.0-expand": {**_WAYS, **_STEPS, "prompt": "", "top": 0, "bottom": 0, "left": 0, "right": 0},
    "flux-kontext-pro": {**_WAYS, "output_format": "png"},
}
"""What the package says where nothing was asked for: the defaults that the vendor's document names."""


def package() -> Any:
    """Import it, or skip the test. Its own models use pydantic in a way of old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return require_package("blackforest")


def synchronous() -> Any:
    """Make its settings for waiting until the picture is there."""
    return importlib.import_module("blackforest.types.general.client_config").ClientConfig(
        sync=True, timeout=10, polling_interval=0.1
    )


@asynccontextmanager
async def package_on_fake(key: str = KEY) -> AsyncIterator[tuple[FakeBFL, Any]]:
    """Run a fake and a client of the package on it."""
    made = package()
    async with fake_bfl() as fake:
        client = made.BFLClient(api_key=key, base_url=fake.base_url)
        # A proxy of whoever runs the tests is not meant for the fake.
        client.session.trust_env = False
        try:
            yield fake, client
        finally:
            client.session.close()


async def generated(client: Any, model: str, inputs: dict[str, Any], config: Any = None) -> Any:
    """Ask for a picture as a user of the package does."""
    return await asyncio.to_thread(client.generate, model, inputs, config)
