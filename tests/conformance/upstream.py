"""The counted provider: an image API on loopback that counts its requests and does what their prompts say."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from .casebook import IMAGES

KEY: Final = "sk-conformance"
_BUSY: Final = {"error": {"message": "overloaded", "type": "server_error", "code": "overloaded"}}


@dataclass
class Upstream:
    """What the server takes for a vendor. "unavailable" in a prompt: 503; "stall": a preview, then nothing."""

    base_url: str = ""
    requests: int = 0
    """So far."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection was closed before its answer."""

    def begin(self) -> None:
        """Count from here on."""
        self.requests = 0
        self.closed.clear()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        self.requests += 1
        prompt: str = (await request.json())["prompt"]
        picture = base64.b64encode((IMAGES / "scene.png").read_bytes()).decode("ascii")
        if "stall" in prompt:
            return await self._stall(request, picture)
        if "unavailable" in prompt:
            return web.json_response(_BUSY, status=503)
        return web.json_response({"created": 1, "data": [{"b64_json": picture}], "output_format": "png"})

    async def _stall(self, request: web.Request, picture: str) -> web.StreamResponse:
        kind = "image_generation.partial_image"
        preview = {"type": kind, "b64_json": picture, "created_at": 1, "partial_image_index": 0}
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            await response.write(f"event: {kind}\ndata: {json.dumps(preview)}\n\n".encode())
            await asyncio.get_running_loop().create_future()
        finally:
            self.closed.set()
        return response


@asynccontextmanager
async def counted_upstream() -> AsyncIterator[Upstream]:
    """Serve on a free loopback port."""
    upstream = Upstream()
    app = web.Application()
    app.router.add_post("/v1/images/generations", upstream.answer)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        upstream.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield upstream
    finally:
        await runner.cleanup()
