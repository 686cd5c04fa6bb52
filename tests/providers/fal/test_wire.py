"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.task import Operation, Options, Wish

from tests.support.fal_api import said_by
from tests.support.fal_provider import MODEL, fal_workshop
from tests.support.generation import as_input
from tests.support.pictures import png
from tests.support.wire import WireFixture, wire_fixtures

EDITOR = "fal/fal-ai/flux-2/edit"


def wish_of(fixture: WireFixture) -> Wish:
    """Ask for what a fixture answers."""
    options = Options(count=fixture.count, preview_count=fixture.partial_images)
    if fixture.operation.endswith("edit"):
        images = (as_input(png(16, 16)), as_input(png(16, 16)))
        return Wish(Operation.EDIT, EDITOR, "a lighthouse at dusk", options, images)
    return Wish(Operation.GENERATE, MODEL, "a lighthouse at dusk", options)


@pytest.mark.parametrize("fixture", wire_fixtures("fal"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(fixture: WireFixture) -> None:
    """Reason, code, stage, bill, wait, seeds, previews and images are those that the shape's own file says."""
    expect, step = fixture.expect, fixture.content.get("step", "answer")
    async with fal_workshop() as made:
        answers = said_by(fixture, made.fake)
        made.fake.answer_next(*answers)
        events = await made.workshop.run(wish_of(fixture))
    last = events[-1]

    assert isinstance(last, Finished | Broken)
    assert len(made.fake.requests) == len(answers)
    assert made.fake.queue.cancelled == []
    assert sum(isinstance(event, PreviewShown) for event in events) == expect.get("previews", 0)
    ended = last.result if isinstance(last, Finished) else last.failure
    assert ended.usage is None or ended.usage.cost is None
    request_id = "r-1" if step == "answer" else fixture.content["headers"]["x-fal-request-id"]
    assert ended.attempts[0].provider_request_id == request_id
    if isinstance(last, Finished):
        result = last.result
        assert [image.image.facts.media_type for image in result.images] == expect["media_types"]
        assert len(result.images) == expect["images"]
        assert [failure.error.reason.name for failure in result.failures] == expect.get("failures", [])
        assert result.images[0].revised_prompt == expect.get("revised_prompt")
        assert [image.seed for image in result.images] == expect.get("seeds", [expect["seed"]] * expect["images"])
        if "metadata" in expect:
            assert result.metadata["fal"] == expect["metadata"]
    else:
        assert expect["images"] == 0
        check_error(last.error, expect, fixture.status)


def check_error(error: ImageError, expect: dict[str, Any], status: int) -> None:
    """Hold an error against what a file says of it."""
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert (error.billed.name.lower(), error.stage) == (expect["billed"], expect.get("stage", ""))
    assert error.retry_after == pytest.approx(expect["retry_after"])
    wrong = expect.get("params", [expect["param"]] if "param" in expect else [])
    assert [violation.field for violation in error.violations] == wrong
    if status != 200:
        assert error.http_status == status
