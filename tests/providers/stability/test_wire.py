"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.result import AttemptOutcome

from tests.support.stability_provider import stability_workshop
from tests.support.stability_wire import answers_of, wish_of
from tests.support.wire import WireFixture, wire_fixtures


@pytest.mark.parametrize("fixture", wire_fixtures("stability"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, seed, fields, id and picture are those that the shape's own file says."""
    expect, answers = fixture.expect, answers_of(fixture)
    async with stability_workshop() as made:
        made.fake.answer_next(*answers)
        events = await made.workshop.run(wish_of(fixture))
    last = events[-1]

    assert isinstance(last, Finished | Broken)
    assert len(made.fake.requests) == len(answers)
    assert not any(isinstance(event, PreviewShown) for event in events)
    ended = last.result if isinstance(last, Finished) else last.failure
    (attempt,) = ended.attempts
    assert attempt.provider_request_id == expect.get("request_id", fixture.content["headers"].get("x-request-id"))
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
    assert [violation.field for violation in error.violations] == expect.get("params", [])
    assert expect.get("says", "") in error.message
    if status != 200:
        assert error.http_status == status
