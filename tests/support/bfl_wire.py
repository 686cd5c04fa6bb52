"""What the fake of Black Forest Labs says to come to a wire fixture: a task is submitted, then asked after."""

from collections.abc import Sequence
from dataclasses import replace

from .bfl_api import FakeBFL
from .vendor import Answer, html_answer, json_answer
from .wire import WireFixture


def answers_of(fixture: WireFixture, fake: FakeBFL) -> Sequence[Answer]:
    """Make what the fake says, one after the other. The README of the folder tells the keys."""
    told = fixture.answer()
    pieces = [piece.replace(b"{base}", fake.base_url.encode()) for piece in told.pieces if isinstance(piece, bytes)]
    this = replace(told, pieces=pieces, checks=False)
    if fixture.content["step"] == "submit":
        return [this]
    submitted = json_answer(200, fake.task_body(**fixture.content.get("submitted", {})))
    earlier = [
        html_answer(200) if isinstance(body, str) else json_answer(200, body)
        for body in fixture.content.get("earlier", [])
    ]
    return [submitted, *earlier, *[replace(this) for _ in range(fixture.content.get("again", 1))]]
