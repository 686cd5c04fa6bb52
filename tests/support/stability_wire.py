"""What the fake of Stability AI says to come to a wire fixture: an answer to a form, or to what is asked after."""

from collections.abc import Sequence
from dataclasses import replace

from imagegen_server.domain.task import Operation, Options, Wish

from .generation import as_input, drawing
from .openai_wire import picture
from .pictures import png
from .stability_provider import LATER, MODEL
from .vendor import Answer, html_answer, json_answer
from .wire import WireFixture

GENERATION = "e52772ac75b0e52772ac75b0e52772ac75b0e52772ac75b0e52772ac75b01234"
"""The id of what was started in the fixtures."""

_PROMPT = "a lighthouse at dusk"


def answers_of(fixture: WireFixture) -> Sequence[Answer]:
    """Make what the fake says, one after the other. The README of the folder tells the keys."""
    this = _answer(fixture)
    if fixture.content.get("step") != "poll":
        return [replace(this, checks=False)]
    earlier = [
        html_answer(200) if isinstance(body, str) else json_answer(202, body)
        for body in fixture.content.get("earlier", [])
    ]
    again = [this] * fixture.content.get("again", 1)
    # Each is said once, and the fake knows nothing of this generation.
    return [replace(answer, checks=False) for answer in [json_answer(200, {"id": GENERATION}), *earlier, *again]]


def wish_of(fixture: WireFixture) -> Wish:
    """Ask for what a fixture answers."""
    if fixture.content.get("step") == "poll" or fixture.operation == "edit":
        return Wish(Operation.EDIT, LATER, _PROMPT, Options(), (as_input(png(64, 64)),))
    return replace(drawing(MODEL, count=fixture.count), prompt=_PROMPT)


def _answer(fixture: WireFixture) -> Answer:
    drawn = fixture.content.get("picture")
    if drawn is None:
        return fixture.answer()
    data = picture((16, 16), drawn["kind"])
    data = data[: len(data) - drawn.get("cut", 0)]
    # Without a second piece there would be a Content-Length, and nothing to break off.
    breaks_off = bool(fixture.content.get("breaks_off"))
    return Answer(
        fixture.status, fixture.content["headers"], [*([b""] if breaks_off else []), data], breaks_off=breaks_off
    )
