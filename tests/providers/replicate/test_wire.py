"""What every documented and every reported answer of the vendor becomes. The answers stand in wire/."""

from typing import Any

import pytest
from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Broken, Finished, PreviewShown
from imagegen_server.domain.task import Operation, Options, Wish
from imagegen_server.generation import result_url

from tests.support.generation import as_input
from tests.support.pictures import png
from tests.support.replicate_api import said_by
from tests.support.replicate_provider import replicate_workshop
from tests.support.wire import WireFixture, wire_fixtures

DRAWS, SHOWS = "replicate/black-forest-labs/flux-schnell", "replicate/someone/diffusion"
EDITS = "replicate/black-forest-labs/flux-2-pro"


def wish_of(fixture: WireFixture) -> Wish:
    """Ask for what a fixture answers."""
    options = Options(count=fixture.count, preview_count=fixture.partial_images)
    if fixture.operation == "edit":
        return Wish(Operation.EDIT, EDITS, "a lighthouse at dusk", options, (as_input(png(16, 16)),))
    return Wish(Operation.GENERATE, SHOWS if fixture.partial_images else DRAWS, "a lighthouse at dusk", options)


@pytest.mark.parametrize("fixture", wire_fixtures("replicate"), ids=lambda fixture: fixture.name)
async def test_an_answer_of_the_vendor_becomes_what_it_means(
    fixture: WireFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reason, code, stage, bill, wait, seeds, previews and images are those that the shape's own file says."""
    monkeypatch.setattr(result_url, "WAITS", (0.0,))
    expect, step = fixture.expect, fixture.content["step"]
    async with replicate_workshop() as made:
        answers = said_by(fixture, made.fake)
        if fixture.partial_images:  # the model is asked for its inputs first
            await made.list_models()
            made.fake.requests.clear()
        made.fake.answer_next(*answers)
        events = await made.workshop.run(wish_of(fixture))
    last = events[-1]

    assert isinstance(last, Finished | Broken)
    asked = [call for call in made.fake.requests if call.path.startswith("/v1/") and not call.path.endswith("/cancel")]
    assert len(asked) == len(answers)
    assert sum(isinstance(event, PreviewShown) for event in events) == expect.get("previews", 0)
    ended = last.result if isinstance(last, Finished) else last.failure
    assert ended.usage is None or ended.usage.cost is None
    request_id = fixture.content["headers"]["x-request-id"] if step == "create" else "p1"
    assert ended.attempts[0].provider_request_id == request_id
    if isinstance(last, Finished):
        result = last.result
        assert [image.image.facts.media_type for image in result.images] == expect["media_types"]
        assert len(result.images) == expect["images"]
        assert [failure.error.reason.name for failure in result.failures] == expect.get("failures", [])
        assert [image.seed for image in result.images] == [expect["seed"]] * expect["images"]
        if "metadata" in expect:
            assert result.metadata.get("replicate", {}) == expect["metadata"]
    else:
        assert expect["images"] == 0
        check_error(last.error, expect, fixture.status)


def check_error(error: ImageError, expect: dict[str, Any], status: int) -> None:
    """Hold an error against what a file says of it."""
    assert (error.reason.name, error.provider_code) == (expect["reason"], expect["provider_code"])
    assert (error.billed.name.lower(), error.stage) == (expect["billed"], expect.get("stage", ""))
    assert error.retry_after == pytest.approx(expect["retry_after"])
    assert [violation.field for violation in error.violations] == expect.get("params", [])
    if status >= 300:
        assert error.http_status == status
