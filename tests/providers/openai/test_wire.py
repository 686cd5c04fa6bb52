"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from dataclasses import replace

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.task import Operation, Options, Wish

from tests.support.generation import as_input
from tests.support.openai_provider import MODEL, openai_workshop
from tests.support.pictures import png
from tests.support.wire import WireFixture, wire_fixtures

FIELDS = {
    "image": "input.images",
    "size": "options.size",
    "quality": "options.quality",
    "image[]": "input.images",
    "response_format": "params.openai.response_format",
}
"""Where a caller of ours finds what the vendor calls so."""


def wish_of(fixture: WireFixture) -> Wish:
    """Ask for what a fixture answers."""
    edits = fixture.operation.endswith("edit")
    return Wish(
        operation=Operation.EDIT if edits else Operation.GENERATE,
        model=MODEL,
        prompt="a lighthouse at dusk",
        options=Options(count=fixture.count, preview_count=fixture.partial_images),
        images=(as_input(png(16, 16)),) if edits else (),
    )


@pytest.mark.parametrize("fixture", wire_fixtures("openai"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, images and previews are those that the shape's own file says."""
    expect, request_id = fixture.expect, fixture.content["headers"].get("x-request-id")
    async with openai_workshop() as made:
        made.fake.answer_next(replace(fixture.answer(), checks=False))
        events = await made.workshop.run(wish_of(fixture))
    last = events[-1]

    assert isinstance(last, Finished | Broken)
    assert len(made.fake.requests) == 1
    assert sum(isinstance(event, PreviewShown) for event in events) == expect["previews"]
    if expect["images"]:
        assert isinstance(last, Finished)
        result = last.result
        assert len(result.images) == expect["images"]
        if "media_types" in expect:
            assert [image.image.facts.media_type for image in result.images] == expect["media_types"]
        if "revised_prompt" in expect:
            assert result.images[0].revised_prompt == expect["revised_prompt"]
        metadata = result.images[0].metadata.get("openai", {})
        for key in ("size", "quality", "background", "output_format"):
            if key in expect:
                assert metadata[key] == expect[key]
        if "usage" in expect:
            assert result.usage is not None
            told = {"input_tokens": result.usage.input_tokens, "output_tokens": result.usage.output_tokens}
            assert told == (expect["usage"] or dict.fromkeys(told))
        assert request_id is None or result.attempts[0].provider_request_id == request_id
    else:
        assert isinstance(last, Broken)
        assert request_id is None or last.failure.attempts[0].provider_request_id == request_id
        _check_error(last.error, fixture)


def _check_error(error: ImageError, fixture: WireFixture) -> None:
    expect = fixture.expect
    assert error.reason.name == expect["reason"]
    assert error.provider_code == expect["provider_code"]
    assert error.billed.name.lower() == expect["billed"]
    assert error.stage == expect.get("stage", "")
    assert error.retry_after == pytest.approx(expect["retry_after"])
    if "param" in expect:
        assert [violation.field for violation in error.violations] == [FIELDS[expect["param"]]]
    if fixture.status != 200:
        assert error.http_status == fixture.status
