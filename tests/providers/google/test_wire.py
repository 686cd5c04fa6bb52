"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from dataclasses import replace

import pytest
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.task import Operation, Options, Wish

from tests.support.google_provider import MODEL, google_workshop
from tests.support.wire import WireFixture, wire_fixtures


@pytest.mark.parametrize("fixture", wire_fixtures("google"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, images and previews are those that the shape's own file says."""
    expect = fixture.expect
    wish = Wish(Operation.GENERATE, MODEL, "a lighthouse at dusk", Options(preview_count=fixture.partial_images))
    async with google_workshop() as made:
        made.fake.answer_next(replace(fixture.answer(), checks=False))
        events = await made.workshop.run(wish)
    last = events[-1]

    assert isinstance(last, Finished | Broken)
    assert len(made.fake.requests) == 1
    assert sum(isinstance(event, PreviewShown) for event in events) == expect["previews"]
    if isinstance(last, Finished):
        result = last.result
        assert len(result.images) == expect["images"] == 1
        assert [image.image.facts.media_type for image in result.images] == expect.get("media_types", ["image/png"])
        if "usage" in expect:
            assert result.usage is not None
            told = {"input_tokens": result.usage.input_tokens, "output_tokens": result.usage.output_tokens}
            assert told == (expect["usage"] or dict.fromkeys(told))
        told_id = "AbC123" if "AbC123" in str(fixture.content) else ""
        assert result.attempts[0].provider_request_id == told_id
    else:
        error = last.error
        assert expect["images"] == 0
        assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
        assert (error.billed.name.lower(), error.stage) == (expect["billed"], expect.get("stage", ""))
        assert error.retry_after == pytest.approx(expect["retry_after"])
        if "param" in expect:
            assert [violation.field for violation in error.violations] == [expect["param"]]
        if fixture.status != 200:
            assert error.http_status == fixture.status
