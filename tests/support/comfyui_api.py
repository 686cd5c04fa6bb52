"""A fake of ComfyUI on a loopback port: its routes, its queue, and its websocket, frame by frame.

It follows `server.py`, `execution.py`, `app/prompt_worker.py` and `comfy_execution/progress.py` of
github.com/Comfy-Org/ComfyUI, in three versions: an old one, v0.3.64 and one of 2026. Clients that others have written
are held against it in tests/providers/comfyui. What it draws is a small square of one shade, unless a test gives it a
painter.
"""

import asyncio
import copy
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import parse_qs

from aiohttp import web

from .comfyui_nodes import CLASSES, check_graph, described, outputs_of
from .comfyui_pictures import with_alpha_of
from .comfyui_queue import Prompt, Queue
from .comfyui_sockets import Sockets
from .recording import RecordedRequest
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

KEY = "comfy-proxy-test-key-0123456789"
"""What a proxy in front of it wants, where there is one."""

Version = Literal["old", "v0.3.64", "2026"]


class FakeComfyUI(FakeVendor):
    """One loopback server."""

    def __init__(self, version: Version = "2026", key: str = "") -> None:
        """Run as some version; with a `key`, behind a proxy that wants it."""
        super().__init__()
        self.version = version
        self.key = key
        self.sockets = Sockets(self._greeting)
        self.sockets.knows_features = version != "old"
        self.queue = Queue(lambda: self.sockets, old=version == "old", per_prompt=version == "2026")
        self.admits = asyncio.Event()
        """What is queued is looked at when this is set, and also if its client has left by then."""
        self.admits.set()
        self.holds = asyncio.Event()
        """Set when something waits to be looked at."""
        self._number = 0

    @property
    def queued(self) -> list[RecordedRequest]:
        """What was asked for."""
        return [call for call in self.requests if call.path == "/prompt"]

    async def restart(self) -> None:
        """Do what a server does that is started anew."""
        await self.queue.forget()
        self.sockets.cut()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """See FakeVendor. Websockets are kept apart from the requests."""
        if request.path == "/prompt" and not self.admits.is_set():
            await request.read()
            self.holds.set()
            return await asyncio.shield(asyncio.ensure_future(self._handle_later(request)))
        if request.path != "/ws":
            return await super().handle(request)
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return web.Response(status=401)
        return await self.sockets.serve(request)

    async def _handle_later(self, request: web.Request) -> web.StreamResponse:
        await self.admits.wait()
        return await super().handle(request)

    def takes_answers(self, call: RecordedRequest) -> bool:
        """See FakeVendor. Prompts are called off while the next one is asked for."""
        return not call.path.endswith("/cancel")

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        if self.key and call.headers.get("authorization") != f"Bearer {self.key}":
            page = b"<html><h1>401 Authorization Required</h1></html>"
            return Answer(401, {"content-type": "text/html"}, [page])
        if call.path == "/prompt" and call.method == "POST":
            return self._prompt(call, checks_only=checks_only)
        if checks_only:
            return Answer()
        return self._ask(call) if call.method == "GET" else self._order(call)

    def _greeting(self, sid: str) -> list[tuple[str, dict[str, Any]]]:
        queue = self.queue
        said: list[tuple[str, dict[str, Any]]] = [("status", {**queue.status, "sid": sid})]
        if queue.running and queue.running.sid == sid and queue.last_node is not None:
            said.append(("executing", {"node": queue.last_node}))
        return said

    def _ask(self, call: RecordedRequest) -> Answer:
        queue = self.queue
        told: dict[str, Any] | None = None
        match call.path.strip("/").split("/"):
            case ["prompt"]:
                told = {"exec_info": queue.status["status"]["exec_info"]}
            case ["queue"]:
                running = [queue.running.entry] if queue.running else []
                told = {"queue_running": running, "queue_pending": [one.entry for one in queue.pending]}
            case ["history", prompt_id]:
                told = {prompt_id: queue.history[prompt_id]} if prompt_id in queue.history else {}
            case ["object_info", name]:
                told = {name: described(name, new=self.version == "2026")} if name in CLASSES else {}
            case ["view"]:
                return self._view(call)
        if told is None:
            return Answer(404, {"content-type": "text/plain"}, [b"404: Not Found"])
        return json_answer(200, told)

    def _order(self, call: RecordedRequest) -> Answer:
        queue = self.queue
        match call.path.strip("/").split("/"):
            case ["upload", "image" | "mask" as what]:
                return self._upload(call, masked=what == "mask")
            case ["interrupt"]:
                wanted = call.json.get("prompt_id") if call.body and self.version != "old" else None
                queue.interrupt(wanted)
                return Answer(200)
            case ["queue"]:
                for prompt_id in call.json.get("delete", []):
                    queue.take_out(prompt_id)
                return Answer(200)
            case ["api", "jobs", prompt_id, "cancel"] if self.version == "2026":
                return json_answer(200, {"cancelled": queue.interrupt(prompt_id) or queue.take_out(prompt_id)})
        return Answer(405, {"content-type": "text/plain"}, [b"405: Method Not Allowed"])

    def _prompt(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        body = call.json
        if "prompt" not in body:
            raise _refused("no_prompt", "No prompt provided")
        prompt_id = body.get("prompt_id") if self.version != "old" else None
        if prompt_id is not None and self.version == "2026" and not _canonical(prompt_id):
            raise _refused("invalid_prompt_id", "prompt_id must be a valid UUID")
        left_out = check_graph(body["prompt"], self._has)
        if checks_only:
            return Answer()
        self._number += 1
        number = float(body.get("number", -self._number if body.get("front") else self._number))
        extra = copy.deepcopy(body.get("extra_data", {}))
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        graph = copy.deepcopy(body["prompt"])
        prompt = Prompt(number, prompt_id or str(uuid.uuid4()), graph, extra, outputs_of(graph, self._has))
        self.queue.put(prompt)
        return json_answer(200, {"prompt_id": prompt.id, "number": number, "node_errors": left_out})

    def _upload(self, call: RecordedRequest, *, masked: bool) -> Answer:
        (file,) = call.files
        fields, files, data = call.fields, self.queue.files, file.data
        assert file.name == "image"
        folder, subfolder, name = fields.get("type", "input"), fields.get("subfolder", ""), file.filename or ""
        if masked:
            original = json.loads(fields["original_ref"])
            place = (original.get("type", "output"), original.get("subfolder", ""), original["filename"])
            data = with_alpha_of(files[place], data)
        stem, _, ending = name.rpartition(".")
        number = 0
        while (folder, subfolder, name) in files and fields.get("overwrite") not in ("true", "1"):
            if self.version != "old" and files[folder, subfolder, name] == data:
                break
            number += 1
            name = f"{stem} ({number}).{ending}"
        files[folder, subfolder, name] = data
        return json_answer(200, {"name": name, "subfolder": subfolder, "type": folder})

    def _has(self, name: str) -> bool:
        subfolder, _, file = name.rpartition("/")
        return ("input", subfolder, file) in self.queue.files

    def _view(self, call: RecordedRequest) -> Answer:
        query = {name: values[0] for name, values in parse_qs(call.query, keep_blank_values=True).items()}
        place = (query.get("type", "output"), query.get("subfolder", ""), query.get("filename", ""))
        if place not in self.queue.files:
            return Answer(404)
        return Answer(200, {"content-type": "image/png"}, [self.queue.files[place]])


def _canonical(prompt_id: object) -> bool:
    try:
        return str(uuid.UUID(str(prompt_id))) == prompt_id
    except ValueError:
        return False


def _refused(kind: str, message: str) -> RefusalError:
    error = {"type": kind, "message": message, "details": message, "extra_info": {}}
    return RefusalError(400, {"error": error, "node_errors": {}})


@asynccontextmanager
async def fake_comfyui(version: Version = "2026", key: str = "") -> AsyncIterator[FakeComfyUI]:
    """Run a fake until the block ends. What runs then is let go of."""
    async with running(FakeComfyUI(version, key)) as fake:
        try:
            yield fake
        finally:
            await fake.queue.stop()
            fake.sockets.cut()
