"""The queue of the fake ComfyUI, and how it runs a graph: as `PromptQueue` and `PromptExecutor` of `execution.py`."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from .comfyui_nodes import CLASSES, above
from .comfyui_pictures import Painter, plain
from .comfyui_sockets import Sockets

_STAMP = 1_790_000_000_000
_BETWEEN_STAMPS = 250


@dataclass
class Prompt:
    """What was queued."""

    number: float
    id: str
    graph: dict[str, Any]
    extra: dict[str, Any]
    outputs: list[str]
    messages: list[list[Any]] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def sid(self) -> str:
        """Whose socket hears of it."""
        return str(self.extra.get("client_id", ""))

    @property
    def entry(self) -> list[Any]:
        """As the queue shows it."""
        return [self.number, self.id, self.graph, self.extra, self.outputs]


class Interrupted(Exception):
    """The prompt was stopped."""


class Failing(Exception):
    """A node has failed; has the exception_type and the exception_message."""


async def _at_once(_prompt: Prompt, _node: str, _step: int) -> None:
    await asyncio.sleep(0)


class Queue:
    """Runs one prompt after the other."""

    def __init__(self, sockets_of: Callable[[], Sockets], *, old: bool, per_prompt: bool) -> None:
        """Have nothing to do. `old`: without the state of all nodes. `per_prompt`: a prompt may choose its previews."""
        self.preview_method = "none"
        """What `--preview-method` says."""
        self.before_step: Callable[[Prompt, str, int], Awaitable[None]] = _at_once
        """Awaited before each step of a sampler, counted from 1, and before any node, as step 0."""
        self.before_history: Callable[[], Awaitable[None]] | None = None
        """Awaited between the end of a prompt and its history."""
        self.painter: Painter = plain
        self.fails: dict[str, str] | None = None
        """What the next sampler fails with: exception_type, exception_message."""
        self.files: dict[tuple[str, str, str], bytes] = {}
        """By folder, subfolder and name."""
        self.history: dict[str, dict[str, Any]] = {}
        self.running: Prompt | None = None
        self.pending: list[Prompt] = []
        self.idle = asyncio.Event()
        """Nothing runs and nothing waits."""
        self.idle.set()
        self.cancelled: list[str] = []
        """Ids of prompts that were taken out of the queue or stopped, in order."""
        self.last_node: str | None = None
        self._news = asyncio.Event()
        self._sockets_of = sockets_of
        self._old = old
        self._per_prompt = per_prompt
        self._cached: dict[str, dict[str, Any] | None] = {}
        self._saved = 0
        self._worker: asyncio.Task[None] | None = None

    @property
    def status(self) -> dict[str, Any]:
        """What is said of it to everybody."""
        remaining = len(self.pending) + (self.running is not None)
        return {"status": {"exec_info": {"queue_remaining": remaining}}}

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until something about prompts is so: what waits, runs, is over or was called off."""
        while not happened():
            self._news.clear()
            await self._news.wait()

    def put(self, prompt: Prompt) -> None:
        """Take a prompt on."""
        self._news.set()
        self.pending.append(prompt)
        self.pending.sort(key=lambda one: one.number)
        self.idle.clear()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def take_out(self, prompt_id: str) -> bool:
        """Take a prompt out that waits; tells whether there was one."""
        found = [one for one in self.pending if one.id == prompt_id]
        for one in found:
            self.pending.remove(one)
            self.cancelled.append(one.id)
        self._news.set()
        return bool(found)

    def interrupt(self, prompt_id: str | None) -> bool:
        """Stop what runs, if it is this; None = whatever it is. Tells whether anything is stopped."""
        if self.running is None or prompt_id not in (None, self.running.id):
            return False
        self.running.interrupted = True
        self.cancelled.append(self.running.id)
        self._news.set()
        return True

    async def forget(self) -> None:
        """Forget everything but files, and what runs."""
        await self.stop()
        self.running, self.last_node = None, None
        self.pending.clear()
        self.history.clear()
        self._cached.clear()
        self.idle.set()

    async def stop(self) -> None:
        """Let go of what runs."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
            self._worker = None

    async def _say(self, sid: str | None, kind: str, data: dict[str, Any]) -> None:
        await self._sockets_of().say(sid, kind, data)

    async def _work(self) -> None:
        await self._say(None, "status", self.status)
        while self.pending:
            prompt = self.running = self.pending.pop(0)
            self._news.set()
            await self._say(None, "status", self.status)
            outputs: dict[str, Any] = {}
            success = await self._run(prompt, outputs)
            if self.before_history is not None:
                await self.before_history()
            status = {"status_str": "success" if success else "error", "completed": success}
            self.history[prompt.id] = {
                "prompt": prompt.entry,
                "outputs": outputs,
                "meta": {},
                "status": {**status, "messages": prompt.messages},
            }
            self.running, self.last_node = None, None
            self._news.set()
            await self._say(None, "status", self.status)
            await self._say(prompt.sid, "executing", {"node": None, "prompt_id": prompt.id})
        self.idle.set()

    async def _run(self, prompt: Prompt, outputs: dict[str, Any]) -> bool:
        """Run a prompt; tells whether it succeeds. Fills in what its nodes show."""
        await self._note(prompt, "execution_start")
        nodes = list(dict.fromkeys(node for output in prompt.outputs for node in above(prompt.graph, output)))
        keys = {node: _key(prompt.graph, node) for node in nodes}
        cached = [node for node in nodes if keys[node] in self._cached]
        await self._note(prompt, "execution_cached", nodes=cached)
        done: list[str] = []
        for node in nodes:
            if node in cached:
                # What is shown of it is told again, without its being run.
                told = self._cached[keys[node]]
            else:
                try:
                    told = await self._node(prompt, node)
                except (Interrupted, Failing) as end:
                    await self._broke(prompt, node, done, end)
                    return False
                done.append(node)
                if prompt.graph[node]["class_type"] != "SaveImageWebsocket":
                    self._cached[keys[node]] = told
                if told:
                    seen = {"node": node, "display_node": node, "output": told, "prompt_id": prompt.id}
                    await self._say(prompt.sid, "executed", seen)
            if told:
                outputs[node] = told
        await self._note(prompt, "execution_success")
        return True

    async def _broke(self, prompt: Prompt, node: str, done: list[str], end: Exception) -> None:
        facts = {"node_id": node, "node_type": prompt.graph[node]["class_type"], "executed": done}
        if isinstance(end, Interrupted):
            await self._note(prompt, "execution_interrupted", **facts)
            return
        (fault,) = end.args
        more = {"traceback": ["  File ..."], "current_inputs": {}, "current_outputs": []}
        await self._note(prompt, "execution_error", **facts, **fault, **more)

    async def _node(self, prompt: Prompt, node: str) -> dict[str, Any] | None:
        kind = prompt.graph[node]["class_type"]
        self.last_node = node
        await self._state(prompt, node, 0, 1, "running")
        await self._say(prompt.sid, "executing", {"node": node, "display_node": node, "prompt_id": prompt.id})
        await self._pause(prompt, node, 0)
        told, steps = None, 1
        if "Sampler" in kind and kind != "KSamplerSelect":
            steps = await self._sample(prompt, node)
        elif CLASSES[kind].saves:
            told = await self._save(prompt, node, kind)
        await self._state(prompt, node, steps, steps, "finished")
        return told

    async def _pause(self, prompt: Prompt, node: str, step: int) -> None:
        await self.before_step(prompt, node, step)
        if prompt.interrupted:
            raise Interrupted

    async def _sample(self, prompt: Prompt, node: str) -> int:
        inputs = prompt.graph[node]["inputs"]
        steps = int(inputs["steps"] if "steps" in inputs else prompt.graph[inputs["sigmas"][0]]["inputs"]["steps"])
        if self.fails is not None:
            fault, self.fails = self.fails, None
            raise Failing(fault)
        asked = prompt.extra.get("preview_method") if self._per_prompt else None
        shows = (asked or self.preview_method) != "none"
        first = self._sockets_of().reads_metadata(prompt.sid)
        for step in range(1, steps + 1):
            await self._pause(prompt, node, step)
            await self._state(prompt, node, step, steps, "running")
            data = self.painter(prompt.graph, step / steps, 0) if shows else b""
            if data and first:
                await self._push(prompt, node, data, "jpeg")
            # Old versions say it of whatever runs.
            more = {} if self._old else {"prompt_id": prompt.id, "node": node}
            await self._say(prompt.sid, "progress", {"value": step, "max": steps, **more})
            if data and not first:
                await self._push(prompt, node, data, "jpeg")
        return steps

    async def _push(self, prompt: Prompt, node: str, data: bytes, kind: str) -> None:
        told = {"node_id": node, "prompt_id": prompt.id, "display_node_id": node, "parent_node_id": None}
        await self._sockets_of().push_picture(prompt.sid, data, kind, {**told, "real_node_id": node})

    async def _save(self, prompt: Prompt, node: str, kind: str) -> dict[str, Any] | None:
        files = []
        for index in range(_batch(prompt.graph, node)):
            data = self.painter(prompt.graph, 2.0, index)
            if kind == "SaveImageWebsocket":
                await self._push(prompt, node, data, "png")
                continue
            self._saved += 1
            folder = "output" if kind == "SaveImage" else "temp"
            prefix = prompt.graph[node]["inputs"].get("filename_prefix", "ComfyUI_temp")
            name = f"{prefix}_{self._saved:05}_.png"
            self.files[folder, "", name] = data
            files.append({"filename": name, "subfolder": "", "type": folder})
        return {"images": files} if files else None

    async def _state(self, prompt: Prompt, node: str, value: float, most: float, state: str) -> None:
        prompt.states[node] = {"value": float(value), "max": float(most), "state": state}
        if self._old:
            return
        more = {"prompt_id": prompt.id, "parent_node_id": None}
        nodes = {
            name: {**told, **more, "node_id": name, "display_node_id": name, "real_node_id": name}
            for name, told in prompt.states.items()
        }
        await self._say(prompt.sid, "progress_state", {"prompt_id": prompt.id, "nodes": nodes})

    async def _note(self, prompt: Prompt, kind: str, **data: Any) -> None:
        stamp = _STAMP + _BETWEEN_STAMPS * len(prompt.messages)
        told = {"prompt_id": prompt.id, **data, "timestamp": stamp}
        prompt.messages.append([kind, told])
        await self._say(prompt.sid, kind, told)


def _key(graph: dict[str, Any], node: str) -> str:
    """Name what a node makes: the same of the same inputs."""
    told = graph[node]
    inputs = {
        name: [_key(graph, value[0]), value[1]] if isinstance(value, list) else value
        for name, value in told["inputs"].items()
    }
    return json.dumps([told["class_type"], inputs], sort_keys=True)


def _batch(graph: dict[str, Any], node: str) -> int:
    """Tell how many pictures come to a node."""
    for name in above(graph, node):
        inputs = graph[name]["inputs"]
        if found := inputs.get("batch_size") or inputs.get("amount"):
            return int(found)
    return 1
