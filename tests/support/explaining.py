"""Providers that are reached by HTTP, to be explained: nothing is sent to them."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from imagegen_server.domain.events import Complete, ProviderEvent
from imagegen_server.domain.secret import Secret
from imagegen_server.domain.task import Task
from imagegen_server.generation.keys import ProviderKey
from imagegen_server.generation.upstream import UpstreamSettings
from imagegen_server.http.client import HttpClient, HttpSettings
from imagegen_server.providers.base import Call
from imagegen_server.providers.registry import ProviderEntry

from .generation import Workshop, as_entry, workshop_of
from .pictures import png
from .provider import Script, ScriptedProvider

KEY = "sk-Never-To-Be-Shown-0123456789"


async def asking(task: Task, call: Call) -> AsyncGenerator[ProviderEvent, None]:
    """Ask a vendor as an adapter does: with the key in a query, a header and the body."""
    assert call.http is not None
    key = call.key.reveal() if call.key else "none"
    body: dict[str, Any] = {"prompt": task.prompt, "n": task.count, "account": key, **task.params}
    async with call.http.post_json(f"/pictures?key={key}", body, {"Authorization": key}) as answer:
        call.accepted("")
        await answer.read()
    yield Complete(0, png())


def remote(script: Script = asking, *, name: str = "test") -> ProviderEntry:
    """Register a scripted provider that is reached by HTTP."""
    http = HttpClient(HttpSettings("http://127.0.0.1:9/v1"))
    return replace(as_entry(ScriptedProvider(script), name=name), http=http)


def asked(*entries: ProviderEntry, **further: Any) -> Workshop:
    """Wire providers with a key."""
    upstreams = {entry.name: UpstreamSettings((ProviderKey(Secret(KEY)),)) for entry in entries}
    return workshop_of(*entries, upstreams=upstreams, **further)
