"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, PreviewShown, Progress
from imagegen_server.domain.result import Cost, Usage
from imagegen_server.generation import result_url

from tests.support.bfl_provider import MODEL, bfl_workshop
from tests.support.bfl_wire import answers_of
from tests.support.generation import drawing
from tests.support.wire import WireFixture, wire_fixtures

PROMPT = "a lighthouse at dusk"


@pytest.mark.parametrize("fixture", wire_fixtures("bfl"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(
    fixture: WireFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reason, code, stage, bill, wait, price, seed, progress and picture are those that the shape's own file says."""
    monkeypatch.setattr(result_url, "WAITS", (0.0, 0.0))
    expect = fixture.expect
    async with bfl_workshop() as made:
        answers = answers_of(fixture, made.fake)
        made.fake.answer_next(*answers)
        events = await made.workshop.run(replace(drawing(MODEL), prompt=PROMPT))
    last = events[-1]

    assert isinstance(last, Finished | Broken)
    assert len(made.fake.submitted) == 1
    assert len(made.fake.requests) == len(answers) + (expect["images"] if fixture.content["step"] == "poll" else 0)
    assert not any(isinstance(event, PreviewShown) for event in events)
    ended = last.result if isinstance(last, Finished) else last.failure
    assert cost_of(ended.usage) == expect["cost"]
    task_id = "task-0" if fixture.content["step"] == "poll" else expect.get("task_id", "")
    assert ended.attempts[0].provider_request_id == task_id
    if isinstance(last, Finished):
        (image,) = last.result.images
        assert image.image.facts.media_type == expect["media_types"][0]
        assert (image.seed, image.revised_prompt) == (expect.get("seed"), expect.get("revised_prompt"))
        assert image.metadata.get("bfl", {}) == expect["facts"]
        assert last.result.metadata.get("bfl", {}) == expect.get("told", last.result.metadata.get("bfl", {}))
        assert vendors_progress(events) == expect.get("progress", vendors_progress(events))
    else:
        assert expect["images"] == 0
        check_error(last.error, expect, fixture.status)


def vendors_progress(events: list[Any]) -> list[list[Any]]:
    """List what the adapter told of the way; what the engine tells by itself has no index."""
    return [
        [event.phase.name, event.fraction, event.message]
        for event in events
        if isinstance(event, Progress) and event.index is not None
    ]


def cost_of(usage: Usage | None) -> float | None:
    """Tell the money, which is told by the vendor and never worked out here."""
    cost = usage.cost if usage else None
    if cost is None:
        return None
    assert cost == Cost(cost.amount, "USD", estimated=False)
    return cost.amount


def check_error(error: ImageError, expect: dict[str, Any], status: int) -> None:
    """Hold an error against what a file says of it."""
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert (error.billed.name.lower(), error.stage) == (expect["billed"], expect.get("stage", ""))
    assert error.retry_after == pytest.approx(expect["retry_after"])
    assert [violation.field for violation in error.violations] == expect.get("params", [])
    assert expect.get("says", "") in error.message
    if status != 200:
        assert error.http_status == status
