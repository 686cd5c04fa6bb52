"""Our comfyui provider in front of a fake of the server, without a server of ours."""

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagegen_server.domain.secret import Secret
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.retry import RetrySettings
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.comfyui import PROVIDER, ComfyUISettings
from imagegen_server.providers.comfyui.exchange import Pace
from imagegen_server.providers.comfyui.provider import ComfyUI
from imagegen_server.providers.comfyui.settings import WorkflowSettings
from imagegen_server.providers.registry import ProviderEntry, Registry

from .comfyui_api import FakeComfyUI, Version, fake_comfyui
from .comfyui_nodes import CHECKPOINTS
from .comfyui_queue import Prompt
from .generation import Workshop, workshop_of

MODEL = f"comfyui/{CHECKPOINTS[0]}"
AT_ONCE = Pace(quiet=0.02, poll=0.01, first=0.01, longest=0.01, patience=30, missing=3, tries=4, again=0.001)
"""Ask without waiting."""

WORKFLOWS = Path(__file__).parents[1] / "providers" / "comfyui" / "workflows"
"""Files as users export them."""


@dataclass
class ComfyUIWorkshop:
    """An engine with the provider `comfyui`, and the fake that it talks to."""

    workshop: Workshop
    fake: FakeComfyUI
    entry: ProviderEntry


def workflow(name: str, **told: Any) -> WorkflowSettings:
    """Set up one of the files."""
    return WorkflowSettings(str(WORKFLOWS / f"{name}.json"), **told)


def graph_of(name: str) -> dict[str, Any]:
    """Read one of the files."""
    read: dict[str, Any] = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    return read


def written(path: Path, graph: Mapping[str, Any]) -> str:
    """Write a file."""
    path.write_text(json.dumps(graph), encoding="utf-8")
    return str(path)


def somebody_elses(fake: FakeComfyUI) -> Prompt:
    """Queue what somebody else wants."""
    prompt = Prompt(0.5 + len(fake.queue.pending) / 100, str(uuid.uuid4()), graph_of("drawing"), {}, ["9"])
    fake.queue.put(prompt)
    return prompt


@asynccontextmanager
async def comfyui_workshop(
    version: Version = "2026", pace: Pace = AT_ONCE, *, key: str = "", **settings: Any
) -> AsyncIterator[ComfyUIWorkshop]:
    """Run a fake and an engine in front of it until the block ends. Nothing is sent twice."""
    async with fake_comfyui(version, key) as fake:
        provider = ComfyUI("comfyui", ComfyUISettings(**settings), pace)
        http = HttpClient(HttpSettings(fake.base_url))
        entry = ProviderEntry("comfyui", PROVIDER.name, provider, http=http)
        keys = (ProviderKey(Secret(key)),) if key else ()
        once = UpstreamSettings(keys, retry=RetrySettings("none"))
        try:
            yield ComfyUIWorkshop(workshop_of(entry, upstreams={entry.name: once}), fake, entry)
        finally:
            await Registry([entry]).close()
