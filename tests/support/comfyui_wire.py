"""Answers of ComfyUI in tests/providers/comfyui/wire: to a prompt that is queued, and the history that it comes to."""

from collections.abc import Sequence
from dataclasses import replace

from .comfyui_api import FakeComfyUI
from .comfyui_pictures import plain
from .vendor import Answer, json_answer
from .wire import WireFixture

PROMPT_ID = "11111111-2222-4333-8444-555555555555"


def answers_of(fixture: WireFixture, fake: FakeComfyUI) -> Sequence[Answer]:
    """Tell what the fake must say, request by request. Nothing is run, so that the history is asked for."""
    said = replace(fixture.answer(), checks=False)
    if fixture.content["step"] == "prompt":
        return [said]
    for folder, subfolder, name in fixture.expect.get("files", ()):
        fake.queue.files[folder, subfolder, name] = plain({}, 2.0, 0)
    queued = {"prompt_id": PROMPT_ID, "number": 7, "node_errors": {}, **fixture.content.get("queued", {})}
    return [replace(json_answer(200, queued), checks=False), said]
