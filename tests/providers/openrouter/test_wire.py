"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, PreviewShown, Progress
from imagegen_server.domain.result import Cost, ImageResult, Usage
from imagegen_server.domain.task import Operation, Options, Wish

from tests.support.generation import as_input
from tests.support.openrouter_provider import MODEL, openrouter_workshop
from tests.support.pictures import png
from tests.support.wire import WireFixture, wire_fixtures


def wish_of(fixture: WireFixture) -> Wish:
    """Ask for what a fixture answers."""
    edits = fixture.operation.endswith("edit")
    images = (as_input(png(16, 16)),) if edits else ()
    operation = Operation.EDIT if edits else Operation.GENERATE
    options = Options(count=fixture.count, preview_count=fixture.partial_images)
    return Wish(operation, MODEL, "a lighthouse at dusk", options, images)


@pytest.mark.parametrize("fixture", wire_fixtures("openrouter"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, price, previews and images are those that the shape's own file says."""
    expect, request_id = fixture.expect, fixture.content["headers"].get("x-generation-id")
    async with openrouter_workshop(listed=True) as made:
        made.fake.answer_next(replace(fixture.answer(), checks=False))
        events = await made.workshop.run(wish_of(fixture))
    last = events[-1]

    assert isinstance(last, Finished | Broken)
    assert len(made.fake.requests) == 1
    assert sum(isinstance(event, PreviewShown) for event in events) == expect["previews"]
    told = [event.message for event in events if isinstance(event, Progress) and event.message]
    assert told == expect.get("phases", [])
    ended = last.result if isinstance(last, Finished) else last.failure
    assert cost_of(ended.usage) == pytest.approx(expect["cost"])
    assert request_id is None or ended.attempts[0].provider_request_id == request_id
    if isinstance(last, Finished):
        check_result(last.result, expect)
    else:
        assert expect["images"] == 0
        check_error(last.error, expect, fixture.status)


def cost_of(usage: Usage | None) -> float | None:
    """Tell the money, which is told by the vendor and never worked out here."""
    cost = usage.cost if usage else None
    if cost is None:
        return None
    assert cost == Cost(cost.amount, "USD", estimated=False)
    return cost.amount


def check_result(result: ImageResult, expect: dict[str, Any]) -> None:
    """Hold a result against what a file says of it."""
    assert [image.image.facts.media_type for image in result.images] == expect["media_types"]
    assert len(result.images) == expect["images"]
    assert [failure.error.reason.name for failure in result.failures] == expect.get("failures", [])
    assert result.images[0].revised_prompt == expect.get("revised_prompt")
    assert result.metadata.get("openrouter", {}) == expect.get("metadata", {})
    if "tokens" in expect:
        assert result.usage is not None
        assert [result.usage.input_tokens, result.usage.output_tokens] == expect["tokens"]


def check_error(error: ImageError, expect: dict[str, Any], status: int) -> None:
    """Hold an error against what a file says of it."""
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert (error.billed.name.lower(), error.stage) == (expect["billed"], expect.get("stage", ""))
    assert error.retry_after == pytest.approx(expect["retry_after"])
    assert [violation.field for violation in error.violations] == ([expect["param"]] if "param" in expect else [])
    if status != 200:
        assert error.http_status == status
