"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from dataclasses import replace
from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.result import AttemptOutcome
from imagegen_server.domain.task import Operation, Options, Wish

from tests.support.bedrock_provider import EDITOR, MODEL, bedrock_workshop
from tests.support.generation import as_input
from tests.support.pictures import png
from tests.support.wire import WireFixture, wire_fixtures


def wish_of(fixture: WireFixture) -> Wish:
    """Ask for what a fixture answers."""
    if fixture.operation == "edit":
        return Wish(Operation.EDIT, EDITOR, "a lighthouse at dusk", Options(), (as_input(png(64, 64)),))
    return Wish(Operation.GENERATE, MODEL, "a lighthouse at dusk", Options(count=fixture.count))


@pytest.mark.parametrize("fixture", wire_fixtures("bedrock"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, seed and image are those that the shape's own file says."""
    expect, request_id = fixture.expect, fixture.content["headers"].get("x-amzn-requestid")
    async with bedrock_workshop() as made:
        made.fake.answer_next(replace(fixture.answer(), checks=False))
        events = await made.workshop.run(wish_of(fixture))
    last = events[-1]

    assert isinstance(last, Finished | Broken)
    assert len(made.fake.requests) == 1
    assert not any(isinstance(event, PreviewShown) for event in events)
    ended = last.result if isinstance(last, Finished) else last.failure
    (attempt,) = ended.attempts
    assert request_id is None or attempt.provider_request_id == request_id
    assert ended.usage is None or ended.usage.cost is None
    if isinstance(last, Finished):
        assert [image.image.facts.media_type for image in last.result.images] == expect["media_types"]
        assert [image.seed for image in last.result.images] == [expect["seed"]]
        assert attempt.outcome is AttemptOutcome.ACCEPTED
    else:
        assert expect["images"] == 0
        check_error(last.error, expect, fixture.status)


def check_error(error: ImageError, expect: dict[str, Any], status: int) -> None:
    """Hold an error against what a file says of it."""
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert (error.billed.name.lower(), error.stage) == (expect["billed"], expect.get("stage", ""))
    assert error.retry_after == pytest.approx(expect["retry_after"])
    assert [violation.field for violation in error.violations] == ([expect["param"]] if "param" in expect else [])
    assert "123456789012" not in error.message
    if status != 200:
        assert error.http_status == status
