"""The websockets of the fake ComfyUI, as `websocket_handler` of `server.py` keeps them."""

import asyncio
import json
import struct
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web


class Sockets:
    """Sockets by the names that their clients gave them."""

    def __init__(self, greeting: Callable[[str], list[tuple[str, dict[str, Any]]]]) -> None:
        """Have none. `greeting` tells what is said to a new one."""
        self.opened = 0
        self.there = True
        """False: a proxy in between lets none through."""
        self.hangs = False
        """True: the handshake is never answered."""
        self.knows_features = True
        self.connected = asyncio.Event()
        """Set when one is opened; clear it to wait for another."""
        self._greeting = greeting
        self._named: dict[str, web.WebSocketResponse] = {}
        self._all: set[web.WebSocketResponse] = set()
        self._features: dict[str, bool] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one. A browser's Origin would be refused."""
        assert "origin" not in request.headers
        if not self.there:
            return web.Response(status=502)
        if self.hangs:
            await asyncio.Event().wait()
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sid = request.rel_url.query.get("clientId", "") or uuid.uuid4().hex
        self.opened += 1
        # Another of the same name is forgotten, and not told.
        self._named[sid] = socket
        self._all.add(socket)
        self._features.pop(sid, None)
        try:
            for kind, data in self._greeting(sid):
                await self.say(sid, kind, data)
            self.connected.set()
            await self._listen(socket, sid)
        finally:
            self._all.discard(socket)
            # Whichever has the name by now.
            self._named.pop(sid, None)
        return socket

    async def _listen(self, socket: web.WebSocketResponse, sid: str) -> None:
        first = True
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                told = json.loads(message.data)
                if first and told.get("type") == "feature_flags" and self.knows_features:
                    self._features[sid] = bool(told["data"].get("supports_preview_metadata"))
                    features = {"supports_preview_metadata": True, "max_upload_size": 104857600}
                    await self.say(sid, "feature_flags", features)
                first = False

    async def say(self, sid: str | None, kind: str, data: dict[str, Any]) -> None:
        """Send a text frame to one, or to all."""
        await self.push(sid, json.dumps({"type": kind, "data": data}))

    async def push(self, sid: str | None, message: str | bytes) -> None:
        """Send a frame to one, or to all."""
        for name, socket in list(self._named.items()):
            if sid in (None, name):
                with suppress(ConnectionError, RuntimeError):
                    await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))

    def reads_metadata(self, sid: str) -> bool:
        """Tell whether a client has said that it knows pictures with metadata."""
        return self._features.get(sid, False)

    async def push_picture(self, sid: str, data: bytes, kind: str, told: dict[str, Any]) -> None:
        """Push a picture, in the way that the client knows. `kind` is "jpeg" or "png"."""
        if self.reads_metadata(sid):
            metadata = json.dumps({**told, "image_type": f"image/{kind}"}).encode()
            await self.push(sid, struct.pack(">II", 4, len(metadata)) + metadata + data)
        else:
            await self.push(sid, struct.pack(">II", 1, {"jpeg": 1, "png": 2}[kind]) + data)

    def evict(self) -> None:
        """Have somebody else take the place of every socket: nothing is said to them any more."""
        self._named.clear()

    def cut(self) -> None:
        """Break every websocket."""
        for socket in list(self._all):
            transport = socket._req.transport if socket._req else None
            if transport is not None:
                transport.abort()
        self._named.clear()
